from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from napari_mobilesam.engine import Embedding


def make(features: np.ndarray | None = None, **changes: object) -> Embedding:
    arguments = {'original_size': (30, 40), 'input_size': (768, 1024), 'key': 'k', **changes}
    return Embedding(np.ones((256, 64, 64)) if features is None else features, **arguments)


def test_T8_nothing_of_it_can_be_changed() -> None:
    features = np.ones((256, 64, 64), np.float32)
    embedding = make(features)
    features[:] = 7
    assert (embedding.features == 1).all()
    with pytest.raises(ValueError, match='read-only'):
        embedding.features[0, 0, 0] = 3
    with pytest.raises(ValueError, match='WRITEABLE'):
        embedding.features.flags.writeable = True
    with pytest.raises(FrozenInstanceError):
        embedding.original_size = (1, 1)  # type: ignore[misc]


def test_features_are_half_precision() -> None:
    embedding = make(np.full((256, 64, 64), 0.1, np.float32))
    assert embedding.features.dtype == np.float16
    assert embedding.nbytes == 2 * 2**20


@pytest.mark.parametrize('bad', [np.nan, np.inf, 1e5])
def test_features_that_half_precision_cannot_hold(bad: float) -> None:
    features = np.zeros((256, 64, 64), np.float32)
    features[3, 4, 5] = bad
    with pytest.raises(ValueError, match='not finite in float16'):
        make(features)


def test_shapes() -> None:
    with pytest.raises(ValueError, match=r'\(channels, h, w\)'):
        make(np.zeros((1, 256, 64, 64)))
    with pytest.raises(ValueError, match='original_size is two positive sizes'):
        make(original_size=(0, 4))

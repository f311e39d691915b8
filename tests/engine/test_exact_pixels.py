"""What the model is shown are the very pixels of the plane."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from numpy.typing import NDArray

from napari_mobilesam.engine import Annotator, Embedding, PlaneKey, PlaneSource


def test_t19_frames_stay_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plane goes through a lossy file, or any, on its way to the model."""
    seen: list[NDArray[np.uint8]] = []

    class Looking(FakeSegmenter):
        def encode(self, image: NDArray[np.uint8], *, key: str | None = None) -> Embedding:
            seen.append(image.copy())
            return super().encode(image, key=key)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError('a file was made on the way')

    for name in ('mkstemp', 'mkdtemp', 'NamedTemporaryFile', 'TemporaryFile'):
        monkeypatch.setattr(tempfile, name, refuse)
    stack = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
    annotator = Annotator(Looking())
    for index in range(len(stack)):
        annotator.embed(PlaneSource(PlaneKey('stack', (1, 2), (index,)), stack, rgb=True))
    assert len(seen) == 3
    for shown, plane in zip(seen, stack, strict=True):
        np.testing.assert_array_equal(shown, plane)

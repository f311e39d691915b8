from __future__ import annotations

import numpy as np
import pytest

from mobile_sam.training.crops import SMALL, Crop, typical_size
from mobile_sam.training.data import Sample
from mobile_sam.training.mosaic import draw_mosaic

from .conftest import discs


def sample(shape: tuple[int, int]) -> Sample:
    image, labels = discs(0, shape)
    return Sample(np.repeat(image[..., None], 3, 2), labels.astype(np.int32), True)


@pytest.mark.parametrize('shape', [(64, 80), (160, 96)])
def test_a_mosaic_shows_small_objects_each_with_a_label_of_its_own(shape: tuple[int, int]):
    whole = sample(shape)
    assert typical_size(whole) > 1.5 * SMALL[1]
    for seed in range(4):
        crop = draw_mosaic(whole, np.random.default_rng(seed))
        assert crop.image.shape == (1024, 1024, 3)
        assert crop.inside.all()
        found = Sample(crop.image[::2, ::2], crop.labels, True)
        assert typical_size(found) < typical_size(whole) / 1.5
        bright = crop.image[::2, ::2, 0] > 105
        assert (bright == (crop.labels > 0)).mean() > 0.95
        areas = np.bincount(crop.labels.ravel())[1:]
        # Labels that two pieces shared would be as many as in one.
        assert np.count_nonzero(areas) > 2 * whole.labels.max()


def test_each_piece_is_changed():
    pieces: list[Crop] = []
    draw_mosaic(sample((64, 80)), np.random.default_rng(0), lambda c: pieces.append(c) or c)
    assert len(pieces) in (4, 16)
    assert len({p.window.col for p in pieces}) > 1

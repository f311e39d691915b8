from __future__ import annotations

import numpy as np

from mobile_sam.training.evaluation.everything import EverythingSettings, flatten


def block(rows: slice, cols: slice) -> np.ndarray:
    mask = np.zeros((10, 10), bool)
    mask[rows, cols] = True
    return mask


def test_better_masks_win_and_leftovers_and_background_go():
    good = block(slice(0, 4), slice(0, 4))
    beside = block(slice(0, 4), slice(3, 8))
    inside = block(slice(1, 4), slice(0, 5))
    ground = block(slice(0, 10), slice(0, 9))
    nothing = block(slice(0, 0), slice(0, 0))
    labels = flatten(
        [ground, inside, beside, good, nothing],
        [0.99, 0.5, 0.7, 0.9, 0.95],
        (10, 10),
        EverythingSettings(),
    )
    assert labels.dtype == np.int32
    assert (labels[good] == 1).all()
    assert (labels[:4, 4:8] == 2).all()
    # Of the third mask a fifth was left; the ground was too large to be an object.
    assert labels.max() == 2
    assert (labels[4:] == 0).all()

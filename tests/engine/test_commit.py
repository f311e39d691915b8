from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_mobilesam.engine import (
    LabelOverflowError,
    OverlapRule,
    next_label,
    paint_masks,
)

KEEP, REPLACE = OverlapRule.KEEP, OverlapRule.REPLACE


def disk(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


@pytest.mark.parametrize('rule', [KEEP, REPLACE])
@pytest.mark.parametrize('count', [0, 1, 2, 300])
def test_T16_any_number_of_masks(count: int, rule: OverlapRule) -> None:
    rng = np.random.default_rng(count)
    masks = [disk((20, 300), 10, i, 0.5) for i in range(count)]
    labels = paint_masks(masks, rng.uniform(size=count), (20, 300), rule)
    assert labels.dtype == np.int32
    assert labels.shape == (20, 300)
    assert labels[10].tolist() == [*range(1, count + 1), *[0] * (300 - count)]


def test_T16_the_better_mask_owns_an_overlap() -> None:
    masks = [disk((20, 20), 10, column, 5) for column in (6, 10, 14)]
    labels = paint_masks(masks, [0.9, 0.5, 0.7], (20, 20))
    assert [(labels == i).sum() for i in (1, 3)] == [
        masks[0].sum(),
        (masks[2] & ~masks[0]).sum(),
    ]
    assert (labels[masks[1] & ~masks[0] & ~masks[2]] == 2).all()
    assert (paint_masks(masks[:2], [float('nan'), 0.1], (20, 20))[masks[1]] == 2).all()
    first_come = paint_masks(masks, [0.1, 0.5, 0.7], (20, 20), KEEP)
    assert (first_come[masks[0]] == 1).all()


def test_masks_and_scores_fit() -> None:
    with pytest.raises(ValueError, match='1 masks, 2 scores'):
        paint_masks([np.ones((2, 2), bool)], [1, 2], (2, 2))
    with pytest.raises(ValueError, match=r'mask 0 has \(2, 3\)'):
        paint_masks([np.ones((2, 3), bool)], [1], (2, 2))


def test_T15_ids_do_not_overflow() -> None:
    assert next_label(0, np.uint8) == 1
    assert next_label(254, np.uint8) == 255
    with pytest.raises(LabelOverflowError, match=r'256.*uint8.*255.*int32'):
        next_label(255, np.uint8)
    assert next_label(2**31 - 2, '>i4') == 2**31 - 1
    with pytest.raises(TypeError, match='integers'):
        next_label(0, np.float32)

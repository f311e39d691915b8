from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_mobilesam.engine import (
    Edit,
    LabelOverflowError,
    OverlapRule,
    next_label,
    paint_masks,
    plan_commit,
)

KEEP, REPLACE = OverlapRule.KEEP, OverlapRule.REPLACE


def disk(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def write(edit: Edit, plane: NDArray) -> None:
    plane[edit.rows, edit.columns][edit.mask] = edit.label


def test_keep_and_replace() -> None:
    plane = np.zeros((10, 10), np.int32)
    plane[:, :5] = 4
    mask = np.zeros((10, 10), bool)
    mask[2:6, 3:8] = True
    keep, replace = plan_commit(mask, plane, 9, KEEP), plan_commit(mask, plane, 9, REPLACE)
    assert (keep.rows, keep.columns, keep.n_pixels) == (slice(2, 6), slice(5, 8), 12)
    assert (replace.rows, replace.columns, replace.n_pixels) == (slice(2, 6), slice(3, 8), 20)
    assert (plane[plane != 4] == 0).all()  # a plan writes nothing


def test_the_object_being_edited_may_be_overwritten() -> None:
    plane = np.full((6, 6), 3)
    plane[:, 3:] = 5
    mask = np.ones((6, 6), bool)
    assert plan_commit(mask, plane, 5, KEEP).n_pixels == 18
    assert plan_commit(mask, plane, 9, KEEP, replaceable=5).n_pixels == 18
    assert not plan_commit(mask, plane, 9, KEEP)


@pytest.mark.parametrize('rule', [KEEP, REPLACE])
def test_nothing_to_write(rule: OverlapRule) -> None:
    edit = plan_commit(np.zeros((5, 5), bool), np.zeros((5, 5), int), 1, rule)
    assert not edit
    assert edit.n_pixels == 0
    assert [axis.size for axis in edit.pixels()] == [0, 0]
    full = plan_commit(np.ones((5, 5), bool), np.ones((5, 5), int), 2, KEEP)
    assert not full
    assert full.mask.size == 0


def test_T17_only_the_bounding_box_is_read() -> None:
    class Labels:
        shape = (2000, 2000)
        dtype = np.dtype(np.int32)

        def __init__(self) -> None:
            self.requests: list[object] = []

        def __getitem__(self, index: tuple[slice, slice]) -> NDArray:
            self.requests.append(index)
            return np.zeros([part.stop - part.start for part in index], self.dtype)

    labels = Labels()
    edit = plan_commit(disk((2000, 2000), 1500, 200, 10), labels, 1, KEEP)
    assert labels.requests == [(slice(1490, 1511), slice(190, 211))]
    assert edit.mask.shape == (21, 21)
    assert edit.mask.base is None  # does not keep the whole mask in memory


@pytest.mark.parametrize('rule', [KEEP, REPLACE])
def test_T15_three_hundred_overlapping_objects(rule: OverlapRule) -> None:
    rng = np.random.default_rng(1)
    plane = np.zeros((200, 200), np.int32)
    expected = np.zeros((200, 200), int)
    maximum = 0
    for _ in range(300):
        mask = disk(plane.shape, *rng.uniform(0, 200, 2), rng.uniform(2, 20))
        maximum = next_label(maximum, plane.dtype)
        edit = plan_commit(mask, plane, maximum, rule)
        before = plane.copy()
        write(edit, plane)
        assert np.count_nonzero(plane != before) == edit.n_pixels
        expected[mask & (expected == 0) if rule is KEEP else mask] = maximum
    assert maximum == 300
    np.testing.assert_array_equal(plane, expected)  # no sums of ids, no id wrapped round


def test_T15_ids_do_not_overflow() -> None:
    assert next_label(0, np.uint8) == 1
    assert next_label(254, np.uint8) == 255
    with pytest.raises(LabelOverflowError, match=r'256.*uint8.*255.*int32'):
        next_label(255, np.uint8)
    assert next_label(2**31 - 2, '>i4') == 2**31 - 1
    with pytest.raises(LabelOverflowError):
        plan_commit(np.ones((2, 2), bool), np.zeros((2, 2), np.int8), 128)
    with pytest.raises(TypeError, match='integers'):
        next_label(0, np.float32)


def test_impossible_commits() -> None:
    with pytest.raises(ValueError, match='one shape'):
        plan_commit(np.ones((2, 3), bool), np.zeros((3, 2), int), 1)
    with pytest.raises(ValueError, match='start at 1'):
        plan_commit(np.ones((2, 2), bool), np.zeros((2, 2), int), 0)


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


@settings(deadline=None)
@given(
    planes=hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12).flatmap(
        lambda shape: st.tuples(
            hnp.arrays(bool, shape), hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))
        )
    ),
    rule=st.sampled_from([KEEP, REPLACE]),
)
def test_a_plan_is_tight_and_complete(planes: tuple[NDArray, NDArray], rule: OverlapRule) -> None:
    mask, plane = planes
    edit = plan_commit(mask, plane, 7, rule)
    wanted = mask & (plane == 0) if rule is KEEP else mask
    rows, columns = edit.pixels()
    assert sorted(zip(rows, columns, strict=True)) == [tuple(p) for p in np.argwhere(wanted)]
    if edit:
        for border in (edit.mask[0], edit.mask[-1], edit.mask[:, 0], edit.mask[:, -1]):
            assert border.any()

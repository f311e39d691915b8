from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mobilesam.engine.stacks import MaskPatch, between, overlap
from napari_mobilesam.engine.stacks.patch import common_area, union_box
from napari_mobilesam.engine.stacks.shapes import (
    box_prompt,
    interior_points,
    mask_prompt,
    points_prompt,
    signed_distance,
)
from napari_mobilesam.engine.stacks.ways import Way, affected, way_to

PLANES = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def disc(radius: float, row: int = 30, column: int = 30, side: int = 80) -> MaskPatch:
    rows, columns = np.indices((side, side))
    return MaskPatch.cut((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


@given(PLANES)
def test_a_patch_is_its_mask(mask: np.ndarray) -> None:
    patch = MaskPatch.cut(mask)
    assert np.array_equal(patch.full(mask.shape), mask)
    assert patch.area == np.count_nonzero(mask)
    assert bool(patch) == mask.any()
    if patch:
        assert patch.mask[0].any()
        assert patch.mask[:, -1].any()
        moved = patch.shifted(2, 3)
        assert np.array_equal(
            moved.within(slice(2, 2 + len(mask)), slice(3, 3 + mask.shape[1])), mask
        )


@given(PLANES, st.integers(-4, 4), st.integers(-4, 4), st.data())
def test_overlap_is_that_of_the_planes(
    mask: np.ndarray, row: int, column: int, data: st.DataObject
) -> None:
    other = data.draw(arrays(bool, mask.shape))
    one, two = MaskPatch.cut(mask), MaskPatch.cut(other).shifted(row, column)
    frame = slice(-10, 30)
    first, second = one.within(frame, frame), two.within(frame, frame)
    assert common_area(one, two) == np.count_nonzero(first & second)
    union = np.count_nonzero(first | second)
    assert overlap(one, two) == (np.count_nonzero(first & second) / union if union else 0)


def test_clipping() -> None:
    patch = disc(5).shifted(-28, 0)
    clipped = patch.clipped((80, 80))
    assert 0 < clipped.area < patch.area
    assert clipped.row == 0
    assert patch.touches_border((80, 80))
    assert not disc(5).touches_border((80, 80))
    assert not disc(5).shifted(500, 0).clipped((80, 80))
    assert disc(5).clipped((80, 80)).area == disc(5).area
    assert union_box([]) == (slice(0, 0), slice(0, 0))


def test_between_discs_lies_the_disc_of_mean_radius() -> None:
    middle = between(disc(6), disc(14), 0.5)
    assert overlap(middle, disc(10)) > 0.93
    assert between(disc(6), disc(14), 0).area == disc(6).area
    assert between(disc(6), disc(14), 1).area == disc(14).area


def test_between_places_far_apart_the_shape_is_kept() -> None:
    middle = between(disc(6, 12, 12), disc(6, 60, 60), 0.25)
    assert overlap(middle, disc(6, 24, 24)) > 0.85
    nothing = MaskPatch.cut(np.zeros((3, 3), bool))
    assert disc(2).area < between(disc(10), nothing, 0.5).area < disc(8).area
    assert between(nothing, disc(10), 0.9).area > between(nothing, disc(10), 0.2).area
    assert not between(nothing, nothing, 0.5)


def test_signed_distance() -> None:
    mask = np.zeros((1, 7), bool)
    mask[0, 2:5] = True
    expected = [[-1.5, -0.5, 0.5, 0.5, 0.5, -0.5, -1.5]]
    np.testing.assert_array_equal(signed_distance(mask), expected)
    assert np.isneginf(signed_distance(np.zeros((2, 2), bool))).all()


def test_prompts_lie_where_the_shape_is() -> None:
    shape = disc(8)
    assert interior_points(shape) == ((30.0, 30.0),)
    three = interior_points(shape, 3)
    assert len(three) == 3
    assert all(shape.full((80, 80))[round(row), round(column)] for row, column in three)
    assert box_prompt(shape).box == (22, 22, 38, 38)
    prompts = points_prompt(shape, ((50.0, 50.0),))
    assert prompts.positive == (True, True, True, False)
    asked = mask_prompt(shape, (80, 80))
    assert asked.mask is not None
    assert asked.mask.shape == (80, 80)
    assert len(interior_points(MaskPatch.cut(np.ones((1, 1), bool)), 3)) == 1


@pytest.mark.parametrize(
    ('index', 'anchors', 'marks', 'way'),
    [
        (5, {3}, (), Way(3, 1, None)),
        (1, {3}, (), Way(3, -1, None)),
        (3, {3}, (), None),
        (4, {3, 9}, (), Way(3, 1, 9)),
        (6, {3, 9}, (), Way(3, 1, 9)),
        (7, {3, 9}, (), Way(9, -1, 3)),
        (12, {3, 9}, (), Way(9, 1, None)),
        (7, {3, 9}, {5}, Way(9, -1, None)),
        (4, {3, 9}, {5}, Way(3, 1, None)),
        (5, {3, 9}, {5}, None),
        (6, {3, 9}, {5, 7}, None),
        (6, (), (), None),
    ],
)
def test_ways(index: int, anchors: set[int], marks: set[int], way: Way | None) -> None:
    assert way_to(index, anchors, marks) == way


def test_what_an_anchor_affects() -> None:
    assert affected(5, {5}, 10) == range(10)
    assert affected(5, {2, 5, 8}, 10) == range(3, 8)
    assert affected(5, {2}, 10) == range(3, 10)

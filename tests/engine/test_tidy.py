from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import TidyOptions, opposite_seed, split_mask, tidy, tidy_patch


def disk(side: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices((side, side))
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


MESSY = disk(60, 30, 30, 15) & ~disk(60, 30, 30, 4)
MESSY[2:5, 2:5] = MESSY[50, 50] = True


def test_nothing_is_done_unasked() -> None:
    assert tidy(MESSY, TidyOptions()) is MESSY
    empty = np.zeros((3, 3), bool)
    assert not tidy(empty, TidyOptions(5, True, True, 2)).any()


def test_specks_go_unless_they_are_all_there_is() -> None:
    cleaned = tidy(MESSY, TidyOptions(remove_specks=5))
    assert not cleaned[50, 50]
    assert cleaned[3, 3]
    only = np.zeros((9, 9), bool)
    only[2:4, 2:4] = only[7, 7] = True
    assert tidy(only, TidyOptions(remove_specks=100)).sum() == 4


def test_the_largest_part_stays() -> None:
    largest = tidy(MESSY, TidyOptions(largest_part=True))
    np.testing.assert_array_equal(largest, disk(60, 30, 30, 15) & ~disk(60, 30, 30, 4))


def test_T31_holes_are_kept_unless_filling_is_asked_for() -> None:
    assert not tidy(MESSY, TidyOptions(largest_part=True))[30, 30]
    filled = tidy(MESSY, TidyOptions(largest_part=True, fill_holes=True))
    np.testing.assert_array_equal(filled, disk(60, 30, 30, 15))


def test_smoothing_removes_teeth_and_keeps_the_size() -> None:
    truth = disk(60, 30, 30, 15)
    rough = truth.copy()
    rough[10:16, 30] = True
    rough[40:46, 30] = False
    smooth = tidy(rough, TidyOptions(smooth=3))
    assert (smooth != truth).sum() < (rough != truth).sum()
    assert abs(int(smooth.sum()) - int(truth.sum())) < 0.03 * truth.sum()
    thin = np.zeros((20, 20), bool)
    thin[10] = True
    assert tidy(thin, TidyOptions(smooth=8)).any(), 'never nothing'


def test_an_object_at_the_border_of_the_picture_stays_there() -> None:
    half = disk(60, 0, 30, 15)
    smooth = tidy(half, TidyOptions(smooth=4))
    assert smooth[0, 20:40].all()


def test_a_patch_gives_what_the_whole_plane_would() -> None:
    plane = np.zeros((80, 80), bool)
    plane[10:50, 20:60] = MESSY[10:50, 10:50]
    options = TidyOptions(remove_specks=3, fill_holes=True, smooth=3)
    rows, columns, patch = tidy_patch(
        slice(10, 50), slice(20, 60), plane[10:50, 20:60], plane.shape, options
    )
    whole = np.zeros_like(plane)
    whole[rows, columns] = patch
    np.testing.assert_array_equal(whole, tidy(plane, options))
    corner = tidy_patch(slice(0, 5), slice(75, 80), np.ones((5, 5), bool), (80, 80), options)
    assert (corner[0], corner[1]) == (slice(0, 8), slice(72, 80))


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match='0 or more'):
        TidyOptions(smooth=-1)


PEANUT = disk(60, 30, 18, 12) | disk(60, 30, 40, 12)


def test_a_split_runs_through_the_neck() -> None:
    parts = split_mask(PEANUT, [(30, 15), (30, 44)])
    assert (parts > 0).tolist() == PEANUT.tolist()
    border = np.flatnonzero(np.diff(parts[30, 6:53])) + 6
    assert abs(border[0] - 29) <= 2
    assert set(np.unique(parts[:, :20])) == {0, 1}


def test_a_model_decides_where_it_was_asked() -> None:
    square = np.ones((20, 20), bool)
    left, right = np.zeros((2, 20, 20), bool)
    left[:, :6], right[:, 5:] = True, True
    parts = split_mask(square, [(10, 2), (10, 15)], [left, right])
    assert (parts[:, :5] == 1).all()
    assert (parts[:, 6:] == 2).all()


def test_a_model_that_saw_no_parts_does_not_count() -> None:
    everything = np.ones_like(PEANUT)
    parts = split_mask(PEANUT, [(30, 15), (30, 44)], [everything & False, everything])
    np.testing.assert_array_equal(parts, split_mask(PEANUT, [(30, 15), (30, 44)]))


def test_parts_without_a_seed_go_to_the_nearest() -> None:
    mask = np.zeros((10, 30), bool)
    mask[:, :5] = mask[:, 12:15] = mask[:, 25:] = True
    parts = split_mask(mask, [(5, 2), (5, 27)])
    assert np.unique(parts[:, 12:15]).tolist() == [1]


def test_a_split_in_three_dimensions() -> None:
    mask = np.stack([PEANUT] * 3)
    parts = split_mask(mask, [(1, 30, 15), (1, 30, 44)])
    assert np.unique(parts[:, 30, 15]).tolist() == [1]
    assert np.unique(parts[:, 30, 44]).tolist() == [2]


def test_a_plane_of_a_volume_is_split_as_if_it_were_flat() -> None:
    parts = split_mask(PEANUT[None], [(0, 30, 15), (0, 30, 44)], [PEANUT[None] & False] * 2)
    np.testing.assert_array_equal(parts[0], split_mask(PEANUT, [(30, 15), (30, 44)]))
    assert opposite_seed(PEANUT[:, None], (30, 0, 16))[1:] == (
        0,
        opposite_seed(PEANUT, (30, 16))[1],
    )


def test_impossible_splits() -> None:
    with pytest.raises(ValueError, match='same pixel'):
        split_mask(PEANUT, [(30, 15), (30.2, 15)])
    with pytest.raises(ValueError, match='an object and seeds'):
        split_mask(np.zeros((3, 3), bool), [(1, 1)])


def test_the_opposite_seed_is_the_middle_of_the_other_part() -> None:
    row, column = opposite_seed(PEANUT, (30, 16))
    assert abs(row - 30) <= 1
    assert abs(column - 40) <= 1

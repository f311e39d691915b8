from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import PlaneKey
from napari_mobilesam.engine.stacks.slicing import (
    LabelSlices,
    cut_above,
    cut_below,
    delete_on,
    fill_between,
)


def cone() -> np.ndarray:
    rows, columns = np.indices((40, 40))
    labels = np.zeros((9, 40, 40), np.uint16)
    for z in range(9):
        labels[z][(rows - 20) ** 2 + (columns - 20) ** 2 <= (4 + z) ** 2] = 3
    labels[:, 5:9, 20:24] = 8
    return labels


def slices(labels: np.ndarray) -> LabelSlices:
    return LabelSlices.of(labels, PlaneKey('labels', (1, 2), (4,)), 0)


def test_cut_and_delete_and_back() -> None:
    labels = cone()
    before = labels.copy()
    for edits, gone in (
        (cut_above(slices(labels), 3, 4), range(5, 9)),
        (cut_below(slices(labels), 3, 4), range(4)),
        (delete_on(slices(labels), 3, [4]), [4]),
    ):
        for edit in edits:
            edit.apply(labels)
        assert [z for z in range(9) if not (labels[z] == 3).any()] == list(gone)
        assert np.array_equal(labels == 8, before == 8)
        for edit in edits:
            edit.inverse().apply(labels)
        assert np.array_equal(labels, before)
    assert cut_above(slices(labels), 5, 4) == []


def test_fill_between() -> None:
    labels = cone()
    whole = labels.copy()
    labels[3:6][labels[3:6] == 3] = 0
    labels[4, 1, 1] = 3  # a stray pixel in between is replaced
    for edit in fill_between(slices(labels), 3, 6, 2):
        edit.apply(labels)
    assert labels[4, 1, 1] == 0
    assert np.array_equal(labels == 8, whole == 8)
    for z in (3, 4, 5):
        found, truth = labels[z] == 3, whole[z] == 3
        assert np.count_nonzero(found & truth) / np.count_nonzero(found | truth) > 0.9
    labels[0] = 0
    with pytest.raises(ValueError, match='object 3 is not on slice 0'):
        fill_between(slices(labels), 3, 0, 6)


def test_along_another_axis_of_a_time_series() -> None:
    labels = np.zeros((2, 6, 20, 20), np.int32)
    labels[1, 2:5, 5:15, 5:15] = 4
    labels[0] = 4
    key = PlaneKey('labels', (3, 1), (1, 9))  # x down, z to the right, at t 1 and y 9
    edits = delete_on(LabelSlices.of(labels, key, 2), 4, [9, 10])
    for edit in edits:
        edit.apply(labels)
    assert (labels[0] == 4).all()
    assert not labels[1, :, 9:11].any()
    assert labels[1, 2:5, 5:9, 5:15].all()
    with pytest.raises(ValueError, match='not displayed'):
        LabelSlices.of(labels, key, 1)
    with pytest.raises(ValueError, match='labels of 4 axes'):
        LabelSlices.of(labels[0], key, 2)


def test_labels_that_are_turned_cropped_and_moved_against_the_image() -> None:
    image = np.zeros((6, 20, 30), np.int32)
    image[2:5, 4:9, 10:16] = 7
    # the labels begin at slice 1, row 2 and column 5 of the image, and have x before y
    labels = np.ascontiguousarray(image[1:6, 2:, 5:].transpose(0, 2, 1))
    seen = LabelSlices(labels, (2, 1), (0, 0, 0), 0, (-2, -5, -1), (20, 30), 6)
    for z in range(6):
        assert np.array_equal(seen.read(z), image[z])
    assert seen.span(((1, 4), (5, 11), (2, 7))) == range(2, 5)
    assert seen.window(((1, 4), (5, 11), (2, 7))) == (slice(4, 9), slice(10, 16))
    patch = seen.mask(3, 7)
    assert (patch.rows, patch.columns) == (slice(4, 9), slice(10, 16))
    assert seen.region(3, patch) == ((2, 3), (5, 11), (2, 7))
    # what lies beside the labels is not written
    edit = seen.edit(1, slice(0, 5), slice(0, 8), np.full((5, 8), 9))
    assert edit.region == ((0, 1), (0, 3), (0, 3))
    edit.apply(labels)
    assert np.count_nonzero(labels == 9) == 9
    assert seen.edit(0, slice(0, 5), slice(0, 8), np.full((5, 8), 9)) is None
    assert not seen.read(0).any()
    (gone,) = delete_on(seen, 7, [3])
    gone.apply(labels)
    assert not (labels[2] == 7).any()

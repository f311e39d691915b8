from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import PlaneKey, SegmentedObject, Session
from napari_mobilesam.engine.stacks import MaskPatch
from napari_mobilesam.engine.stacks.linking import Linked, SliceObject
from napari_mobilesam.engine.stacks.slicing import LabelSlices, delete_on
from napari_mobilesam.engine.stacks.writing import (
    bounds_after,
    excluding,
    plan_slices,
    write_linked,
)


def square(row: int, column: int, side: int = 6) -> MaskPatch:
    return MaskPatch.cut(np.ones((side, side), bool), row, column)


def test_linked_objects_are_written_where_nothing_is_and_recorded() -> None:
    labels = np.zeros((5, 30, 30), np.int32)
    labels[2, :, 12:] = 4
    slices = LabelSlices.of(labels, PlaneKey('labels', (1, 2), (0,)), 0)
    weak = Linked(tuple(SliceObject(z, square(4, 8), 0.4) for z in (1, 3)))  # slice 2 is filled in
    strong = Linked((SliceObject(1, square(6, 10), 0.9), SliceObject(2, square(6, 14), 0.9)))
    hidden = Linked((SliceObject(2, square(0, 20), 0.8),))
    found = write_linked(slices, [weak, strong, hidden], 5)
    assert found.scores == pytest.approx({5: 0.4, 6: 0.9})
    assert found.bounds == {5: ((1, 4), (4, 10), (8, 14)), 6: ((1, 2), (6, 12), (10, 16))}
    session = Session(4)
    records = {label: SegmentedObject(score=score) for label, score in found.scores.items()}
    step = plan_slices(session, found.edits, 'find', records=records, bounds=found.bounds)
    step.apply(labels)
    session.push(step)
    assert (labels[2, :, 12:] == 4).all()
    assert (labels[1, 6:12, 10:16] == 6).all()
    for record in session.objects:
        assert record.area == np.count_nonzero(labels == record.label)
        assert record.score == found.scores[record.label]
        assert record.bounds == found.bounds[record.label]
    assert session.maximum == 6
    assert plan_slices(session, [], 'nothing') is None


def test_bounds_shrink_with_what_is_deleted() -> None:
    labels = np.zeros((2, 6, 20, 20), np.int32)
    labels[1, 1:5, 3:9, 3:9] = 2
    labels[1, 4, 3:15, 3] = 2
    slices = LabelSlices.of(labels, PlaneKey('labels', (2, 3), (1, 0)), 1)
    bounds = ((1, 2), (1, 5), (3, 15), (3, 9))
    edits = delete_on(slices, 2, [1, 4])
    assert bounds_after(slices, 2, bounds, edits) == ((1, 2), (2, 4), (3, 9), (3, 9))
    assert bounds_after(slices, 2, bounds, delete_on(slices, 2, range(6))) is None
    assert bounds_after(slices, 2, ((0, 2), *bounds[1:]), edits) is None  # at other times too


def test_no_pixel_is_edited_twice() -> None:
    labels = np.zeros((1, 8, 8), np.int32)
    labels[0, :, 4:] = 3
    slices = LabelSlices.of(labels, PlaneKey('labels', (1, 2), (0,)), 0)
    first = slices.edit(0, slice(0, 4), slice(0, 8), np.full((4, 8), 1))
    second = slices.edit(0, slice(2, 6), slice(0, 8), np.full((4, 8), 2))
    rest = excluding(second, [first])
    assert rest.n_pixels == 16
    first.apply(labels)
    rest.apply(labels)
    assert (labels[0, :4] == 1).all()
    assert (labels[0, 4:6] == 2).all()
    assert excluding(first, [first]) is None
    assert excluding(first, [rest]) is first

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeSegmenter
from numpy.typing import NDArray
from pictures import CENTRES, RADIUS, disc, iou, stack

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
    SegmentedObject,
    Session,
)
from napari_mobilesam.engine.stacks import PlaneSeries
from napari_mobilesam.engine.stacks.refining import RefinedSlice, RefineMode, refine, write_refined
from napari_mobilesam.engine.stacks.slicing import LabelSlices
from napari_mobilesam.engine.stacks.writing import plan_slices

COUNT = 4
KEY = PlaneKey('stack', (1, 2), (0,))
MADE = SegmentedObject(model_digest='fake', mapping=IntensityMapping())


def planes() -> PlaneSeries:
    mapping = IntensityMapping('displayed', limits=(0, 255))
    return PlaneSeries(PlaneSource(KEY, stack(COUNT).astype(np.uint8), mapping), 0)


def truth(factor: int = 1) -> NDArray[np.int32]:
    """The discs of the stack, as 1, 2, 3 times a factor."""
    labels = np.zeros((COUNT, 120, 160), np.int32)
    for z in range(COUNT):
        for number, (row, column) in enumerate(CENTRES, 1):
            labels[z][disc((120, 160), (row + 2 * z, column), RADIUS)] = number * factor
    return labels


def coarse(factor: int = 1, radius: int = 12) -> NDArray[np.int32]:
    """Squares that cut the discs' sides and go beyond their corners."""
    labels = np.zeros((COUNT, 120, 160), np.int32)
    for z in range(COUNT):
        for number, (row, column) in enumerate(CENTRES, 1):
            rows = slice(row + 2 * z - radius, row + 2 * z + radius + 1)
            labels[z, rows, column - radius : column + radius + 1] = number * factor
    return labels


def refined(labels: NDArray[np.int32], *slices: int) -> list[RefinedSlice]:
    annotator = Annotator(FakeSegmenter())
    return list(refine(annotator, planes(), lambda z: labels[z], slices=slices or None))


def known(labels: NDArray[np.int32]) -> Session:
    """A session that knows the objects, as after looking through the labels."""
    session = Session()
    records = {}
    for label in np.unique(labels[labels > 0]).tolist():
        places = np.nonzero(labels == label)
        bounds = tuple((int(p.min()), int(p.max()) + 1) for p in places)
        records[label] = SegmentedObject(
            label, area=len(places[0]), bounds=bounds, class_id=2, reviewed=True
        )
    session.match(records)
    return session


def write(
    labels: NDArray[np.int32],
    found: list[RefinedSlice],
    session: Session,
    mode: RefineMode,
    records: dict[int, SegmentedObject] | None = None,
) -> Session:
    slices = LabelSlices.of(labels, KEY, 0)
    records = {one.label: one for one in session.objects} if records is None else records
    planned = write_refined(slices, found, records, mode, MADE)
    step = plan_slices(
        session, planned.edits, 'refine', records=planned.records, bounds=planned.bounds
    )
    assert step is not None
    step.apply(labels)
    session.push(step)
    for record in session.objects:
        assert record.area == np.count_nonzero(labels == record.label)
        assert record.bounds == known(labels).get(record.label).bounds
    return session


def test_outlines_are_improved_under_the_same_ids_throughout() -> None:
    labels, right = coarse(1000), truth(1000)
    before = [iou(labels == one, right == one) for one in (1000, 2000, 3000)]
    found = refined(labels)
    assert [(one.index, one.done, one.total) for one in found] == [
        (z, z + 1, COUNT) for z in range(COUNT)
    ]
    for one in found:
        assert sorted(one.changed) == [1000, 2000, 3000]
        assert not one.kept
        assert all(0.4 <= mask.likeness < 1 and mask.score > 0.5 for mask in one.changed.values())
    painted = np.stack([one.labels() for one in found])
    session = write(labels, found, known(labels), 'replace')
    np.testing.assert_array_equal(labels, painted)
    for one, worse in zip((1000, 2000, 3000), before, strict=True):
        assert iou(labels == one, right == one) > max(worse, 0.95)
        record = session.get(one)
        assert (record.class_id, record.reviewed, record.model_digest) == (2, False, 'fake')
        assert record.score > 0.5


def test_what_the_model_is_unsure_of_stays_as_it_was() -> None:
    labels = coarse()
    annotator = Annotator(FakeSegmenter())
    (one,) = refine(annotator, planes(), lambda z: labels[z], 0.95, slices=[2])
    assert not one.changed
    np.testing.assert_array_equal(one.labels(), labels[2])
    # and what it finds something else for: here a whole disc, for a speck in it
    labels[:] = 0
    labels[2, CENTRES[0][0] + 3 : CENTRES[0][0] + 6, CENTRES[0][1] : CENTRES[0][1] + 3] = 7
    (one,) = refine(annotator, planes(), lambda z: labels[z], slices=[2])
    assert (list(one.kept), list(one.changed)) == ([7], [])


def test_objects_that_stay_keep_their_pixels() -> None:
    labels = coarse()
    row, column = CENTRES[0]
    labels[0, row, column + 12 : column + 15] = 9  # within what the model will outline
    (one,) = refined(labels, 0)
    assert list(one.kept) == [9]
    assert (one.labels()[row, column + 12 : column + 15] == 9).all()
    assert (one.labels() == 9).sum() == 3


def test_only_slices_that_were_refined_change_and_ids_may_be_large() -> None:
    labels = coarse(1_000_000)
    before = labels.copy()
    session = write(labels, refined(labels, 2, 1), known(labels), 'replace')
    np.testing.assert_array_equal(labels[[0, 3]], before[[0, 3]])
    assert not np.array_equal(labels[1], before[1])
    assert session.get(3_000_000).bounds[0] == (0, COUNT)


def test_what_was_corrected_meanwhile_is_not_overwritten() -> None:
    labels = coarse()
    found = refined(labels)
    row, column = CENTRES[1]
    labels[1, row + 2 : row + 6, column - 12 : column] = 0  # erased in object 2
    labels[2, 0:3, 0:3] = 5  # painted elsewhere
    corrected = labels.copy()
    write(labels, found, known(labels), 'replace')
    np.testing.assert_array_equal(labels[1] == 2, corrected[1] == 2)
    np.testing.assert_array_equal(labels[2] == 5, corrected[2] == 5)
    assert not np.array_equal(labels[2] == 2, corrected[2] == 2)


def test_kept_labels_only_grow() -> None:
    labels = coarse()
    before = labels.copy()
    session = write(labels, refined(labels), known(labels), 'keep')
    assert (labels[before > 0] == before[before > 0]).all()
    grown = labels != before
    assert grown.any()
    assert (truth()[grown] == labels[grown]).mean() > 0.95
    assert session.get(1).model_digest == ''  # its outline is not the model's


def test_compared_they_go_elsewhere_whole() -> None:
    labels = coarse()
    labels[1, 2:4, 2:4] = 8  # nothing there: it stays as it is
    before, elsewhere = labels.copy(), np.zeros_like(labels)
    found = refined(labels)
    records = {one.label: one for one in known(labels).objects}
    session = write(elsewhere, found, Session(), 'compare', records)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(elsewhere, np.stack([one.labels() for one in found]))
    assert [one.label for one in session.objects] == [1, 2, 3, 8]
    assert session.get(8).model_digest == ''
    assert session.get(1).model_digest == 'fake'
    assert session.maximum == 8
    with pytest.raises(ValueError, match='expected ids up to 255'):
        write_refined(
            LabelSlices.of(np.zeros(labels.shape, np.uint8), KEY, 0),
            refined(np.where(labels == 3, 300, labels)),
            {},
            'compare',
        )


def test_along_another_axis_and_at_one_time_only() -> None:
    """Labels (y, t, z, x) whose planes are (y, x) along z: other times stay out of it."""
    turned = np.zeros((120, 2, COUNT, 160), np.int32)
    turned[:, 1] = np.moveaxis(coarse(), 0, 1)
    turned[:, 0, 0] = 2
    slices = LabelSlices.of(turned, PlaneKey('stack', (0, 3), (1, 0)), 2)
    session = known(turned)
    records = {one.label: one for one in session.objects}
    found = list(refine(Annotator(FakeSegmenter()), planes(), slices.read))
    planned = write_refined(slices, found, records, 'replace', MADE)
    for edit in planned.edits:
        edit.apply(turned)
    assert iou(np.moveaxis(turned[:, 1], 1, 0) == 1, truth() == 1) > 0.95
    assert (turned[:, 0, 0] == 2).all()
    assert planned.bounds[2] == records[2].bounds
    assert planned.bounds[1][1:3] == ((1, 2), (0, COUNT))


def test_other_shapes_are_refused_and_cancel_is_heard() -> None:
    labels = coarse()
    annotator = Annotator(FakeSegmenter())
    with pytest.raises(ValueError, match='expected labels of'):
        next(refine(annotator, planes(), lambda z: labels[z, :5]))
    cancel = CancelToken()
    running = refine(annotator, planes(), lambda z: labels[z], cancel=cancel)
    next(running)
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(running)

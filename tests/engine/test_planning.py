from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_mobilesam.engine import (
    LabelEdit,
    LabelOverflowError,
    OverlapRule,
    PlacedMask,
    PlaneKey,
    PromptedPlane,
    Prompts,
    SegmentedObject,
    Session,
    Step,
    UndecidedOverlapError,
    plan_commit,
    plan_merge,
    plan_painted,
    plan_records,
    plan_removal,
    plan_split,
)

KEEP, REPLACE, ASK = OverlapRule.KEEP, OverlapRule.REPLACE, OverlapRule.ASK
PLANE = PlaneKey('i', (0, 1))


def disk(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def box(shape: tuple[int, int], rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


class Bench:
    """A session and its labels; every step is tried back and forth, and left done."""

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.int32) -> None:
        self.labels = np.zeros(shape, dtype)
        self.session = Session()

    def do(self, step: Step) -> Step:
        before, records = self.labels.copy(), self.session.objects
        maximum = self.session.maximum
        step.apply(self.labels)
        self.session.push(step)
        after = self.labels.copy(), self.session.objects
        step.revert(self.labels)
        self.session.step_back(step)
        np.testing.assert_array_equal(self.labels, before)
        assert (self.session.objects, self.session.maximum) == (records, maximum)
        step.apply(self.labels)
        self.session.step_forward(step)
        np.testing.assert_array_equal(self.labels, after[0])
        assert self.session.objects == after[1]
        self.check()
        return step

    def check(self) -> None:
        """Compare every record with the pixels."""
        ids, areas = np.unique(self.labels[self.labels != 0], return_counts=True)
        assert {o.label: o.area for o in self.session} == dict(
            zip(ids.tolist(), areas.tolist(), strict=True)
        )
        for record in self.session:
            inside = self.labels[tuple(slice(*axis) for axis in record.bounds)] == record.label
            assert np.count_nonzero(inside) == record.area, 'no pixel lies outside of the bounds'

    def commit(self, *masks: NDArray[np.bool_], rule: OverlapRule = KEEP, **keywords: Any) -> Step:
        record = SegmentedObject(**keywords)
        placed = [PlacedMask((0,) * mask.ndim, mask, record) for mask in masks]
        return self.do(plan_commit(self.session, self.labels, placed, rule))


def test_keep_and_replace() -> None:
    for rule, area, left in ((KEEP, 12, 50), (REPLACE, 20, 42)):
        bench = Bench((10, 10))
        bench.commit(box((10, 10), slice(0, 10), slice(0, 5)))
        bench.commit(box((10, 10), slice(2, 6), slice(3, 8)), rule=rule)
        assert [record.area for record in bench.session] == [left, area]


def test_ask() -> None:
    bench = Bench((10, 10))
    bench.commit(box((10, 10), slice(0, 10), slice(0, 5)))
    with pytest.raises(UndecidedOverlapError, match='8 pixels') as caught:
        bench.commit(box((10, 10), slice(2, 6), slice(3, 8)), rule=ASK)
    assert caught.value.claimed == {1: 8}
    bench.commit(box((10, 10), slice(2, 6), slice(5, 8)), rule=ASK)
    assert len(bench.session) == 2, 'nothing to ask about'


def test_objects_that_lose_pixels_shrink_or_go() -> None:
    bench = Bench((10, 10))
    bench.commit(box((10, 10), slice(0, 4), slice(0, 4)))
    bench.commit(box((10, 10), slice(0, 10), slice(6, 10)))
    bench.commit(box((10, 10), slice(0, 5), slice(0, 10)), rule=REPLACE)
    assert [record.label for record in bench.session] == [2, 3]
    shrunk = bench.session.get(2)
    assert shrunk is not None
    assert shrunk.bounds == ((5, 10), (6, 10))


def test_an_object_is_made_anew_in_place() -> None:
    bench = Bench((6, 6))
    bench.commit(box((6, 6), slice(0, 6), slice(0, 3)), class_id=4)
    bench.commit(box((6, 6), slice(0, 6), slice(4, 6)))
    first = bench.session.get(1)
    assert first is not None
    wider = PlacedMask((0, 0), box((6, 6), slice(1, 4), slice(1, 6)), first)
    bench.do(plan_commit(bench.session, bench.labels, [wider], KEEP))
    assert bench.session.maximum == 2
    again = bench.session.get(1)
    assert again is not None
    assert (again.area, again.class_id, again.bounds) == (9, 4, ((1, 4), (1, 4)))
    inside = PlacedMask((0, 0), box((6, 6), slice(0, 2), slice(4, 6)), again)
    with pytest.raises(ValueError, match='nothing would be left of object 1'):
        plan_commit(bench.session, bench.labels, [inside], KEEP)


def test_an_object_on_several_planes_is_made_anew_on_one() -> None:
    bench = Bench((3, 6, 6))
    bench.commit(np.ones((3, 4, 4), bool))
    record = bench.session.get(1)
    assert record is not None
    other = PlacedMask((1, 0, 0), np.ones((1, 2, 2), bool), record, ((1, 2), (0, 6), (0, 6)))
    bench.do(plan_commit(bench.session, bench.labels, [other], KEEP))
    assert [np.count_nonzero(plane) for plane in bench.labels] == [16, 4, 16]


def test_nothing_to_write() -> None:
    bench = Bench((5, 5))
    assert bench.commit(np.zeros((5, 5), bool)).edits == ()
    bench.commit(np.ones((5, 5), bool))
    step = plan_commit(
        bench.session, bench.labels, [PlacedMask((0, 0), np.ones((5, 5), bool), SegmentedObject())]
    )
    assert (step.edits, step.changes) == ((), ())


def test_T17_only_the_bounding_box_is_read() -> None:
    class Labels:
        shape = (200, 2000, 2000)
        dtype = np.dtype(np.int32)

        def __init__(self) -> None:
            self.requests: list[object] = []

        def __getitem__(self, index: tuple[slice, ...]) -> NDArray:
            self.requests.append(index)
            return np.zeros([part.stop - part.start for part in index], self.dtype)

    labels = Labels()
    mask = disk((2000, 2000), 1500, 200, 10)[None]
    step = plan_commit(Session(), labels, [PlacedMask((7, 0, 0), mask, SegmentedObject())])
    assert labels.requests == [(slice(7, 8), slice(1490, 1511), slice(190, 211))]
    (edit,) = step.edits
    assert edit.mask.shape == (1, 21, 21)
    assert edit.mask.base is None, 'does not keep the whole mask in memory'


@pytest.mark.parametrize('rule', [KEEP, REPLACE])
def test_T15_three_hundred_overlapping_objects(rule: OverlapRule) -> None:
    rng = np.random.default_rng(1)
    bench = Bench((200, 200))
    expected = np.zeros((200, 200), int)
    number = 0
    for _ in range(300):
        mask = disk((200, 200), *rng.uniform(0, 200, 2), rng.uniform(2, 20))
        step = bench.commit(mask, rule=rule)
        if step.edits:
            number += 1
            expected[mask & (expected == 0) if rule is KEEP else mask] = number
    assert bench.session.maximum == number > 150
    np.testing.assert_array_equal(bench.labels, expected)  # no sums of ids, none wrapped round


def test_T15_ids_do_not_overflow() -> None:
    bench = Bench((2, 300), np.uint8)
    masks = [box((2, 300), slice(0, 2), slice(i, i + 1)) for i in range(300)]
    bench.commit(*masks[:255])
    assert bench.session.maximum == 255
    before = bench.labels.copy()
    with pytest.raises(LabelOverflowError, match=r'256.*uint8.*255.*int32'):
        bench.commit(masks[255])
    np.testing.assert_array_equal(bench.labels, before)


def test_T16_thousands_at_once() -> None:
    bench = Bench((400, 400))
    bench.commit(disk((400, 400), 200, 200, 30))
    rng = np.random.default_rng(3)
    placed = []
    best = np.full((400, 400), -1.0)
    for _ in range(2000):
        row, column = rng.integers(0, 388, 2)
        score = float(rng.uniform())
        mask = disk((11, 11), 5, 5, 5)
        placed.append(PlacedMask((row, column), mask, SegmentedObject(score=score)))
        part = best[row : row + 11, column : column + 11]
        part[mask] = np.maximum(part[mask], score)
    step = bench.do(plan_commit(bench.session, bench.labels, placed, KEEP))
    assert len({change.label for change in step.changes}) == len(step.changes)
    assert bench.session.maximum == len(bench.session), 'no gaps for masks that got nothing'
    scores = np.zeros(bench.session.maximum + 1)
    for record in bench.session:
        scores[record.label] = -1 if record.score is None else record.score
    free = bench.labels != 1
    covered = free & (best >= 0)
    np.testing.assert_array_equal(scores[bench.labels[covered]], best[covered])
    assert np.count_nonzero(bench.labels == 1) == disk((400, 400), 200, 200, 30).sum()
    written = sum(edit.n_pixels for edit in step.edits)
    assert written == np.count_nonzero(covered), 'each pixel once'


def test_impossible_commits() -> None:
    bench = Bench((3, 3))
    with pytest.raises(ValueError, match='axes of the labels'):
        plan_commit(
            bench.session,
            bench.labels,
            [PlacedMask((0, 0, 0), np.ones((1, 2, 2), bool), SegmentedObject())],
        )
    for start in ((-1, 0), (2, 0)):
        with pytest.raises(ValueError, match='outside'):
            plan_commit(
                bench.session,
                bench.labels,
                [PlacedMask(start, np.ones((2, 2), bool), SegmentedObject())],
            )


def test_removal() -> None:
    bench = Bench((10, 10))
    for column in (0, 4, 8):
        bench.commit(box((10, 10), slice(0, 10), slice(column, column + 2)))
    bench.do(plan_removal(bench.session, bench.labels, [1, 3]))
    assert [record.label for record in bench.session] == [2]
    assert bench.session.next_label() == 4, 'ids are not used again'
    with pytest.raises(KeyError, match='no object has the id 1'):
        plan_removal(bench.session, bench.labels, [1])


def prompted(row: float) -> tuple[PromptedPlane, ...]:
    return (PromptedPlane(PLANE, Prompts(((row, 0.0),), (True,))),)


def test_merge() -> None:
    bench = Bench((10, 10))
    bench.commit(box((10, 10), slice(0, 10), slice(0, 2)), prompted=prompted(1), score=0.9)
    bench.commit(box((10, 10), slice(0, 10), slice(4, 6)), prompted=prompted(2), score=0.7)
    bench.commit(box((10, 10), slice(0, 3), slice(8, 9)), class_id=3)
    bench.do(plan_merge(bench.session, bench.labels, [2, 1, 3]))
    (merged,) = bench.session.objects
    assert (merged.label, merged.area, merged.score) == (2, 43, 0.7)
    assert merged.prompted == (*prompted(2), *prompted(1))
    assert merged.bounds == ((0, 10), (0, 9))
    with pytest.raises(ValueError, match='two objects'):
        plan_merge(bench.session, bench.labels, [2, 2])


def test_split() -> None:
    bench = Bench((10, 10))
    bench.commit(box((10, 10), slice(0, 10), slice(0, 9)), prompted=prompted(1), class_id=3)
    bench.commit(box((10, 10), slice(0, 10), slice(9, 10)))
    parts = np.ones((10, 10), int)
    parts[:, 3:6], parts[:, 6:] = 2, 3
    step = bench.do(
        plan_split(bench.session, bench.labels, 1, (0, 0), parts, [prompted(n) for n in (1, 2, 3)])
    )
    assert step.title == 'split into 3'
    assert [record.label for record in bench.session] == [1, 2, 3, 4]
    assert [record.area for record in bench.session] == [30, 10, 30, 30]
    assert [record.class_id for record in bench.session] == [3, 0, 3, 3]
    new = bench.session.get(4)
    assert new is not None
    assert new.prompted == prompted(3)
    for nothing in (np.ones((10, 10), int), np.full((10, 10), 2)):
        with pytest.raises(ValueError, match='one object still'):
            plan_split(bench.session, bench.labels, 3, (0, 0), nothing)


def test_records() -> None:
    bench = Bench((4, 4))
    bench.commit(np.ones((4, 4), bool))
    (record,) = bench.session.objects
    assert plan_records(bench.session, [record], 'nothing') is None
    step = plan_records(bench.session, [replace(record, class_id=2, unclear=True)], 'class')
    assert step is not None
    bench.do(step)
    assert [(r.class_id, r.unclear) for r in bench.session] == [(2, True)]


def stroke(labels: NDArray, region: tuple[slice, ...], value: int) -> LabelEdit:
    """Paint as a brush does, and say what was done."""
    before = labels.copy()
    labels[region] = value
    made = LabelEdit.between((0, 0), before, labels)
    assert made is not None
    return made


def test_strokes_by_hand_are_followed() -> None:
    bench = Bench((10, 10))
    bench.commit(box((10, 10), slice(0, 10), slice(0, 4)))
    edits = [stroke(bench.labels, np.s_[0:5, 2:6], 7), stroke(bench.labels, np.s_[3:8, 3:6], 7)]
    step = plan_painted(bench.session, edits)
    bench.session.push(step)
    bench.check()
    assert bench.session.maximum == 7
    erased = plan_painted(bench.session, [stroke(bench.labels, np.s_[:, 2:6], 0)])
    bench.session.push(erased)
    bench.check()
    assert [record.label for record in bench.session] == [1]
    for done in (erased, step):
        done.revert(bench.labels)
        bench.session.step_back(done)
        bench.check()
    assert bench.session.maximum == 1


def test_a_stroke_on_an_object_not_surveyed_yet_is_no_object_of_its_own() -> None:
    session = Session(maximum=5)
    labels = np.zeros((4, 4), np.int32)
    labels[0] = 3
    step = plan_painted(session, [stroke(labels, np.s_[1:2], 3)], complete=False)
    assert step.changes == ()
    step = plan_painted(session, [stroke(labels, np.s_[2:3], 6)], complete=False)
    assert [change.label for change in step.changes] == [6]


@settings(deadline=None)
@given(
    planes=hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9).flatmap(
        lambda shape: st.tuples(
            st.lists(hnp.arrays(bool, shape), max_size=4),
            hnp.arrays(np.uint8, shape, elements=st.integers(0, 3)),
        )
    ),
    rule=st.sampled_from([KEEP, REPLACE]),
)
def test_any_commit_into_any_labels(
    planes: tuple[list[NDArray], NDArray], rule: OverlapRule
) -> None:
    masks, plane = planes
    bench = Bench(plane.shape)
    bench.labels[:] = plane
    bench.session.match(
        {
            int(label): SegmentedObject(
                int(label),
                area=int((plane == label).sum()),
                bounds=tuple((0, side) for side in plane.shape),
            )
            for label in np.unique(plane[plane > 0])
        }
    )
    bench.commit(*masks, rule=rule)
    union = np.any(masks, axis=0) if masks else np.zeros(plane.shape, bool)
    new = union & (plane == 0) if rule is KEEP else union
    np.testing.assert_array_equal(bench.labels[~new], plane[~new])
    assert (bench.labels[new] > plane.max(initial=0)).all()

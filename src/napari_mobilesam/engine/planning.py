"""Planning: what a commit, a removal, a merge or a split changes. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .commit import OverlapRule, next_label
from .draft import Draft
from .edits import LabelEdit
from .history import RecordChange, Step
from .objects import PromptedPlane, SegmentedObject
from .plane import PlaneKey
from .regions import Region, intersection, shape_of, tight, union, within
from .session import Session

# Ids of masks in a draft, until it is known which of them get any pixel.
_PROVISIONAL = -(2**62)
# Bounds of an object that lost pixels are measured anew up to this many pixels, and else stay as
# they are: too large is allowed.
_MEASURED = 2**22


class UndecidedOverlapError(ValueError):
    """Pixels of other objects are claimed, and the rule is to ask.

    Attributes
    ----------
    claimed : dict of int to int
        For each of these objects, how many pixels.
    """

    def __init__(self, claimed: dict[int, int]) -> None:
        super().__init__(
            f'{sum(claimed.values())} pixels belong to other objects ({sorted(claimed)}); '
            'choose whether to keep or to replace them'
        )
        self.claimed = claimed


@dataclass(frozen=True, slots=True, eq=False)
class PlacedMask:
    """A mask at its place in the labels, and what is to be recorded of it.

    Parameters
    ----------
    start : tuple of int
        The labels pixel under the mask's first one.
    mask : ndarray of bool
        With as many axes as the labels.
    record : SegmentedObject
        With the id 0 for a new object; with the id of an object, that object becomes this.
    clears : Region, optional
        Where the former pixels of that object go away: the plane at hand, of an object on several.
        By default everywhere.
    """

    start: tuple[int, ...]
    mask: NDArray[np.bool_]
    record: SegmentedObject
    clears: Region | None = None

    @classmethod
    def on_plane(
        cls,
        key: PlaneKey,
        mask: NDArray[np.bool_],
        corner: tuple[int, int],
        record: SegmentedObject,
    ) -> PlacedMask:
        """Put a mask of a plane at its place in labels of all of the image's axes.

        Parameters
        ----------
        key : PlaneKey
            The plane.
        mask : ndarray of bool, shape (h, w)
        corner : tuple of int
            Row and column of the plane at which it begins.
        record : SegmentedObject
            What is to be recorded of it.
        """
        rows, columns = key.displayed
        if rows > columns:
            mask = mask.T
        start, shape = [0] * key.ndim, [1] * key.ndim
        for axis, position in zip(key.indexed, key.index, strict=True):
            start[axis] = position
        start[rows], start[columns] = corner
        shape[min(rows, columns)], shape[max(rows, columns)] = mask.shape
        return cls(tuple(start), mask.reshape(shape), record)


def plan_commit(
    session: Session,
    labels: Any,
    placed: Sequence[PlacedMask],
    rule: OverlapRule = OverlapRule.KEEP,
    title: str = 'commit',
) -> Step:
    """Plan the writing of one mask or of thousands, as one step.

    Where two of them overlap, the one with the better score owns the pixels, whatever the rule:
    that is about objects that are in the labels already. New ids follow the largest one in the
    given order.

    Parameters
    ----------
    session : Session
        The objects that are there.
    labels : array-like of int
        Only the masks' bounding boxes are read.
    placed : sequence of PlacedMask
        Masks may be empty.
    rule : OverlapRule
        Who owns pixels of objects that are there.
    title : str
        Of the step.

    Returns
    -------
    Step
        Its `changes` tell what came of each mask; a mask that got no pixel is not among them.

    Raises
    ------
    UndecidedOverlapError
        If the rule is to ask, and there is something to ask about.
    LabelOverflowError
        If the labels' type has no room for so many ids.
    ValueError
        If a mask has other axes than the labels, or lies outside.
    """
    shape = tuple(int(side) for side in labels.shape)
    work: list[_Work] = []
    for item in placed:
        region = tight(item.mask, item.start)
        if len(item.start) != len(shape) or item.mask.ndim != len(shape):
            raise ValueError(f'masks have the axes of the labels; got {item.mask.ndim}, {shape}')
        if region is None:
            continue
        if any(a < 0 or b > side for (a, b), side in zip(region, shape, strict=True)):
            raise ValueError(f'a mask at {region} lies outside of labels of shape {shape}')
        origin = tuple(
            (int(a), int(a) + n) for a, n in zip(item.start, item.mask.shape, strict=True)
        )
        old = session.get(item.record.label)
        clears = None
        if old is not None and old.bounds:
            clears = old.bounds if item.clears is None else intersection(old.bounds, item.clears)
        work.append(_Work(region, item.mask[within(region, origin)], item.record, old, clears))
    cleared = [one.clears for one in work if one.clears is not None]
    draft = Draft(labels, [one.region for one in work] + cleared)
    for one in work:
        if one.clears is not None and one.before is not None:
            view = draft.view(one.clears)
            former = view == one.before.label
            one.kept = one.before.area - int(np.count_nonzero(former))
            view[former] = 0
    if rule is OverlapRule.ASK:
        claimed = _claimed(draft, work)
        if claimed:
            raise UndecidedOverlapError(claimed)
    for i in sorted(range(len(work)), key=lambda i: _rank(work[i].record)):
        view = draft.view(work[i].region)
        mask = work[i].mask
        if rule is OverlapRule.KEEP:
            free = view == 0
            if len(work) > 1:
                free |= _provisional(view, len(work))
            mask = mask & free
        np.copyto(view, _PROVISIONAL + i, where=mask)
    return _finish(session, labels, draft, work, title)


def plan_removal(session: Session, labels: Any, ids: Iterable[int]) -> Step:
    """Plan to delete objects from the labels.

    Raises
    ------
    KeyError
        If there is no such object.
    """
    records = _records(session, ids)
    draft = Draft(labels, [record.bounds for record in records])
    for record in records:
        view = draft.view(record.bounds)
        view[view == record.label] = 0
    return Step(
        'delete' if len(records) == 1 else f'delete {len(records)} objects',
        draft.edits(),
        tuple(RecordChange(record.label, record, None) for record in records),
        session.maximum,
        session.maximum,
    )


def plan_merge(session: Session, labels: Any, ids: Sequence[int]) -> Step:
    """Plan to make one object of several; it keeps the first one's id and class.

    Raises
    ------
    KeyError
        If there is no such object.
    ValueError
        If these are fewer than two.
    """
    records = _records(session, ids)
    if len(records) < 2:
        raise ValueError(f'two objects or more can be merged; got {len(records)}')
    kept, others = records[0], records[1:]
    draft = Draft(labels, [record.bounds for record in others])
    for record in others:
        view = draft.view(record.bounds)
        view[view == record.label] = kept.label
    scores = [record.score for record in records if record.score is not None]
    merged = replace(
        kept,
        prompted=tuple(dict.fromkeys(part for record in records for part in record.prompted)),
        score=min(scores, default=None),
        area=sum(record.area for record in records),
        bounds=union(*(record.bounds for record in records)),
        unclear=any(record.unclear for record in records),
        reviewed=all(record.reviewed for record in records),
    )
    gone = tuple(RecordChange(record.label, record, None) for record in others)
    return Step(
        f'merge {len(records)} objects',
        draft.edits(),
        (RecordChange(kept.label, kept, merged), *gone),
        session.maximum,
        session.maximum,
    )


def plan_split(
    session: Session,
    labels: Any,
    label: int,
    start: Sequence[int],
    parts: NDArray[np.integer[Any]],
    prompted: Sequence[tuple[PromptedPlane, ...]] = (),
) -> Step:
    """Plan to make several objects of one.

    Parameters
    ----------
    session : Session
        The objects that are there.
    labels : array-like of int
        Their pixels.
    label : int
        The object.
    start : sequence of int
        The labels pixel under the first one of `parts`.
    parts : ndarray of int
        With the axes of the labels: 1 for what keeps the id, 2 and more for new objects. Pixels
        that are not the object's are left alone, and 0 leaves a pixel as it is.
    prompted : sequence of tuple of PromptedPlane, optional
        For each part what it was made from; by default the first keeps the object's prompts.

    Raises
    ------
    KeyError
        If there is no such object.
    ValueError
        If that makes fewer than two objects.
    LabelOverflowError
        If the labels' type has no room for so many ids.
    """
    (record,) = _records(session, [label])
    region = tuple((int(a), int(a) + int(n)) for a, n in zip(start, parts.shape, strict=True))
    draft = Draft(labels, [region])
    view = draft.view(region)
    own = view == label
    numbers = [int(n) for n in np.unique(parts[own]) if n > 1]
    if not numbers or own.sum() == np.isin(parts, numbers)[own].sum() == record.area:
        raise ValueError(f'object {label} would be one object still; place points on two parts')
    next_label(session.maximum + len(numbers) - 1, labels.dtype)
    changes = []
    area = 0
    for new, number in enumerate(numbers, start=session.maximum + 1):
        mask = own & (parts == number)
        view[mask] = new
        made = replace(
            record,
            label=new,
            prompted=prompted[number - 1] if prompted else (),
            area=int(mask.sum()),
            bounds=tight(mask, [a for a, _ in region]) or (),
            reviewed=False,
        )
        area += made.area
        changes.append(RecordChange(new, None, made))
    rest = replace(
        record,
        prompted=prompted[0] if prompted else record.prompted,
        area=record.area - area,
        bounds=_shrunk(draft, record),
        reviewed=False,
    )
    return Step(
        f'split into {len(numbers) + 1}',
        draft.edits(),
        (RecordChange(label, record, rest), *changes),
        session.maximum,
        session.maximum + len(numbers),
    )


def plan_records(session: Session, records: Iterable[SegmentedObject], title: str) -> Step | None:
    """Plan other records (class, flags) for objects that are there; None if nothing changes."""
    changes = tuple(
        RecordChange(record.label, before, record)
        for record in records
        if (before := session.get(record.label)) is not None and before != record
    )
    if not changes:
        return None
    return Step(title, (), changes, session.maximum, session.maximum)


def plan_painted(session: Session, edits: Sequence[LabelEdit], *, complete: bool = True) -> Step:
    """Make a step of what was painted by hand: the pixels are written, the records are to follow.

    Parameters
    ----------
    session : Session
        The objects that were there.
    edits : sequence of LabelEdit
        In the order in which they were written.
    complete : bool
        Whether `session` has a record of every object in the labels. Otherwise an id that it does
        not know may be an older one's, of which only these pixels would be known.
    """
    change: dict[int, int] = {}
    where: dict[int, Region] = {}
    for edit in edits:
        number = edit.n_pixels
        for values, sign in ((edit.before, -1), (edit.after, 1)):
            labels, counts = np.unique(values, return_counts=True)
            if len(values) == 1:
                counts = np.array([number])
            for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
                if label > 0:
                    change[label] = change.get(label, 0) + sign * count
                    if sign > 0:
                        here = edit.region
                        where[label] = union(where[label], here) if label in where else here
    changes = []
    for label, pixels in change.items():
        before = session.get(label)
        if before is None:
            if pixels > 0 and (complete or label > session.maximum):
                made = SegmentedObject(label, area=pixels, bounds=where[label])
                changes.append(RecordChange(label, None, made))
            continue
        area = before.area + pixels
        bounds = union(before.bounds, where[label]) if label in where else before.bounds
        after = replace(before, area=area, bounds=bounds) if area > 0 else None
        if after != before:
            changes.append(RecordChange(label, before, after))
    maximum = max(session.maximum, *where) if where else session.maximum
    return Step('paint', tuple(edits), tuple(changes), session.maximum, maximum)


@dataclass(slots=True, eq=False)
class _Work:
    """One mask in the making: its tight region, the record it replaces, what is left of that."""

    region: Region
    mask: NDArray[np.bool_]
    record: SegmentedObject
    before: SegmentedObject | None
    clears: Region | None
    kept: int = 0


def _provisional(view: NDArray[np.int64], number: int) -> NDArray[np.bool_]:
    return (view >= _PROVISIONAL) & (view < _PROVISIONAL + number)


def _finish(session: Session, labels: Any, draft: Draft, work: list[_Work], title: str) -> Step:
    numbers = np.zeros(len(work), np.int64)
    changes: list[RecordChange] = []
    maximum = session.maximum
    for i, one in enumerate(work):
        mask = draft.view(one.region) == _PROVISIONAL + i
        area = int(np.count_nonzero(mask))
        if not area:
            if one.before is not None:
                raise ValueError(
                    f'nothing would be left of object {one.before.label}: all of these pixels '
                    'belong to others; replace them, or delete the object'
                )
            continue
        # Also checks that an id that was given fits.
        label = next_label((one.record.label or maximum + 1) - 1, labels.dtype)
        numbers[i] = label
        maximum = max(maximum, label)
        bounds = tight(mask, [start for start, _ in one.region]) or ()
        if one.before is not None and one.kept > 0:
            bounds = union(bounds, one.before.bounds)
        made = replace(one.record, label=label, area=area + one.kept, bounds=bounds)
        changes.append(RecordChange(label, one.before, made))
    draft.renumber(_PROVISIONAL, numbers)
    made_now = {change.label for change in changes}
    for label, count in draft.lost().items():
        loser = session.get(label)
        if loser is None or label in made_now:
            continue
        area = loser.area - count
        left = replace(loser, area=area, bounds=_shrunk(draft, loser)) if area > 0 else None
        changes.append(RecordChange(label, loser, left))
    edits = draft.edits()
    if not changes:
        return Step(title, (), (), session.maximum, session.maximum)
    return Step(title, edits, tuple(changes), session.maximum, maximum)


def _records(session: Session, ids: Iterable[int]) -> list[SegmentedObject]:
    records = []
    for label in dict.fromkeys(ids):
        record = session.get(label)
        if record is None:
            raise KeyError(f'no object has the id {label}')
        records.append(record)
    return records


def _claimed(draft: Draft, work: list[_Work]) -> dict[int, int]:
    claimed: dict[int, int] = {}
    for one in work:
        there = draft.view(one.region)[one.mask]
        for label, count in zip(*np.unique(there[there != 0], return_counts=True), strict=True):
            claimed[int(label)] = claimed.get(int(label), 0) + int(count)
    return claimed


def _rank(record: SegmentedObject) -> float:
    """Order of painting: the best score last, so that it owns what it shares."""
    return -np.inf if record.score is None else record.score


def _shrunk(draft: Draft, record: SegmentedObject) -> Region:
    if np.prod(shape_of(record.bounds), dtype=np.int64) > _MEASURED:
        return record.bounds
    found = tight(draft.read(record.bounds) == record.label, [a for a, _ in record.bounds])
    return found or record.bounds

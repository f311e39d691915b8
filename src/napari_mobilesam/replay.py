"""Replaying: a recorded session done again, by the model that made it or by another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import (
    Making,
    OverlapRule,
    PlacedMask,
    RecordChange,
    SegmentedObject,
    Session,
    Step,
    plan_commit,
)
from napari_mobilesam.exchange import ExchangeError
from napari_mobilesam.exchange.images import Picture
from napari_mobilesam.exchange.session_file import SavedSession

from .scripting import Session as Replayed

OnProgress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One object, as recorded and as replayed.

    Parameters
    ----------
    label : int
        Its id.
    class_name : str
        Empty for none.
    recorded, replayed : int
        Pixels.
    iou : float
        Intersection over union of the two, 1 where they are identical.
    """

    label: int
    class_name: str
    recorded: int
    replayed: int
    iou: float


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What came of a replay.

    Parameters
    ----------
    session : scripting.Session
        With the new labels.
    comparisons : tuple of Comparison
        Each object that has a record or pixels.
    predicted, copied : int
        Steps that the model did again, and those whose recorded pixels were taken as they were:
        painted by hand, merged, made in one go with others, or followed through the stack.
    identical : bool
        Whether all pixels are the recorded ones.
    """

    session: Replayed
    comparisons: tuple[Comparison, ...]
    predicted: int
    copied: int
    identical: bool


def replay(
    saved: SavedSession,
    picture: Picture,
    *,
    on_progress: OnProgress | None = None,
    **model: Any,
) -> Replay:
    """Do the steps of a session again.

    A commit from prompts is predicted again, in its place among the others: on the frame, from
    the mask on offer and with the tidying that are recorded; where the model is another one, from
    its best mask. Every other step is done as it was recorded. So is what a step did to other
    objects' pixels: whether they were kept follows from the record.

    Parameters
    ----------
    saved : SavedSession
        The session.
    picture : Picture
        Its image; see `find_image`.
    on_progress : callable, optional
        Told how many steps are done, and how many there are.
    **model
        ``weights``, ``segmenter`` and ``device``, of `scripting.Session`.
    """
    steps = saved.session.history.done
    labels = saved.labels.copy()
    for step in reversed(steps):
        step.revert(labels)
    books = Session(int(labels.max()))
    books.classes = saved.session.classes
    books.learn(_from_before(saved.session, steps))
    session = Replayed(picture, labels=labels, objects=books, **model)
    predicted = 0
    for done, step in enumerate(steps):
        if on_progress is not None:
            on_progress(done, len(steps))
        again = _again(session, step)
        predicted += again is not None
        session.apply(step if again is None else again)
    if on_progress is not None:
        on_progress(len(steps), len(steps))
    return Replay(
        session,
        compare(saved.labels, session.labels, saved.session),
        predicted,
        len(steps) - predicted,
        bool(np.array_equal(saved.labels, session.labels)),
    )


def compare(
    recorded: NDArray[Any], replayed: NDArray[Any], session: Session
) -> tuple[Comparison, ...]:
    """Compare two labels of one image, object by object."""
    if recorded.shape != replayed.shape:
        raise ExchangeError(
            f'labels of one shape can be compared; got {recorded.shape}, {replayed.shape}'
        )
    sizes, others = _sizes(recorded), _sizes(replayed)
    shared = _sizes(recorded[recorded == replayed])
    found = []
    for label in sorted({*sizes, *others, *(record.label for record in session)}):
        one, two, both = (counts.get(label, 0) for counts in (sizes, others, shared))
        union = one + two - both
        record = session.get(label)
        name = '' if record is None else session.classes.name(record.class_id)
        found.append(Comparison(label, name, one, two, both / union if union else 1.0))
    return tuple(found)


def _again(session: Replayed, step: Step) -> Step | None:
    """Predict a commit anew; None for steps that are no such thing."""
    if len(step.edits) == 0 or step.title != 'commit' or len(step.changes) == 0:
        return None
    made = [c for c in step.changes if c.after is not None and _is_prompted(c)]
    if len(made) != 1 or made[0].after is None:
        return None
    record, before, label = made[0].after, made[0].before, made[0].label
    prompted, score = record.prompted[-1], record.score
    making = prompted.making
    if not prompted.prompts or record.mapping is None or score is None:
        return None
    if making is not None and not making.plain:
        return None
    source = session.source(prompted.plane, record.mapping, making)
    prediction = session.annotator.predict(source, prompted.prompts)
    same = prediction.model_digest == record.model_digest
    if making is not None:
        makings = [making if same else replace(making, candidate=None)]
    elif same:
        # recorded before it was recorded how: what was done tells
        index = int(np.abs(prediction.candidates.scores - score).argmin())
        makings = [Making(index, prompted_only) for prompted_only in (True, False)]
    else:
        makings = [Making()]
    replaces = any(np.any((e.before != 0) & (e.before != label)) for e in step.edits)
    rule = OverlapRule.REPLACE if replaces else OverlapRule.KEEP
    plans = []
    for how in makings:
        patch = how.patch(prediction)
        new = replace(
            record,
            label=0 if before is None else label,
            score=prediction.candidates.score(how.candidate),
            model_digest=prediction.model_digest,
        )
        placed = PlacedMask.on_plane(prompted.plane, patch.mask, patch.corner, new)
        if before is not None:
            placed = replace(placed, clears=session.region(prompted.plane))
        plan = plan_commit(session.records, session.labels, [placed], rule, step.title)
        if _equal(plan, step):
            return _numbered(plan, label)
        plans.append(plan)
    return _numbered(plans[0], label) if plans[0].edits else None


def _is_prompted(change: RecordChange) -> bool:
    """Whether a change is that of an object that was made, or changed, by its last prompts."""
    before, after = change.before, change.after
    if after is None or not after.prompted:
        return False
    return before is None or before.prompted != after.prompted


def _equal(plan: Step, step: Step) -> bool:
    return len(plan.edits) == len(step.edits) and all(
        a.start == b.start and np.array_equal(a.mask, b.mask)
        for a, b in zip(plan.edits, step.edits, strict=True)
    )


def _numbered(plan: Step, label: int) -> Step:
    """Return a planned commit with the recorded id, where another one would follow by itself."""
    created = next((c.label for c in plan.changes if c.before is None), label)
    if created == label:
        return plan
    edits = tuple(
        replace(edit, after=np.where(edit.after == created, label, edit.after))
        for edit in plan.edits
    )
    changes = tuple(
        replace(c, label=label, after=c.after and replace(c.after, label=label))
        if c.label == created
        else c
        for c in plan.changes
    )
    return replace(
        plan, edits=edits, changes=changes, maximum_after=max(plan.maximum_before, label)
    )


def _from_before(session: Session, steps: tuple[Step, ...]) -> list[SegmentedObject]:
    """Return the records that were there before the first step."""
    records = {record.label: record for record in session}
    for step in reversed(steps):
        for change in step.changes:
            if change.before is None:
                records.pop(change.label, None)
            else:
                records[change.label] = change.before
    return list(records.values())


def _sizes(labels: NDArray[Any]) -> dict[int, int]:
    ids, counts = np.unique(labels, return_counts=True)
    return {int(i): int(n) for i, n in zip(ids, counts, strict=True) if i}

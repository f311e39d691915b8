"""What committing writes: the records of candidates and of many objects, and the step for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_mobilesam.engine import (
    OverlapRule,
    PlacedMask,
    PromptedPlane,
    SegmentedObject,
    Step,
    plan_commit,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_mobilesam.engine import PlaneSource, Prompts

    from .labels_target import LabelsTarget
    from .predicting import Shown


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One object to be committed.

    Attributes
    ----------
    rows, columns
        Where in the plane.
    patch
        The mask there.
    prompts
        What it was made from.
    score
        The decoder's estimate of its quality.
    record
        The object that this one becomes, instead of a new one.
    """

    rows: slice
    columns: slice
    patch: NDArray[np.bool_]
    prompts: Prompts
    score: float
    record: SegmentedObject | None = None


def plan_candidate(
    target: LabelsTarget,
    shown: Shown,
    rule: OverlapRule,
    class_id: int,
    before: SegmentedObject | None,
) -> Step:
    """Plan to put the candidate on display into the labels.

    Parameters
    ----------
    target
        The labels.
    shown
        The candidate.
    rule
        What becomes of pixels of other objects.
    class_id
        Of a new object.
    before
        The object that it becomes, instead of a new one.

    Raises
    ------
    UndecidedOverlapError
        If the rule is to ask, and there is something to ask.
    ValueError, LabelOverflowError
        If it cannot be; says why.
    """
    prompted = PromptedPlane(shown.prediction.key, shown.prediction.prompts, shown.making)
    base = SegmentedObject(class_id=class_id) if before is None else before
    record = replace(
        base,
        prompted=(*(p for p in base.prompted if p.plane != prompted.plane), prompted),
        score=shown.score,
        model_digest=shown.prediction.model_digest,
        # the limits of a stack are known by now: nothing is read here
        mapping=shown.source.resolved_mapping(),
        reviewed=False,
    )
    patch = shown.patch
    return _plan(target, shown.source, [(patch.rows, patch.columns, patch.mask, record)], rule)


def plan_found(
    target: LabelsTarget,
    source: PlaneSource,
    found: Sequence[Found],
    rule: OverlapRule,
    class_id: int,
    model_digest: str,
    title: str,
) -> Step:
    """Plan to put many objects of one plane into the labels; see `plan_candidate`."""
    new = SegmentedObject(class_id=class_id)
    items = [
        (
            one.rows,
            one.columns,
            one.patch,
            replace(
                new if one.record is None else one.record,
                prompted=(PromptedPlane(source.key, one.prompts),),
                score=one.score,
                model_digest=model_digest,
                mapping=source.mapping,
                reviewed=False,
            ),
        )
        for one in found
    ]
    return _plan(target, source, items, rule, title)


def _plan(
    target: LabelsTarget,
    source: PlaneSource,
    items: Sequence[tuple[slice, slice, NDArray[np.bool_], SegmentedObject]],
    rule: OverlapRule,
    title: str = 'commit',
) -> Step:
    place = target.place(source.key)
    layer = target.ensure()
    if layer.preserve_labels:
        rule = OverlapRule.KEEP
    placed = [
        PlacedMask(*place.placed(rows, columns, patch), record, place.region)
        for rows, columns, patch, record in items
    ]
    return plan_commit(target.session, layer.data, placed, rule, title)

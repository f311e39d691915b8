"""Writing masks of many slices into labels: planned as one step, slice by slice, never whole.

What comes out is a `Step`, which is written, undone and recorded like a commit on one plane.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_mobilesam.engine import regions
from napari_mobilesam.engine.edits import LabelEdit
from napari_mobilesam.engine.history import Step
from napari_mobilesam.engine.objects import SegmentedObject
from napari_mobilesam.engine.planning import plan_painted
from napari_mobilesam.engine.regions import Region
from napari_mobilesam.engine.session import Session

from .linking import Linked
from .patch import MaskPatch, union_box
from .slicing import LabelSlices


@dataclass(frozen=True, slots=True, eq=False)
class SliceWrite:
    """What becomes of one slice.

    Parameters
    ----------
    masks : sequence of (int, MaskPatch)
        Objects and their pixels on it, the most certain last: it keeps what several claim.
    clears : collection of int
        Objects whose former pixels on the slice go.
    """

    masks: Sequence[tuple[int, MaskPatch]] = ()
    clears: Collection[int] = ()


def write_slices(
    slices: LabelSlices, writes: Mapping[int, SliceWrite]
) -> tuple[list[LabelEdit], dict[tuple[int, int], MaskPatch]]:
    """Plan to write masks; objects that are not among them keep all of their pixels.

    Parameters
    ----------
    slices : LabelSlices
        The labels; one slice is read at a time.
    writes : mapping of int to SliceWrite
        By slice.

    Returns
    -------
    edits : list of LabelEdit
        One for each slice that changes.
    written : dict of (int, int) to MaskPatch
        By object and slice, what it then has there of the masks.
    """
    edits: list[LabelEdit] = []
    written: dict[tuple[int, int], MaskPatch] = {}
    for position, write in sorted(writes.items()):
        masks = [(label, patch.clipped(slices.shape)) for label, patch in write.masks]
        plane = slices.read(position)
        former = MaskPatch.cut(np.isin(plane, list(write.clears))) if write.clears else None
        rows, columns = union_box([p for _, p in masks] + ([former] if former else []))
        if rows.start == rows.stop:
            continue
        values = plane[rows, columns].copy()
        if write.clears:
            values[np.isin(values, list(write.clears))] = 0
        free = values == 0
        for label, patch in masks:
            values[patch.within(rows, columns) & free] = label
        for label, _ in masks:
            written[label, position] = MaskPatch.cut(values == label, rows.start, columns.start)
        edit = slices.edit(position, rows, columns, values)
        if edit is not None:
            edits.append(edit)
    return edits, written


@dataclass(frozen=True, slots=True, eq=False)
class NewObjects:
    """New objects of a stack, to be written.

    Parameters
    ----------
    edits : tuple of LabelEdit
        One for each slice that changes.
    scores : mapping of int to float
        By id.
    bounds : mapping of int to Region
        Where they will be.
    """

    edits: tuple[LabelEdit, ...]
    scores: Mapping[int, float]
    bounds: Mapping[int, Region]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectChanges:
    """What becomes of objects on some slices, to be written.

    Parameters
    ----------
    edits : tuple of LabelEdit
        One for each slice that changes.
    records : mapping of int to SegmentedObject
        The objects' new records, areas and bounds apart.
    bounds : mapping of int to Region
        Where they will be.
    """

    edits: tuple[LabelEdit, ...]
    records: Mapping[int, SegmentedObject]
    bounds: Mapping[int, Region]


def write_linked(slices: LabelSlices, objects: Sequence[Linked], first_label: int) -> NewObjects:
    """Plan to write the objects of a stack where nothing is yet.

    Parameters
    ----------
    slices : LabelSlices
        The labels.
    objects : sequence of Linked
        Where two of them overlap, the one with the better score has the pixels. What gets no
        pixel is left out.
    first_label : int
        The id of the first object; the next ones follow.
    """
    scores = {first_label + number: one.score for number, one in enumerate(objects)}
    wanted: dict[int, list[tuple[int, MaskPatch]]] = {}
    for label, one in sorted(zip(scores, objects, strict=True), key=lambda item: scores[item[0]]):
        for position, patch in one.masks().items():
            wanted.setdefault(position, []).append((label, patch))
    writes = {position: SliceWrite(masks) for position, masks in wanted.items()}
    edits, written = write_slices(slices, writes)
    bounds: dict[int, Region] = {}
    for (label, position), patch in written.items():
        if patch:
            region = slices.region(position, patch)
            bounds[label] = regions.union(bounds[label], region) if label in bounds else region
    return NewObjects(tuple(edits), {label: scores[label] for label in bounds}, bounds)


def plan_slices(
    session: Session,
    edits: Sequence[LabelEdit],
    title: str,
    *,
    records: Mapping[int, SegmentedObject] | None = None,
    bounds: Mapping[int, Region] | None = None,
    complete: bool = True,
) -> Step | None:
    """Make a step of edits of several slices.

    Parameters
    ----------
    session : Session
        The objects that are there.
    edits : sequence of LabelEdit
        No pixel occurs twice.
    title : str
        Of the step.
    records : mapping of int to SegmentedObject, optional
        What is to be recorded of objects, areas and bounds apart.
    bounds : mapping of int to Region, optional
        Where objects will be, see `bounds_after`; of others it is only known that they grow.
    complete : bool
        As of `plan_painted`.

    Returns
    -------
    Step or None
        None if nothing changes.
    """
    if not edits:
        return None
    records, bounds = records or {}, bounds or {}
    counted = plan_painted(session, edits, complete=complete)
    changes = []
    for change in counted.changes:
        after = change.after
        if after is not None:
            place = bounds.get(after.label, after.bounds)
            known = records.get(after.label, after)
            after = replace(known, label=after.label, area=after.area, bounds=place)
        changes.append(replace(change, after=after))
    return replace(counted, title=title, changes=tuple(changes))


def excluding(edit: LabelEdit, others: Sequence[LabelEdit]) -> LabelEdit | None:
    """Return an edit without the pixels that others change; None if nothing is left of it."""
    mask = edit.mask.copy()
    for other in others:
        shared = regions.intersection(edit.region, other.region)
        if shared is not None:
            taken = other.mask[regions.within(shared, other.region)]
            mask[regions.within(shared, edit.region)] &= ~taken
    kept = mask[edit.mask]
    if kept.all():
        return edit
    if not kept.any():
        return None
    before, after = (
        values if len(values) == 1 else values[kept] for values in (edit.before, edit.after)
    )
    return LabelEdit(edit.start, mask, before, after)


def bounds_after(
    slices: LabelSlices, label: int, bounds: Region, edits: Sequence[LabelEdit]
) -> Region | None:
    """Return where an object will be after edits, measured anew slice by slice.

    Parameters
    ----------
    slices : LabelSlices
        The labels, before the edits.
    label : int
        The object.
    bounds : Region
        Where it is by now.
    edits : sequence of LabelEdit
        What will be written.

    Returns
    -------
    Region or None
        None where nothing is left of it, or where it lies on more than these slices, such as
        other times.
    """
    hidden = set(range(len(slices.index))) - {*slices.axes, slices.axis}
    if any(bounds[axis] != (slices.index[axis], slices.index[axis] + 1) for axis in hidden):
        return None
    grown = regions.union(bounds, *(edit.region for edit in edits if (edit.after == label).any()))
    found: list[Region] = []
    for place in range(*grown[slices.axis]):
        region = tuple(
            (place, place + 1) if axis == slices.axis else part for axis, part in enumerate(grown)
        )
        mask = np.asarray(slices.labels[regions.slices(region)]) == label
        for edit in edits:
            shared = regions.intersection(edit.region, region)
            if shared is not None:
                after = np.zeros(edit.mask.shape, bool)
                after[edit.mask] = edit.after == label
                here = regions.within(shared, edit.region)
                part = mask[regions.within(shared, region)]
                part[edit.mask[here]] = after[here][edit.mask[here]]
        tight = regions.tight(mask, [start for start, _ in region])
        if tight is not None:
            found.append(tight)
    return regions.union(*found) if found else None

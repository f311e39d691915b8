"""Refining: labels that another program made, outlined anew by the model, slice by slice.

Ids stay what they are, so an object of a stack is one object still. What the model is unsure of,
or finds another thing for, is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_mobilesam.engine import regions
from napari_mobilesam.engine.objects import SegmentedObject
from napari_mobilesam.engine.regions import Region

from .choice import Expected, find_on_slice
from .patch import MaskPatch, overlap
from .writing import ObjectChanges

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from napari_mobilesam.engine.annotator import Annotator
    from napari_mobilesam.engine.cancel import CancelToken

    from .series import PlaneSeries
    from .slicing import LabelSlices

RefineMode = Literal['replace', 'keep', 'compare']
"""Refined masks take the place of the labels; only add free pixels to them; or go elsewhere."""

# A refined object that agrees less with the coarse one is another object.
_SAME_OBJECT = 0.4
_REACH = 0.35
# Up to this id objects are looked up in a list by id.
_TABLE = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class RefinedMask:
    """One object on one slice.

    Parameters
    ----------
    before, after : MaskPatch
        As it was, and as the model outlines it; neither is empty.
    score : float
        The model's estimate of the mask's quality.
    likeness : float
        Overlap of the two, as intersection over union.
    """

    before: MaskPatch
    after: MaskPatch
    score: float
    likeness: float


@dataclass(frozen=True, slots=True, eq=False)
class RefinedSlice:
    """The labels of one slice, refined; no two of the masks share a pixel.

    Parameters
    ----------
    index : int
        The slice.
    shape : tuple of (int, int)
        Of the plane.
    changed : mapping of int to RefinedMask
        By id, objects with another outline.
    kept : mapping of int to MaskPatch
        Objects that are left as they were: the model found something else there, or was unsure.
    done, total : int
        Slices.
    """

    index: int
    shape: tuple[int, int]
    changed: Mapping[int, RefinedMask]
    kept: Mapping[int, MaskPatch]
    done: int
    total: int

    def labels(self, dtype: DTypeLike = np.int32) -> NDArray[Any]:
        """Paint the refined labels of the slice, (H, W)."""
        painted = np.zeros(self.shape, dtype)
        for label, patch in (*self.kept.items(), *_after(self.changed)):
            painted[patch.rows, patch.columns][patch.mask] = label
        return painted


def refine(
    annotator: Annotator,
    planes: PlaneSeries,
    coarse: Callable[[int], NDArray[Any]],
    min_score: float = 0.5,
    slices: Sequence[int] | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[RefinedSlice]:
    """Improve the outlines of labels that another program made, slice by slice.

    Parameters
    ----------
    annotator : Annotator
        The model and its embeddings.
    planes : PlaneSeries
        The slices of the image.
    coarse : callable
        Gives the labels of a slice, (H, W), by its number; called when they are needed. Ids are
        above 0.
    min_score : float
        Objects of which the model is less sure are left as they are.
    slices : sequence of int, optional
        Which, in this order; by default all.
    cancel : CancelToken, optional
        Polled all the way.

    Yields
    ------
    RefinedSlice
        Slice after slice.

    Raises
    ------
    Cancelled
        If the token was cancelled.
    ValueError
        If the labels of a slice have another shape than its plane.
    """
    wanted = list(range(len(planes)) if slices is None else slices)
    for done, index in enumerate(wanted, 1):
        if cancel is not None:
            cancel.check()
        labels = np.asarray(coarse(index))
        if labels.shape != planes.shape:
            raise ValueError(f'expected labels of {planes.shape} on slice {index}: {labels.shape}')
        expected = []
        for label, box in _boxes(labels).items():
            patch = MaskPatch.cut(labels[box] == label, box[0].start, box[1].start)
            expected.append(Expected(label, patch, max(2.0, _REACH * patch.radius)))
        found = (
            find_on_slice(annotator, planes[index], expected, [], 'agreement', cancel)
            if expected
            else []
        )
        offers = {}
        for one, choice in zip(expected, found, strict=True):
            likeness = overlap(choice.patch, one.shape)
            if choice.score >= min_score and likeness >= _SAME_OBJECT:
                offers[one.label] = RefinedMask(one.shape, choice.patch, choice.score, likeness)
        shapes = {one.label: one.shape for one in expected}
        kept = {label: patch for label, patch in shapes.items() if label not in offers}
        changed = _beside(kept, offers, planes.shape)
        yield RefinedSlice(index, planes.shape, changed, kept, done, len(wanted))


def write_refined(
    slices: LabelSlices,
    refined: Collection[RefinedSlice],
    records: Mapping[int, SegmentedObject],
    mode: RefineMode,
    made: SegmentedObject | None = None,
    cancel: CancelToken | None = None,
) -> ObjectChanges:
    """Plan to write refined labels, slice by slice.

    Parameters
    ----------
    slices : LabelSlices
        The labels that were refined; with ``'compare'`` those that the refined ones go to.
    refined : collection of RefinedSlice
        What `refine` gave.
    records : mapping of int to SegmentedObject
        What is known of the objects that were refined, by id.
    mode : {'replace', 'keep', 'compare'}
        ``'replace'``: each object gets its new outline; one that was changed on a slice since it
        was refined stays as it is there. ``'keep'``: it only grows, into pixels that are free.
        ``'compare'``: all objects of the slices are written, where nothing is yet.
    made : SegmentedObject, optional
        Model and mapping to be recorded of objects whose outlines the model made.
    cancel : CancelToken, optional
        Polled between slices.

    Returns
    -------
    ObjectChanges
        To be made a step with `plan_slices`.

    Raises
    ------
    Cancelled
        If the token was cancelled.
    ValueError
        If an id is too large for the labels.
    """
    _check_ids(slices, refined)
    made = SegmentedObject() if made is None else made
    edits = []
    places: dict[int, list[Region]] = {}
    outlined: dict[int, list[RefinedMask]] = {}
    for one in sorted(refined, key=lambda one: one.index):
        if cancel is not None:
            cancel.check()
        plane = slices.read(one.index)
        touched = _write(plane, one, mode)
        for label in touched & one.changed.keys():
            outlined.setdefault(label, []).append(one.changed[label])
        if touched:
            rows, columns = (slice(0, side) for side in slices.shape)
            edit = slices.edit(one.index, rows, columns, plane)
            if edit is not None:
                edits.append(edit)
        for label, (rows, columns) in _boxes(plane).items():
            places.setdefault(label, []).append(slices.place(one.index, rows, columns))
    done = {one.index + slices.offset[2] for one in refined}
    bounds = {
        label: _bounds(slices, records.get(label) if mode != 'compare' else None, found, done)
        for label, found in places.items()
    }
    after = {}
    for label, masks in outlined.items():
        record = records.get(label, SegmentedObject(label))
        if mode == 'keep':
            after[label] = replace(record, reviewed=False)
            continue
        score = np.average([m.score for m in masks], weights=[m.after.area for m in masks])
        after[label] = replace(
            record,
            score=float(score),
            model_digest=made.model_digest,
            mapping=made.mapping,
            reviewed=False,
        )
    if mode == 'compare':
        for label in places.keys() - after.keys():
            after[label] = records.get(label, SegmentedObject(label))
    return ObjectChanges(tuple(edits), after, bounds)


def _boxes(plane: NDArray[Any]) -> dict[int, tuple[slice, slice]]:
    """Return the rows and columns of each object of a plane."""
    from scipy import ndimage

    ids: NDArray[Any] | None = None
    if plane.max(initial=0) > _TABLE:
        ids, plane = np.unique(np.where(plane > 0, plane, 0), return_inverse=True)
        if ids[0] > 0:  # no background
            ids, plane = np.concatenate((ids[:1], ids)), plane + 1
        plane = plane.reshape(-1, plane.shape[-1])
    found = ndimage.find_objects(plane.astype(np.intp, copy=False))
    return {
        number if ids is None else int(ids[number]): box
        for number, box in enumerate(found, 1)
        if box is not None
    }


def _after(changed: Mapping[int, RefinedMask]) -> list[tuple[int, MaskPatch]]:
    return [(label, one.after) for label, one in changed.items()]


def _beside(
    kept: Mapping[int, MaskPatch], offers: Mapping[int, RefinedMask], size: tuple[int, int]
) -> dict[int, RefinedMask]:
    """Return masks without the pixels of objects that are left as they were.

    Something is left of each: what it shares with its own former shape is nobody else's.
    """
    taken = np.zeros(size, bool)
    for patch in kept.values():
        taken[patch.rows, patch.columns] |= patch.mask
    changed = {}
    for label, one in offers.items():
        patch = one.after
        mask = patch.mask & ~taken[patch.rows, patch.columns]
        changed[label] = replace(one, after=MaskPatch.cut(mask, patch.row, patch.column))
    return changed


def _write(plane: NDArray[Any], one: RefinedSlice, mode: RefineMode) -> set[int]:
    """Write refined masks into a plane of labels; return whose."""
    masks = one.changed
    if mode == 'replace':
        masks = {label: m for label, m in masks.items() if _unchanged(plane, label, m.before)}
        for mask in masks.values():
            plane[mask.before.rows, mask.before.columns][mask.before.mask] = 0
    wanted = _after(masks)
    if mode == 'compare':
        wanted += one.kept.items()
    touched = set()
    for label, patch in wanted:
        part = plane[patch.rows, patch.columns]
        free = patch.mask & (part == 0)
        if free.any():
            part[free] = label
            touched.add(label)
    return touched


def _unchanged(plane: NDArray[Any], label: int, patch: MaskPatch) -> bool:
    return bool(((plane[patch.rows, patch.columns] == label) == patch.mask).all())


def _check_ids(slices: LabelSlices, refined: Collection[RefinedSlice]) -> None:
    largest = max((label for one in refined for label in (*one.changed, *one.kept)), default=0)
    room = int(np.iinfo(slices.labels.dtype).max)
    if largest > room:
        raise ValueError(
            f'expected ids up to {room}, for which labels of {slices.labels.dtype} have room; '
            f'got {largest}: number the labels anew, or replace them in their own layer'
        )


def _bounds(
    slices: LabelSlices, record: SegmentedObject | None, found: list[Region], done: set[int]
) -> Region:
    """Return where an object is: what was found of it, and where it was on other slices."""
    here = regions.union(*found)
    if record is None or not record.bounds:
        return here
    before = record.bounds
    seen = list(slices.place(0, *(slice(0, side) for side in slices.shape)))
    seen[slices.axis] = before[slices.axis]
    if regions.union(tuple(seen), before) != tuple(seen):
        return regions.union(here, before)  # also beside these slices, such as at other times
    rest = [place for place in range(*before[slices.axis]) if place not in done]
    if not rest:
        return here
    seen = list(before)
    seen[slices.axis] = (rest[0], rest[-1] + 1)
    return regions.union(here, tuple(seen))

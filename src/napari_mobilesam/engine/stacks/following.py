"""Following objects of a labels array: what the user gave, what was found, what is written.

Nobody has to say which slices are given and which are to be found anew: pixels that are not the
ones that were written here are the user's, and become anchors; the others hang on those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine.annotator import Annotator
from napari_mobilesam.engine.cancel import CancelToken
from napari_mobilesam.engine.objects import SegmentedObject
from napari_mobilesam.engine.regions import Region

from .consensus import ViewStep, side_planes, sideways, three_views
from .patch import MaskPatch
from .propagation import Propagation, PropagationOptions, PropagationStep, SliceMask, Stop
from .series import PlaneSeries
from .slicing import LabelSlices
from .writing import ObjectChanges, SliceWrite, bounds_after, write_slices

_Pixels = tuple[int, int, int, int, bytes]


class Following:
    """Objects of labels that are followed along a slider, again and again as they are corrected.

    Belongs to one thread at a time.

    Parameters
    ----------
    annotator : Annotator
        The model and its embeddings.
    planes : PlaneSeries
        The slices.
    options : PropagationOptions, optional
        How to follow.
    """

    def __init__(
        self,
        annotator: Annotator,
        planes: PlaneSeries,
        options: PropagationOptions | None = None,
    ) -> None:
        self.annotator = annotator
        self.planes = planes
        self._propagation = Propagation(annotator, planes, options)
        self._ours: dict[int, dict[int, set[_Pixels]]] = {}
        self._ends: dict[int, set[int]] = {}

    @property
    def options(self) -> PropagationOptions:
        """How objects are followed."""
        return self._propagation.options

    @property
    def labels(self) -> tuple[int, ...]:
        """The objects that were followed, by ascending id."""
        return self._propagation.labels

    def inherit(self, other: Following) -> None:
        """Take over what another one wrote into the same labels: it is not the user's."""
        self._ours = other._ours
        self._ends = other._ends

    def end(self, label: int, positions: Collection[int]) -> None:
        """Take note that the user cut an object off: it is not on these slices."""
        self._ends.setdefault(label, set()).update(positions)

    def take_in(
        self, slices: LabelSlices, label: int, bounds: Region, cancel: CancelToken | None = None
    ) -> None:
        """Look what the user gave of an object, and what was changed since.

        Parameters
        ----------
        slices : LabelSlices
            The labels.
        label : int
            The object.
        bounds : Region
            Where it can be in the labels.
        cancel : CancelToken, optional
            Polled between slices.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        ValueError
            If there is nothing of it on any slice.
        """
        rows, columns = slices.window(bounds)
        found: dict[int, MaskPatch] = {}
        for position in slices.span(bounds):
            if cancel is not None:
                cancel.check()
            part = slices.part(position, rows, columns) == label
            patch = MaskPatch.cut(part, rows.start, columns.start)
            if patch:
                found[position] = patch
        if not found:
            raise ValueError(f'object {label} is on none of these slices: commit it on one first')
        ours = self._ours.get(label, {})
        given = {p: patch for p, patch in found.items() if _pixels(patch) not in ours.get(p, ())}
        if not given:
            # What it was followed from is gone: what there is now has to do.
            self._ours.pop(label, None)
            given = found
        ends = {p for p in self._ends.get(label, ()) if p not in found}
        self._ends[label] = ends
        before, marked = self._propagation.anchors(label), self._propagation.marks(label)
        for position, patch in given.items():
            if position not in before or _pixels(before[position]) != _pixels(patch):
                self._propagation.anchor(label, position, patch)
        for position in {*before, *marked} - {*given, *ends}:
            self._propagation.release(label, position)
        for position in ends - marked:
            self._propagation.mark(label, position)

    def run(
        self,
        labels: Collection[int],
        within: range | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[PropagationStep]:
        """Follow objects that were taken in, where they have not been; as `Propagation.run`."""
        return self._propagation.run(cancel, labels, within)

    def check_sides(self, depth: float = 1.0) -> None:
        """Make sure that there are sides to look from, before anything is followed.

        Raises
        ------
        ValueError
            If the planes have none; see `sideways`.
        """
        for axis in self.planes[self.planes.position].whole.key.displayed:
            sideways(self.planes, axis, depth)

    def from_sides(
        self,
        labels: Collection[int],
        depth: float = 1.0,
        within: range | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[ViewStep]:
        """Let the other two sides of objects that were followed have a say; as `three_views`."""
        counts = {label: side_planes(self.planes, self.masks(label)) for label in labels}
        before, total = 0, sum(counts.values())
        for label, count in counts.items():
            for step in three_views(
                self.annotator, self.planes, self._propagation, label, depth, within, cancel
            ):
                yield replace(step, done=before + step.done, total=total)
            before += count

    def masks(self, label: int) -> Mapping[int, SliceMask]:
        """Return an object's masks by slice; none for an object that was not followed."""
        return self._propagation.masks(label) if label in self.labels else {}

    def confidence(self, label: int) -> NDArray[np.float64]:
        """Return the confidence on each slice, NaN where the object is not."""
        if label not in self.labels:
            return np.full(len(self.planes), np.nan)
        return self._propagation.confidence(label)

    def stops(self, label: int) -> tuple[Stop, ...]:
        """Return where an object ended and why, by ascending slice."""
        return self._propagation.stops(label) if label in self.labels else ()

    def plan(
        self, slices: LabelSlices, records: Mapping[int, SegmentedObject], complete: bool = True
    ) -> ObjectChanges:
        """Plan to write objects that were followed into the labels.

        Slices that the user gave stay as they are, and other objects keep their pixels.

        Parameters
        ----------
        slices : LabelSlices
            The labels.
        records : mapping of int to SegmentedObject
            The objects, by id.
        complete : bool
            False if following was cut short: what was there before and not come to yet stays.

        Returns
        -------
        ObjectChanges
            What changes. From now on such pixels count as written here.
        """
        wanted: dict[int, list[tuple[float, int, MaskPatch]]] = {}
        clears: dict[int, set[int]] = {}
        for label, record in records.items():
            anchors, masks = self._propagation.anchors(label), self.masks(label)
            for position, mask in masks.items():
                if position not in anchors:
                    wanted.setdefault(position, []).append((mask.confidence, label, mask.patch))
                    clears.setdefault(position, set()).add(label)
            if complete:
                for position in slices.span(record.bounds):
                    if position not in anchors and position in self._ours.get(label, {}):
                        clears.setdefault(position, set()).add(label)
        writes = {
            position: SliceWrite(
                [(label, patch) for _, label, patch in _ordered(wanted.get(position, []))],
                clears.get(position, ()),
            )
            for position in {*wanted, *clears}
        }
        edits, written = write_slices(slices, writes)
        for (label, position), patch in written.items():
            if patch:
                self._ours.setdefault(label, {}).setdefault(position, set()).add(_pixels(patch))
        after = {
            label: replace(
                record,
                score=self._score(label),
                model_digest=self.annotator.segmenter.digest,
                mapping=self.planes[0].mapping,
                reviewed=False,
            )
            for label, record in records.items()
            if label in self.labels
        }
        bounds = {}
        for label, record in records.items():
            if record.bounds:
                place = bounds_after(slices, label, record.bounds, edits)
                if place is not None:
                    bounds[label] = place
        return ObjectChanges(tuple(edits), after, bounds)

    def _score(self, label: int) -> float:
        """Return the mean of what the model says of an object's slices, by their areas."""
        masks = list(self.masks(label).values())
        areas = [mask.patch.area for mask in masks]
        return float(np.average([mask.score for mask in masks], weights=areas))


def _ordered(
    masks: list[tuple[float, int, MaskPatch]],
) -> list[tuple[float, int, MaskPatch]]:
    return sorted(masks, key=lambda item: item[:2])


def _pixels(patch: MaskPatch) -> _Pixels:
    return patch.row, patch.column, patch.height, patch.width, patch.bits.tobytes()

"""The scripting API for stacks: follow objects, find them all, refine labels, slice by slice.

::

    from napari_mobilesam import Session

    session = Session.open('stack.tif')
    nucleus = session.segment(points=[(12, 140, 225)])  # slice, row, column
    session.stack().propagate([nucleus])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from napari_mobilesam.engine import PlaneKey, SegmentedObject, Step
from napari_mobilesam.engine.stacks import PlaneSeries, PropagationOptions
from napari_mobilesam.engine.stacks.detectors import detector
from napari_mobilesam.engine.stacks.following import Following
from napari_mobilesam.engine.stacks.linking import LinkOptions, link
from napari_mobilesam.engine.stacks.refining import RefineMode, refine, write_refined
from napari_mobilesam.engine.stacks.slicing import LabelSlices
from napari_mobilesam.engine.stacks.volume import VolumeSegmentation
from napari_mobilesam.engine.stacks.writing import ObjectChanges, plan_slices, write_linked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_mobilesam.engine.stacks.choice import Mode

    from .scripting import Session

#: Told how many slices are done, and how many there are.
Progress = Callable[[int, int], object]


class Stack:
    """The slices of a session's image along one axis; made by `Session.stack`.

    What it does goes into the labels of the session, each call as one step of its undo. Keep it
    while objects are corrected: it knows which slices it wrote, and which ones are yours.

    Parameters
    ----------
    session : Session
        The image, the model, the labels.
    key : PlaneKey
        One of the slices.
    axis : int
        The axis of the image that they follow each other on.
    """

    def __init__(self, session: Session, key: PlaneKey, axis: int) -> None:
        self._session = session
        self._key, self._axis = key, axis
        self._series = PlaneSeries(session.source(key), axis)
        self._slices = LabelSlices.of(session.labels, key, axis)
        scale = session.picture.scale
        # Distances along the slices count in the unit of their pixels, which is 1 without one.
        self._depth = float(scale[axis])
        self._following: Following | None = None

    def __len__(self) -> int:
        return len(self._series)

    def propagate(
        self,
        labels: Iterable[int] | None = None,
        *,
        first: int = 0,
        last: int | None = None,
        mode: Mode = 'agreement',
        three_views: bool = False,
        progress: Progress | None = None,
    ) -> dict[int, NDArray[np.float64]]:
        """Follow objects from the slices that they are on through the others.

        Slices that you gave or corrected stay as they are; those written by an earlier call are
        found anew where their neighbours changed.

        Parameters
        ----------
        labels : iterable of int, optional
            Which objects; by default all that are on these slices.
        first, last : int
            The slices to follow them on, both included; by default all.
        mode : {'agreement', 'box', 'mask', 'points'}
            How an object is prompted from slice to slice; ``'agreement'`` tries all ways.
        three_views : bool
            Ask the planes across the slices as well, and keep what two of three views agree on.
        progress : callable, optional
            Told how many slices are done, and how many there are.

        Returns
        -------
        dict of int to ndarray of float, shape (len(stack),)
            By object, the confidence on each slice; NaN where it is not.

        Raises
        ------
        ValueError
            If an object does not exist, or is on none of the slices.
        """
        within = self._range(first, last)
        following = self._follower(mode)
        records = self._records(labels)
        if three_views:
            following.check_sides(self._depth)
        for label, record in records.items():
            following.take_in(self._slices, label, record.bounds)
        for step in following.run(tuple(records), within):
            _tell(progress, step.done, step.total)
        if three_views:
            for view in following.from_sides(tuple(records), self._depth, within):
                _tell(progress, view.done, view.total)
        self._write(following.plan(self._slices, records), f'follow {len(records)} objects')
        return {label: following.confidence(label) for label in records}

    def find(
        self,
        what: Literal['bright', 'dark', 'grid'] = 'bright',
        *,
        options: LinkOptions | None = None,
        first: int = 0,
        last: int | None = None,
        progress: Progress | None = None,
    ) -> list[int]:
        """Find all objects, and link those of neighbouring slices; other objects keep their pixels.

        Parameters
        ----------
        what : {'bright', 'dark', 'grid'}
            Objects that stand out from their ground, or all that a grid of points gives.
        options : LinkOptions, optional
            What is kept, and what is linked; by default what the model is at least 0.3 sure of.
        first, last, progress
            As of `propagate`.

        Returns
        -------
        list of int
            The ids of the objects, each one through all of its slices.
        """
        segmentation = VolumeSegmentation(self._series, detector(what, self._session.annotator))
        for step in segmentation.run(self._range(first, last)):
            _tell(progress, step.done, step.total)
        objects = link(segmentation.found, options or LinkOptions(min_score=0.3))
        found = write_linked(self._slices, objects, self._session.records.maximum + 1)
        made = self._made()
        records = {label: replace(made, score=score) for label, score in found.scores.items()}
        self._write(
            ObjectChanges(found.edits, records, found.bounds), f'find {len(records)} objects'
        )
        return sorted(records)

    def refine(
        self,
        *,
        min_score: float = 0.5,
        mode: Literal['replace', 'keep'] = 'replace',
        slices: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> list[int]:
        """Outline objects anew that another program made; they keep their ids.

        Parameters
        ----------
        min_score : float
            Objects of which the model is less sure stay as they are.
        mode : {'replace', 'keep'}
            Whether an object gets its new outline, or only grows into pixels that are free.
        slices : sequence of int, optional
            Which; by default all.
        progress : callable, optional
            As of `propagate`.

        Returns
        -------
        list of int
            The ids of the objects with another outline on some slice.
        """
        found = []
        for step in refine(
            self._session.annotator, self._series, self._slices.read, min_score, slices
        ):
            found.append(step)
            _tell(progress, step.done, step.total)
        chosen: RefineMode = mode
        changes = write_refined(self._slices, found, self._records(None), chosen, self._made())
        self._write(changes, f'refine {len(changes.records)} objects')
        return sorted({label for step in found for label in step.changed})

    # -- inner

    def _range(self, first: int, last: int | None) -> range:
        last = len(self) - 1 if last is None else last
        if not 0 <= first <= last < len(self):
            raise ValueError(
                f'expected slices from 0 to {len(self) - 1}, the first before the last; '
                f'got {first} and {last}'
            )
        return range(first, last + 1)

    def _follower(self, mode: Mode) -> Following:
        known = self._following
        if known is None or known.options.mode != mode:
            options = PropagationOptions(mode=mode)
            self._following = Following(self._session.annotator, self._series, options)
            if known is not None:
                self._following.inherit(known)
        assert self._following is not None
        return self._following

    def _records(self, labels: Iterable[int] | None) -> dict[int, SegmentedObject]:
        known = {record.label: record for record in self._session.objects}
        if labels is None:
            return {label: record for label, record in known.items() if self._may_have(record)}
        wanted = list(labels)
        missing = [label for label in wanted if label not in known]
        if missing:
            raise ValueError(f'there are no objects {missing}; there are {sorted(known)}')
        return {label: known[label] for label in wanted}

    def _may_have(self, record: SegmentedObject) -> bool:
        """Whether an object's bounds reach these slices."""
        return all(
            axis == self._axis or record.bounds[axis][0] <= place < record.bounds[axis][1]
            for axis, place in zip(self._key.indexed, self._key.index, strict=True)
        )

    def _made(self) -> SegmentedObject:
        """What is recorded of an object that the model made here."""
        return SegmentedObject(
            model_digest=self._session.annotator.segmenter.digest, mapping=self._series[0].mapping
        )

    def _write(self, changes: ObjectChanges, title: str) -> Step | None:
        step = plan_slices(
            self._session.records,
            changes.edits,
            title,
            records=changes.records,
            bounds=changes.bounds,
        )
        if step is not None:
            self._session.apply(step)
        return step


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)

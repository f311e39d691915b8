"""Propagate: objects of the labels followed through a stack, and written as one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine.stacks import PropagationOptions, PropagationStep, SliceMask, Stop
from napari_mobilesam.engine.stacks.consensus import ViewStep
from napari_mobilesam.engine.stacks.following import Following
from napari_mobilesam.engine.stacks.writing import ObjectChanges, plan_slices
from napari_mobilesam.layers import NotAnnotatable

from .stack_task import StackTask

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_mobilesam.engine import CancelToken
    from napari_mobilesam.engine.stacks.choice import Mode
    from napari_mobilesam.engine.stacks.slicing import LabelSlices

    from .bridge import WorkerBridge
    from .committing import Committer
    from .model import ModelKeeper
    from .stack_place import StackPlace

BOTH, UPWARDS, DOWNWARDS = 'both', 'up', 'down'


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What is under way."""

    following: Following
    slices: LabelSlices
    layer: Labels
    labels: tuple[int, ...]


class StackFollowing(StackTask):
    """Follows objects on the worker; what comes is shown, and written when it is over.

    Parameters
    ----------
    bridge, model, committer, place
        The worker, the model, the labels, the stack.
    parent
        Qt parent.

    Signals
    -------
    changed
        Other confidences, or reasons to stop.
    """

    changed = Signal()

    def __init__(
        self,
        bridge: WorkerBridge,
        model: ModelKeeper,
        committer: Committer,
        place: StackPlace,
        parent: QObject | None = None,
    ) -> None:
        super().__init__('follow', bridge, model, committer, place, parent)
        self._following: Following | None = None
        self._layer: Labels | None = None
        self._run: _Run | None = None
        self._keep = True
        self._on_slices: dict[int, dict[int, SliceMask]] = {}
        self._curves: dict[int, NDArray[np.float64]] = {}
        self._stops: dict[int, list[Stop]] = {}

    @property
    def running(self) -> bool:
        """Whether objects are being followed, or written."""
        return self._run is not None

    @property
    def labels(self) -> tuple[int, ...]:
        """The objects with a curve, by ascending id."""
        return tuple(sorted(self._curves))

    def curve(self, label: int) -> NDArray[np.float64] | None:
        """Return the confidence of an object on each slice; None if it was not followed."""
        return self._curves.get(label)

    def stops(self, label: int) -> tuple[Stop, ...]:
        """Return where an object ended, and why, as far as that is known."""
        return tuple(self._stops.get(label, ()))

    def masks(self, position: int) -> dict[int, SliceMask]:
        """Return what was found on a slice and is not written yet, by object."""
        return self._on_slices.get(position, {})

    def cut(self, label: int, positions: Sequence[int]) -> None:
        """Take note that the user cut an object off before these slices."""
        if self._following is not None and self._layer is self._committer.labels:
            self._following.end(label, positions)

    def forget(self) -> None:
        """Begin anew: another stack."""
        self.work.abandon()
        self._bridge.cancel('follow')
        self._run = self._following = self._layer = None
        self._on_slices, self._curves, self._stops = {}, {}, {}
        self.changed.emit()

    def start(
        self,
        labels: Sequence[int],
        direction: str = BOTH,
        mode: Mode = 'agreement',
        views: bool = False,
    ) -> None:
        """Follow objects from where the user gave them.

        Parameters
        ----------
        labels
            Their ids.
        direction
            `'both'`, or from the slice on display only `'up'` or `'down'`.
        mode
            As of `PropagationOptions`.
        views
            Afterwards, ask the two other sides of each object as well.
        """
        if self.running:
            return
        depth = self._place.depth
        try:
            run, bounds = self._prepare(labels, mode)
            if views:
                run.following.check_sides(depth)
        except ValueError as reason:  # NotAnnotatable among them
            self.status_changed.emit(str(reason), 'warning')
            return
        position, count = self._place.position, len(run.following.planes)
        within = {
            BOTH: range(count),
            UPWARDS: range(position, count),
            DOWNWARDS: range(position + 1),
        }[direction]
        self._run, self._keep = run, True
        self._on_slices = {}
        self._stops.update((label, []) for label in run.labels)
        count_text = f'object {labels[0]}' if len(labels) == 1 else f'{len(labels)} objects'
        self.status_changed.emit(f'Following {count_text} through the stack…', 'busy')

        def steps(cancel: CancelToken) -> Iterator[PropagationStep | ViewStep]:
            for label in run.labels:
                run.following.take_in(run.slices, label, bounds[label], cancel)
            yield from run.following.run(run.labels, within, cancel)
            if views:
                yield from run.following.from_sides(run.labels, depth, within, cancel)

        self.work.start(steps)

    def stop(self, keep: bool) -> None:
        """End it; with `keep` what was found is written."""
        self._keep = keep
        self.work.stop()

    def _prepare(self, labels: Sequence[int], mode: Mode) -> tuple[_Run, dict[int, Any]]:
        series, annotator = self._means()
        session, target = self._committer.session, self._committer.target
        if session is None or target is None or not target.ready:
            raise NotAnnotatable('The labels are being read: try again in a moment.')
        records = [record for record in map(session.get, labels) if record is not None]
        if not records:
            raise NotAnnotatable('Click an object and commit it, or select some in the table.')
        layer = target.ensure()
        slices = self._place.slices(layer)
        known = self._following
        if (
            known is None
            or layer is not self._layer
            or (known.planes, known.annotator, known.options.mode) != (series, annotator, mode)
        ):
            if layer is not self._layer or known is None or known.planes is not series:
                self._curves, self._stops = {}, {}
            self._following = Following(annotator, series, PropagationOptions(mode=mode))
            if known is not None and layer is self._layer and known.planes is series:
                self._following.inherit(known)
            self._layer = layer
        assert self._following is not None
        ids = tuple(record.label for record in records)
        bounds = {record.label: record.bounds for record in records}
        return _Run(self._following, slices, layer, ids), bounds

    # -- answers, in the GUI thread

    def _on_step(self, step: PropagationStep | ViewStep) -> None:
        if self._run is None or isinstance(step, ViewStep):
            return
        self._on_slices.setdefault(step.index, {}).update(step.found)
        for label, mask in step.found.items():
            self._curve(label)[step.index] = mask.confidence
        for stop in step.stopped:
            self._stops.setdefault(stop.label, []).append(stop)
        self.found.emit(step)

    def _curve(self, label: int) -> NDArray[np.float64]:
        if label not in self._curves:
            assert self._run is not None
            self._curves[label] = np.full(len(self._run.following.planes), np.nan)
        return self._curves[label]

    def _on_ended(self, complete: bool) -> None:
        run = self._run
        if run is None:
            return
        for label in run.labels:
            self._curves[label] = run.following.confidence(label)
            self._stops[label] = list(run.following.stops(label))
        session = self._committer.session
        if not self._keep or session is None or self._committer.labels is not run.layer:
            self._finish('Nothing was written; going on later starts from there.', 'ready')
            return
        records = {
            label: record for label in run.labels if (record := session.get(label)) is not None
        }
        self._bridge.submit(
            'follow',
            lambda _cancel: run.following.plan(run.slices, records, complete),
            partial(self._on_planned, run, complete),
            lambda error: self._on_failed(str(error)),
        )

    def _on_planned(self, run: _Run, complete: bool, found: ObjectChanges) -> None:
        committer = self._committer
        session, target, data = committer.session, committer.target, run.layer.data
        if session is None or target is None or committer.labels is not run.layer:
            self._finish('The labels changed meanwhile: nothing was written.', 'warning')
            return
        if not all(edit.is_reverted(data) for edit in found.edits):
            self._on_ended(complete)  # the user painted there just now: plan again
            return
        many = f'{len(run.labels)} objects' if len(run.labels) > 1 else f'object {run.labels[0]}'
        step = plan_slices(
            session,
            found.edits,
            f'follow {many}',
            records=found.records,
            bounds=found.bounds,
            complete=target.book.complete,
        )
        if step is None:
            words = 'Nothing new was found: correct a slice, and follow again.'
        elif not committer.perform(step):
            self._finish('', '')
            return
        else:
            slices = len({edit.region for edit in found.edits})
            words = f'Followed {many}: {slices} slices changed. Ctrl+Z takes it back.'
        self._finish(words if complete else f'Stopped. {words}', 'ready')

    def _on_failed(self, why: str) -> None:
        self._finish(f'Following failed: {why}', 'warning')

    def _finish(self, words: str, kind: str) -> None:
        self._run = None
        self._on_slices = {}
        if words:
            self.status_changed.emit(words, kind)
        self.changed.emit()

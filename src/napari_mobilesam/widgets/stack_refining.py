"""Refine: labels of another program outlined anew along a stack, and written as one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import SegmentedObject
from napari_mobilesam.engine.stacks.patch import MaskPatch
from napari_mobilesam.engine.stacks.refining import RefinedSlice, RefineMode, refine, write_refined
from napari_mobilesam.engine.stacks.writing import ObjectChanges, plan_slices
from napari_mobilesam.layers import NotAnnotatable

from .stack_task import StackTask

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_mobilesam.engine import CancelToken
    from napari_mobilesam.engine.stacks.slicing import LabelSlices

    from .bridge import WorkerBridge
    from .committing import Committer
    from .model import ModelKeeper
    from .stack_place import StackPlace


@dataclass(slots=True, eq=False)
class _Run:
    """What is under way, and what came of it so far, by slice."""

    labels: Labels
    mode: RefineMode
    made: SegmentedObject
    records: dict[int, SegmentedObject]
    found: dict[int, RefinedSlice] = field(default_factory=dict)
    ended: str = ''
    failed: bool = False


class StackRefining(StackTask):
    """Refines labels on the worker; what comes is shown, and written when it is over.

    Parameters
    ----------
    bridge, model, committer, place
        The worker, the model, the labels, the stack.
    parent
        Qt parent.

    Signals
    -------
    changed
        It is over, and nothing of it is to be drawn any more.
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
        super().__init__('refine', bridge, model, committer, place, parent)
        self._run: _Run | None = None
        self._keep = True
        # Until all objects of the labels are known: then it goes on.
        self._waiting = False
        committer.labels_changed.connect(self._on_labels)

    @property
    def running(self) -> bool:
        """Whether labels are being refined, or written."""
        return self._run is not None

    def masks(self, position: int) -> Sequence[MaskPatch]:
        """Return the new outlines on a slice that are not written yet."""
        one = None if self._run is None else self._run.found.get(position)
        return () if one is None else [mask.after for mask in one.changed.values()]

    def forget(self) -> None:
        """Begin anew: another stack."""
        self.work.abandon()
        self._bridge.cancel('refine')
        self._run, self._waiting = None, False
        self.changed.emit()

    def start(
        self, labels: Labels | None, slices: Sequence[int], mode: RefineMode, min_score: float
    ) -> None:
        """Refine labels on slices, in this order.

        Parameters
        ----------
        labels
            The layer.
        slices
            Which.
        mode
            As of `write_refined`; compared they go to a new layer, else to their own.
        min_score
            Objects of which the model is less sure stay as they are.
        """
        if self.running:
            return
        try:
            series, annotator = self._means()
            if labels is None:
                raise NotAnnotatable('Choose the labels to refine first.')
            coarse = self._readable(labels, mode)
        except ValueError as reason:  # NotAnnotatable among them
            self.status_changed.emit(str(reason), 'warning')
            return
        if mode != 'compare':
            self._committer.choose(labels)
        made = SegmentedObject(model_digest=annotator.segmenter.digest, mapping=series[0].mapping)
        self._run = _Run(labels, mode, made, self._known(labels))
        self._keep = True

        def steps(cancel: CancelToken) -> Iterator[RefinedSlice]:
            return refine(annotator, series, coarse.read, min_score, slices, cancel)

        self.status_changed.emit(f'Refining "{labels.name}"…', 'busy')
        self.work.start(steps)

    def stop(self, keep: bool) -> None:
        """End it; with `keep` what was refined is written."""
        self._keep = keep
        self.work.stop()

    def _readable(self, labels: Labels, mode: RefineMode) -> LabelSlices:
        slices = self._place.slices(labels, writable=False)
        if mode != 'compare':
            try:
                self._place.slices(labels)
            except NotAnnotatable as reason:
                raise NotAnnotatable(
                    f'"{labels.name}" is read-only, or computed as it is read, and cannot be '
                    'written to: choose "Compare", which puts the refined labels into a new layer.'
                ) from reason
        return slices

    def _known(self, labels: Labels) -> dict[int, SegmentedObject]:
        """Return what is known of the objects of a layer, where that is the current one."""
        session = self._committer.session
        if session is None or self._committer.labels is not labels:
            return {}
        return {record.label: record for record in session.objects}

    # -- answers, in the GUI thread

    def _on_step(self, step: RefinedSlice) -> None:
        if self._run is not None:
            self._run.found[step.index] = step
            self.found.emit(step)

    def _on_ended(self, complete: bool) -> None:
        run = self._run
        if run is None:
            return
        if not complete:
            run.ended = run.ended or 'Stopped. '
        if not self._keep:
            self._finish('Nothing was written.', 'ready')
        elif not any(one.changed or one.kept for one in run.found.values()):
            where = 'on these slices' if complete else 'so far'
            self._finish(f'"{run.labels.name}" has no objects {where}.', 'ready')
        else:
            self._settle(run)

    def _settle(self, run: _Run) -> None:
        """Find the labels to write to; there may be none, or none whose objects are known yet."""
        committer = self._committer
        if run.mode == 'compare':
            if not self._is_free(run):
                committer.choose(None)
        elif not self._place.shows(run.labels):
            self._finish('The labels were removed meanwhile: nothing was written.', 'warning')
            return
        else:
            committer.choose(run.labels)
            run.records = self._known(run.labels)
        target = committer.target
        if target is None or committer.labels is None:
            self._finish('There are no labels to write to: nothing was written.', 'warning')
        elif not target.book.complete:
            self._waiting = True
            self.status_changed.emit('Reading the ids in the labels…', 'busy')
        else:
            self._write(run, committer.labels)

    def _is_free(self, run: _Run) -> bool:
        """Whether the current labels are other ones, empty, and can be written to."""
        layer = self._committer.labels
        if layer is None or layer is run.labels or not self._committer.labels_are_empty:
            return False
        try:
            self._place.slices(layer)
        except ValueError:  # NotAnnotatable among them
            return False
        return True

    def _on_labels(self) -> None:
        if self._waiting and self._run is not None:
            self._waiting = False
            self._settle(self._run)

    def _write(self, run: _Run, layer: Labels) -> None:
        try:
            slices = self._place.slices(layer)
        except ValueError as reason:  # NotAnnotatable among them
            self._finish(str(reason), 'warning')
            return
        found, records = list(run.found.values()), run.records
        self._bridge.submit(
            'refine',
            lambda cancel: write_refined(slices, found, records, run.mode, run.made, cancel),
            partial(self._on_planned, run, layer),
            lambda error: self._finish(f'The labels could not be written: {error}', 'warning'),
        )

    def _on_planned(self, run: _Run, layer: Labels, found: ObjectChanges) -> None:
        committer = self._committer
        session, target, data = committer.session, committer.target, layer.data
        if (
            session is None
            or target is None
            or committer.labels is not layer
            or not all(edit.is_reverted(data) for edit in found.edits)
        ):
            self._settle(run)  # other labels, or the user painted there just now: plan again
            return
        step = plan_slices(
            session,
            found.edits,
            f'refine {len(found.records)} objects',
            records=found.records,
            bounds=found.bounds,
            complete=target.book.complete,
        )
        if step is None:
            self._finish(f'{run.ended}The labels stay as they are: nothing to improve.', 'ready')
        elif committer.perform(step):
            self._finish(run.ended + _told(run, layer), 'warning' if run.failed else 'ready')
        else:
            self._finish('', '')

    def _on_failed(self, why: str) -> None:
        run = self._run
        if run is None or not run.found:
            self._finish(f'Refining failed: {why}', 'warning')
        else:  # what was done is whole
            run.ended, run.failed = f'Refining failed: {why}. ', True
            self._on_ended(False)

    def _finish(self, words: str, kind: str) -> None:
        self._run, self._waiting = None, False
        if words:
            self.status_changed.emit(words, kind)
        self.changed.emit()


def _told(run: _Run, layer: Labels) -> str:
    """Say what was refined, and what was not."""
    changed = {label for one in run.found.values() for label in one.changed}
    kept = {label for one in run.found.values() for label in one.kept} - changed
    slices = sum(1 for one in run.found.values() if one.changed)
    words = f'Refined {_count(len(changed), "object")} on {_count(slices, "slice")}'
    if run.mode == 'compare':
        words += f', in "{layer.name}"'
    if kept:
        words += f'; {_count(len(kept), "object")} unclear to the model stayed as before'
    return f'{words}. Ctrl+Z takes it back.'


def _count(number: int, what: str) -> str:
    return f'{number} {what}{"s" * (number != 1)}'

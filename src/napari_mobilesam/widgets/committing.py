"""Committing: putting candidates into the labels, now or as soon as all is there for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import (
    LabelOverflowError,
    OverlapRule,
    SegmentedObject,
    Step,
    UndecidedOverlapError,
)
from napari_mobilesam.layers import NotAnnotatable

from .commit_plans import Found, plan_candidate, plan_found
from .labels_desk import LabelsDesk

if TYPE_CHECKING:
    from napari_mobilesam.engine import PlaneSource

    from .bridge import WorkerBridge
    from .inference import Inference
    from .predicting import Shown


class Committer(LabelsDesk):
    """Puts candidates into the labels of the image, now or as soon as all is there for it.

    Parameters
    ----------
    viewer, bridge, colours_by_class, parent
        As of `LabelsDesk`.
    inference
        Who has the candidate, or is about to.
    overlap
        What becomes of pixels that belong to other objects.

    Signals
    -------
    committed (SegmentedObject)
        An object is in the labels, and safe.
    overlap_asked (dict or None)
        Ids that the candidate shares pixels with, and how many: `answer` goes on. None when there
        is nothing to ask any more.
    """

    committed = Signal(object)
    overlap_asked = Signal(object)

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        inference: Inference,
        overlap: OverlapRule,
        colours_by_class: bool = False,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(viewer, bridge, inference, colours_by_class, parent)
        self.overlap = overlap
        self.class_id = 0
        # Calls back when all that was done is safe; at once, where nobody keeps it.
        self.safely: Callable[[Callable[[], object]], object] = lambda callback: callback()
        self._on_arrival = False
        self._asked: Shown | None = None
        inference.failed.connect(self.forget_wish)
        inference.candidate_changed.connect(self._on_candidate)

    def leave(self) -> None:
        """Let go of the labels; what is in them stays."""
        self.forget_wish()
        super().leave()

    def commit(self) -> None:
        """Put the candidate into the labels; if it is still being made, as soon as it is there."""
        if self._inference.waiting:
            self._on_arrival = True
            return
        shown = self._inference.candidate
        if shown is None or self._target is None:
            self.status_changed.emit('Click an object first.', 'warning')
            return
        try:
            self._target.ensure()
        except NotAnnotatable as reason:
            show_warning(str(reason))
            return
        if not self._target.ready:
            self._on_arrival = True
            self.status_changed.emit('Reading the ids in the labels…', 'busy')
            return
        self._write(shown, self.overlap)

    def arrived(self) -> None:
        """There is a candidate now: commit it, if that was wished for already."""
        if self._on_arrival:
            self._on_arrival = False
            self.commit()

    def forget_wish(self) -> None:
        """Commit nothing on arrival: what was to be committed will not arrive."""
        self._on_arrival = False
        self._ask_nothing()

    def _on_candidate(self, shown: Shown | None) -> None:
        if shown is not self._asked:
            self._ask_nothing()

    def answer(self, rule: OverlapRule | None) -> None:
        """Go on after `overlap_asked` with a rule, or not at all."""
        shown, current = self._asked, self._inference.candidate
        self._ask_nothing()
        if rule is not None and shown is not None and shown is current:
            self._write(shown, rule)

    def commit_all(
        self,
        source: PlaneSource,
        model_digest: str,
        found: Sequence[Found],
        title: str = '',
        rule: OverlapRule | None = None,
        *,
        clear_plane: bool = False,
    ) -> Step | None:
        """Put many objects of one plane into the labels, as one step.

        Under the rule to ask, the objects that are there keep their pixels. `rule` is by default
        the user's; with `clear_plane` the prompts on the visible plane go away with the step.

        Returns
        -------
        Step or None
            Its `changes` hold the new records; None where nothing was written. The user was told
            why.
        """
        rule = self.overlap if rule is None else rule
        rule = OverlapRule.KEEP if rule is OverlapRule.ASK else rule
        title = title or f'commit {len(found)} objects'
        target = self._target
        if target is None:
            return None
        try:
            step = plan_found(target, source, found, rule, self.class_id, model_digest, title)
        except (ValueError, LabelOverflowError) as reason:  # NotAnnotatable among them
            self.tell(str(reason))
            return None
        return step if self.perform(step, clear_plane=clear_plane) else None

    def _write(self, shown: Shown, rule: OverlapRule) -> None:
        target, before = self._target, None
        if target is None:
            return
        if self._reopened is not None:
            before = target.session.get(self._reopened.label)  # it may have changed, or gone
        try:
            step = plan_candidate(target, shown, rule, self.class_id, before)
        except UndecidedOverlapError as question:
            self._asked = shown
            self.overlap_asked.emit(question.claimed)
            return
        except (ValueError, LabelOverflowError) as reason:  # NotAnnotatable among them
            self.tell(str(reason))
            return
        if not step.changes:
            show_info(
                'All of these pixels belong to other objects: choose "replace" to take them.'
                if shown.n_pixels
                else 'The candidate has no pixels: place other prompts.'
            )
            return
        if not self.perform(step, clear_plane=True):
            return
        self._ask_nothing()
        self._open(None)
        self._inference.drop()
        made = next(change.after for change in step.changes if change.after is not None)
        self.safely(partial(self._tell_committed, made))

    def _tell_committed(self, made: SegmentedObject) -> None:
        self.status_changed.emit(
            f'Object {made.label} is in the labels. Click the next one.', 'ready'
        )
        self.committed.emit(made)

    def _ask_nothing(self) -> None:
        if self._asked is not None:
            self._asked = None
            self.overlap_asked.emit(None)

    def _on_counted(self, problem: str) -> None:
        super()._on_counted(problem)
        if problem:
            self._on_arrival = False
        else:
            self.arrived()

"""The labels side of the annotator: which labels, putting candidates in, undo and redo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine import (
    LabelOverflowError,
    OverlapRule,
    PlacedMask,
    PromptedPlane,
    SegmentedObject,
    Session,
    Step,
    UndecidedOverlapError,
    plan_commit,
)
from napari_mobilesam.layers import NotAnnotatable

from .label_colours import LabelColours
from .label_features import LabelFeatures
from .labels_target import LabelsTarget
from .sessions import Sessions
from .undo import Undo

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_mobilesam.engine import PlaneSource, Prompts

    from .bridge import WorkerBridge
    from .inference import Inference
    from .predicting import Shown
    from .prompt_layers import PromptLayers


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


class Committer(QObject):
    """Puts candidates into the labels of the image, now or as soon as all is there for it.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    bridge
        For reading labels of the user's.
    inference
        Who has the candidate, or is about to.
    overlap
        What becomes of pixels that belong to other objects.
    colours_by_class
        Whether objects are coloured by class, not each in its own colour.
    parent
        Qt parent.

    Attributes
    ----------
    colours
        How objects are coloured.

    Signals
    -------
    labels_changed
        Another Labels layer, or other objects in it.
    prompts_restored
        Prompts were put back by undo or redo.
    status_changed (str, str)
        One line for the user, and its kind.
    committed (SegmentedObject)
        An object is in the labels, and safe.
    overlap_asked (dict or None)
        Ids that the candidate shares pixels with, and how many: `answer` goes on. None when there
        is nothing to ask any more.
    reopened_changed
        Another object is open for changes, or none.
    """

    labels_changed = Signal()
    prompts_restored = Signal()
    status_changed = Signal(str, str)
    committed = Signal(object)
    overlap_asked = Signal(object)
    reopened_changed = Signal()

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        inference: Inference,
        overlap: OverlapRule,
        colours_by_class: bool = False,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._bridge = bridge
        self._inference = inference
        self.overlap = overlap
        self.class_id = 0
        # Calls back when all that was done is safe; at once, where nobody keeps it.
        self.safely: Callable[[Callable[[], object]], object] = lambda callback: callback()
        self._sessions = Sessions()
        self._target: LabelsTarget | None = None
        self._undo: Undo | None = None
        self._on_arrival = False
        self._asked: Shown | None = None
        self._reopened: SegmentedObject | None = None
        # Not within napari's own drawing of the labels.
        self._follow_timer = QTimer(self)
        self._follow_timer.setSingleShot(True)
        self._follow_timer.timeout.connect(self._follow)
        self._features = LabelFeatures(self)
        self.colours = LabelColours(colours_by_class, self)
        self.labels_changed.connect(self._follow_features)
        inference.failed.connect(self.forget_wish)
        inference.candidate_changed.connect(self._on_candidate)

    # -- life

    def enter(self, image: Image, prompts: PromptLayers) -> None:
        """Write into labels of `image` from now on: those last used, or new ones."""
        self._target = LabelsTarget(
            self._viewer,
            image,
            self._bridge,
            self._sessions,
            prompts.selection_kept,
            self._on_painted,
            self._on_redrawn,
            self._on_counted,
        )
        try:
            self._target.ensure()
        except NotAnnotatable as reason:
            show_warning(str(reason))
        self._undo = Undo(
            prompts,
            self._target,
            self.prompts_restored.emit,
            self.labels_changed.emit,
            self._follow_timer.start,
        )
        self._follow_features()

    def leave(self) -> None:
        """Let go of the labels; what is in them stays."""
        self._follow_timer.stop()
        self._features.follow(None, None)
        self.colours.follow(None, None)
        self._on_arrival = False
        self._ask_nothing()
        self._open(None)
        if self._target is not None:
            self._target.close()
        self._target = self._undo = None

    def _follow_features(self) -> None:
        self._features.follow(self.labels, self.session)
        self.colours.follow(self.labels, self.session)

    @property
    def pending(self) -> bool:
        """Whether it is about to follow an undo."""
        return self._follow_timer.isActive()

    # -- which labels

    @property
    def target(self) -> LabelsTarget | None:
        """The labels of the image; None without an image."""
        return self._target

    @property
    def labels(self) -> Labels | None:
        """The Labels layer that objects go to, or None."""
        return None if self._target is None else self._target.layer

    @property
    def session(self) -> Session | None:
        """The objects in those labels, or None without any."""
        return None if self._target is None or self.labels is None else self._target.session

    @property
    def objects(self) -> tuple[SegmentedObject, ...]:
        """The objects in the current labels, by id."""
        session = self.session
        return () if session is None else session.objects

    def choose(self, layer: Labels | None) -> None:
        """Write into another Labels layer; None for a new one."""
        if self._target is None or layer is self._target.layer:
            return
        self._open(None)
        classes = self._target.session.classes
        try:
            self._target.choose(layer)
        except NotAnnotatable as reason:
            show_warning(str(reason))
        if not self._target.session.classes:
            self._target.session.classes = classes  # the user's classes, in other labels as well
        self.labels_changed.emit()

    @property
    def labels_are_empty(self) -> bool:
        """Whether the current labels are known to have no pixels."""
        target = self._target
        return target is not None and target.book.counted and target.session.maximum == 0

    def take(self, data: NDArray[Any], session: Session, name: str = '') -> Labels:
        """Write into a new layer from now on, of labels whose objects are known.

        Parameters
        ----------
        data
            The labels; the layer's own from now on.
        session
            Their objects.
        name
            Of the layer; by default as of any that is made.

        Raises
        ------
        NotAnnotatable
            If there is no image, or they do not fit to it.
        """
        if self._target is None:
            raise NotAnnotatable('Open an image first.')
        self._open(None)
        layer = self._target.take(data, session, name)
        self.labels_changed.emit()
        return layer

    def forget(self, layer: Any) -> None:
        """Let go of a layer that the user removed, where it is the current one."""
        if self._target is None or not self._target.forget(layer):
            return
        self._open(None)
        self.labels_changed.emit()

    # -- committing

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
        record = SegmentedObject(
            class_id=self.class_id, model_digest=model_digest, mapping=source.mapping
        )
        rule = self.overlap if rule is None else rule
        rule = OverlapRule.KEEP if rule is OverlapRule.ASK else rule
        records = [
            (
                one.rows,
                one.columns,
                one.patch,
                replace(
                    record if one.record is None else one.record,
                    prompted=(PromptedPlane(source.key, one.prompts),),
                    score=one.score,
                    model_digest=model_digest,
                    mapping=source.mapping,
                    reviewed=False,
                ),
            )
            for one in found
        ]
        step = self._plan(source, records, rule, title or f'commit {len(found)} objects')
        done = step is not None and self.perform(step, clear_plane=clear_plane)
        return step if done else None

    def _write(self, shown: Shown, rule: OverlapRule) -> None:
        before = None
        if self._reopened is not None and self.session is not None:
            before = self.session.get(self._reopened.label)  # it may have changed, or gone
        prompted = PromptedPlane(shown.prediction.key, shown.prediction.prompts, shown.making)
        base = SegmentedObject(class_id=self.class_id) if before is None else before
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
        item = (patch.rows, patch.columns, patch.mask, record)
        try:
            step = self._plan(shown.source, [item], rule, 'commit')
        except UndecidedOverlapError as question:
            self._asked = shown
            self.overlap_asked.emit(question.claimed)
            return
        if step is None:
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

    def _plan(
        self,
        source: PlaneSource,
        items: Sequence[tuple[slice, slice, NDArray[np.bool_], SegmentedObject]],
        rule: OverlapRule,
        title: str,
    ) -> Step | None:
        """Plan to write masks of one plane; None after telling the user why it cannot be."""
        target = self._target
        if target is None:
            return None
        try:
            place = target.place(source.key)
            layer = target.ensure()
            if layer.preserve_labels:
                rule = OverlapRule.KEEP
            placed = [
                PlacedMask(*place.placed(rows, columns, patch), record, place.region)
                for rows, columns, patch, record in items
            ]
            return plan_commit(target.session, layer.data, placed, rule, title)
        except UndecidedOverlapError:
            raise
        except (ValueError, LabelOverflowError) as reason:  # NotAnnotatable among them
            self.tell(str(reason))
            return None

    def perform(self, step: Step, *, clear_plane: bool = False) -> bool:
        """Write a planned step; say whether that went well, and tell the user if not.

        Parameters
        ----------
        step
            What to do.
        clear_plane
            Whether the prompts on the visible plane go away with it.
        """
        if self._undo is None:
            return False
        source = self._inference.source
        try:
            self._undo.perform(step, source.key if clear_plane and source is not None else None)
        except NotAnnotatable as reason:
            self.tell(str(reason))
            return False
        self.labels_changed.emit()
        return True

    def tell(self, problem: str) -> None:
        """Show the user what did not work."""
        show_warning(problem)
        self.status_changed.emit(problem, 'warning')

    # -- objects open for changes

    @property
    def reopened(self) -> SegmentedObject | None:
        """The object that the next commit becomes, instead of a new one."""
        return self._reopened

    def reopen(self, record: SegmentedObject | None) -> None:
        """Let the next commit change an object in place; it stays as it is until then."""
        self._open(record)

    def _open(self, record: SegmentedObject | None) -> None:
        if record is not self._reopened:
            self._reopened = record
            self.reopened_changed.emit()

    def _close_without_prompts(self) -> None:
        """Whoever takes all prompts away does not want to change the object any more."""
        if self._reopened is not None and self.recorded == (0, 0):
            self._open(None)

    def _ask_nothing(self) -> None:
        if self._asked is not None:
            self._asked = None
            self.overlap_asked.emit(None)

    # -- the labels tell

    def _on_counted(self, problem: str) -> None:
        if problem:
            self._on_arrival = False
            show_warning(problem)
        else:
            self.labels_changed.emit()
            self.arrived()

    def _on_painted(self, edits: Any) -> None:
        if self._undo is not None:
            self._undo.painted(edits)

    def _on_redrawn(self) -> None:
        if self._undo is not None:
            self._undo.reconcile()

    # -- undo

    @property
    def recorded(self) -> tuple[int, int]:
        """How many points and boxes there were when the prompts were last taken down."""
        return (0, 0) if self._undo is None else self._undo.recorded

    def record(self) -> None:
        """Take down how the prompts changed, so that undo can take that back."""
        if self._undo is not None:
            self._undo.record()
            self._close_without_prompts()

    def undo(self) -> None:
        """Take back the last step: a prompt, or whatever was done to objects."""
        if self._undo is not None:
            self._undo.undo()
            self._close_without_prompts()

    def redo(self) -> None:
        """Do again what was taken back last."""
        if self._undo is not None:
            self._undo.redo()
            self._close_without_prompts()

    def _follow(self) -> None:
        if self._undo is not None:
            self._undo.follow()

"""The labels side of the annotator: which labels, putting the candidate in, undo and redo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine import LabelOverflowError, OverlapRule
from napari_mobilesam.layers import NotAnnotatable

from .history import History
from .labels_target import LabelsTarget

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from .bridge import WorkerBridge
    from .inference import Inference
    from .predicting import Shown
    from .prompt_layers import PromptLayers


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
    parent
        Qt parent.

    Signals
    -------
    labels_changed
        Another Labels layer, or other objects in it.
    prompts_restored
        Prompts were put back by undo or redo.
    status_changed (str, str)
        One line for the user, and its kind.
    committed (SegmentedObject)
        An object is in the labels.
    """

    labels_changed = Signal()
    prompts_restored = Signal()
    status_changed = Signal(str, str)
    committed = Signal(object)

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        inference: Inference,
        overlap: OverlapRule,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._bridge = bridge
        self._inference = inference
        self.overlap = overlap
        self._target: LabelsTarget | None = None
        self._history: History | None = None
        self._on_arrival = False
        # Not within napari's own drawing of the labels.
        self._reconcile_timer = QTimer(self)
        self._reconcile_timer.setSingleShot(True)
        self._reconcile_timer.timeout.connect(self._reconcile)
        inference.failed.connect(self.forget_wish)

    # -- life

    def enter(self, image: Image, prompts: PromptLayers) -> None:
        """Write into labels of `image` from now on, new ones until others are chosen."""
        self._target = LabelsTarget(
            self._viewer,
            image,
            self._bridge,
            prompts.selection_kept,
            self._reconcile_timer.start,
            self._on_counted,
        )
        try:
            self._target.ensure()
        except NotAnnotatable as reason:
            show_warning(str(reason))
        self._history = History(
            prompts, self._target, self.prompts_restored.emit, self.labels_changed.emit
        )

    def leave(self) -> None:
        """Let go of the labels; what is in them stays."""
        self._reconcile_timer.stop()
        self._on_arrival = False
        if self._target is not None:
            self._target.close()
        self._target = self._history = None

    @property
    def pending(self) -> bool:
        """Whether it is about to look whether labels were undone."""
        return self._reconcile_timer.isActive()

    # -- which labels

    @property
    def labels(self) -> Labels | None:
        """The Labels layer that objects go to, or None."""
        return None if self._target is None else self._target.layer

    @property
    def objects(self) -> tuple[Any, ...]:
        """The objects committed to the current labels, by id."""
        session = None if self._target is None else self._target.session
        return () if session is None else session.objects

    def choose(self, layer: Labels | None) -> None:
        """Write into another Labels layer; None for a new one."""
        if self._target is None or self._history is None or layer is self._target.layer:
            return
        try:
            self._target.choose(layer)
        except NotAnnotatable as reason:
            show_warning(str(reason))
        self._history.clear()
        self.labels_changed.emit()

    def forget(self, layer: Any) -> None:
        """Let go of a layer that the user removed, where it is the current one."""
        if self._target is None or self._history is None or not self._target.forget(layer):
            return
        self._history.clear()
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
        self._write(shown)

    def arrived(self) -> None:
        """There is a candidate now: commit it, if that was wished for already."""
        if self._on_arrival:
            self._on_arrival = False
            self.commit()

    def forget_wish(self) -> None:
        """Commit nothing on arrival: what was to be committed will not arrive."""
        self._on_arrival = False

    def _write(self, shown: Shown) -> None:
        if self._history is None:
            return
        try:
            commit = self._history.commit(shown, self.overlap)
        except (NotAnnotatable, LabelOverflowError) as reason:
            show_warning(str(reason))
            self.status_changed.emit(str(reason), 'warning')
            return
        if commit is None:
            show_info('All of these pixels belong to other objects: choose "replace" to take them.')
            return
        self._inference.drop()
        self.labels_changed.emit()
        self.status_changed.emit(
            f'Object {commit.record.label} is in the labels. Click the next one.', 'ready'
        )
        self.committed.emit(commit.record)

    def _on_counted(self, problem: str) -> None:
        if problem:
            self._on_arrival = False
            show_warning(problem)
        else:
            self.arrived()

    # -- undo

    def record(self) -> None:
        """Take down how the prompts changed, so that undo can take that back."""
        if self._history is not None:
            self._history.record()

    def undo(self) -> None:
        """Take back the last step: a prompt, or an object together with its pixels."""
        if self._history is not None:
            self._history.undo()

    def redo(self) -> None:
        """Do again what was taken back last."""
        if self._history is not None:
            self._history.redo()

    def _reconcile(self) -> None:
        if self._history is not None:
            self._history.reconcile()

"""The labels of the image: which they are, writing to them as steps, undo and redo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine import SegmentedObject, Session, Step
from napari_mobilesam.layers import NotAnnotatable

from .label_colours import LabelColours
from .label_features import LabelFeatures
from .labels_target import LabelsTarget
from .sessions import Sessions
from .undo import Undo

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from .bridge import WorkerBridge
    from .inference import Inference
    from .prompt_layers import PromptLayers


class LabelsDesk(QObject):
    """The labels that objects go to, their session and its history.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    bridge
        For reading labels of the user's.
    inference
        Who knows the plane on display.
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
    reopened_changed
        Another object is open for changes, or none.
    """

    labels_changed = Signal()
    prompts_restored = Signal()
    status_changed = Signal(str, str)
    reopened_changed = Signal()

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        inference: Inference,
        colours_by_class: bool = False,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._bridge = bridge
        self._inference = inference
        self._sessions = Sessions()
        self._target: LabelsTarget | None = None
        self._undo: Undo | None = None
        self._reopened: SegmentedObject | None = None
        # Not within napari's own drawing of the labels.
        self._follow_timer = QTimer(self)
        self._follow_timer.setSingleShot(True)
        self._follow_timer.timeout.connect(self._follow)
        self._features = LabelFeatures(self)
        self.colours = LabelColours(colours_by_class, self)
        self.labels_changed.connect(self._follow_features)

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

    # -- writing

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

    # -- the labels tell

    def _on_counted(self, problem: str) -> None:
        if problem:
            show_warning(problem)
        else:
            self.labels_changed.emit()

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

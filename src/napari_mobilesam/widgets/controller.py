"""The coordinator: viewer events in, work for the worker out, answers into layers.

It knows the viewer, the layers that the widget made, and the engine; the panels know only it. One
click goes this way::

    points layer ── changed ──> settle ──> predict on the worker ──> show ──> preview layer
                                  (once per gesture)     (latest wins)   │
    Enter ──────────────────────────────────────────> commit ──> Labels, one undo step
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine import (
    IntensityMapping,
    LabelOverflowError,
    OverlapRule,
    PlaneSource,
)
from napari_mobilesam.layers import (
    NEGATIVE,
    POSITIVE,
    NotAnnotatable,
    mapping_as_displayed,
    plane_key,
    plane_source,
    unwrap,
)

from .connections import Connections
from .inference import Inference
from .labels_target import LabelsTarget
from .preview_layer import PreviewLayer
from .prompt_layers import PromptLayers, PromptState
from .timeline import Step, Timeline

if TYPE_CHECKING:
    from .bridge import WorkerBridge
    from .model import ModelKeeper
    from .options import Options
    from .predicting import Shown

# A slider that is dragged passes planes that nobody wants: wait until it rests.
DIMS_REST_MS = 60
CONTRAST_REST_MS = 200


class AnnotatorController(QObject):
    """What the annotator does, without a single visible widget.

    Signals
    -------
    image_changed
        Another image, or none.
    labels_changed
        Another Labels layer, or none.
    candidate_changed (Shown or None)
        What is on display.
    tool_changed
        Active tool or polarity.
    status_changed (str, str)
        One line for the user, and its kind: `'ready'`, `'busy'` or `'warning'`.
    timing_changed (object, object)
        Encode and decode time in ms; None leaves the last one.
    committed (SegmentedObject)
        An object is in the labels.
    """

    image_changed = Signal()
    labels_changed = Signal()
    candidate_changed = Signal(object)
    tool_changed = Signal()
    status_changed = Signal(str, str)
    timing_changed = Signal(object, object)
    encoding_changed = Signal(bool)
    committed = Signal(object)

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        model: ModelKeeper,
        options: Options,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = unwrap(viewer)
        self._bridge = bridge
        self._model = model
        self.mapping = (
            IntensityMapping()
            if options.intensity == 'displayed'
            else IntensityMapping(
                mode=options.intensity  # type: ignore[arg-type]
            )
        )
        self.as_displayed = options.intensity == 'displayed'
        self.overlap = OverlapRule(options.overlap)

        self._connections = Connections()
        self._image_connections = Connections()
        self.image: Image | None = None
        self._prompts: PromptLayers | None = None
        self._preview: PreviewLayer | None = None
        self._target: LabelsTarget | None = None
        self._timeline = Timeline()
        self._state: PromptState | None = None

        self._stale = False
        self._commit_on_arrival = False
        self._inference = inference = Inference(bridge, model, self)
        inference.candidate_changed.connect(self._on_candidate)
        inference.failed.connect(self._on_failed)
        inference.status_changed.connect(self.status_changed)
        inference.timing_changed.connect(self.timing_changed)
        inference.encoding_changed.connect(self.encoding_changed)

        self._settle_timer = self._timer(0, self._settle)
        self._plane_timer = self._timer(DIMS_REST_MS, self._refresh_plane)
        self._contrast_timer = self._timer(CONTRAST_REST_MS, self._refresh_plane)
        self._labels_timer = self._timer(0, self._reconcile)
        # Not within napari's own handling of an insertion or removal.
        self._image_timer = self._timer(0, self._adopt_first_image)

    def _timer(self, interval: int, callback: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval)
        timer.timeout.connect(callback)
        self._connections.on_close(timer.stop)
        return timer

    # -- life

    def start(self) -> None:
        """Listen to the viewer, and begin with the image that the user is looking at."""
        layers, dims = self._viewer.layers, self._viewer.dims
        connect = self._connections.connect
        connect(layers.events.inserted, self._on_layer_inserted)
        connect(layers.events.removed, self._on_layer_removed)
        connect(layers.selection.events.active, self._on_active_layer)
        for emitter in (dims.events.current_step, dims.events.order, dims.events.ndisplay):
            connect(emitter, self._on_dims)
        self._model.changed.connect(self._on_model)
        self._connections.on_close(partial(self._model.changed.disconnect, self._on_model))
        self.set_image(self._first_image())

    def close(self) -> None:
        """Take everything back: callbacks, keys, timers, our layers. Committed labels stay."""
        self._connections.close()
        self._leave_image()

    # -- state that panels show

    @property
    def viewer(self) -> Any:
        """The viewer, without proxy."""
        return self._viewer

    @property
    def labels(self) -> Any:
        """The Labels layer that objects go to, or None."""
        return None if self._target is None else self._target.layer

    @property
    def objects(self) -> tuple[Any, ...]:
        """The objects committed to the current labels, by id."""
        session = None if self._target is None else self._target.session
        return () if session is None else session.objects

    @property
    def candidate(self) -> Shown | None:
        """The candidate on display."""
        return self._inference.candidate

    @property
    def source(self) -> PlaneSource | None:
        """The plane on display, as the worker reads it."""
        return self._inference.source

    def owns_preview(self, layer: Any) -> bool:
        """Whether a layer is the one that candidates are drawn in."""
        return self._preview is not None and layer is self._preview.layer

    @property
    def tool(self) -> str | None:
        """`'points'`, `'boxes'` or None."""
        return None if self._prompts is None else self._prompts.tool

    @property
    def polarity(self) -> str:
        """Polarity of the next point."""
        return POSITIVE if self._prompts is None else self._prompts.polarity

    # -- choices

    def set_image(self, image: Image | None) -> None:
        """Annotate another image, or none."""
        if image is self.image and image is not None:
            return
        self._leave_image()
        self.image = image
        if image is not None:
            self._enter_image(image)
        self.image_changed.emit()
        self.labels_changed.emit()
        self._refresh_plane()

    def set_labels(self, layer: Labels | None) -> None:
        """Write into another Labels layer; None for a new one."""
        if self._target is None or layer is self._target.layer:
            return
        try:
            self._target.choose(layer)
        except NotAnnotatable as reason:
            show_warning(str(reason))
        self._timeline.clear()
        self.labels_changed.emit()

    def set_mapping(self, mapping: IntensityMapping | None) -> None:
        """Show the model other intensities; None for those that the layer is displayed with."""
        self.as_displayed = mapping is None
        if mapping is not None:
            self.mapping = mapping
        self._refresh_plane()

    @property
    def prompted_only(self) -> bool:
        """Whether only those parts of a mask are kept that the prompts speak of."""
        return self._inference.prompted_only

    def set_prompted_only(self, value: bool) -> None:
        """Keep only those parts of a mask that the prompts speak of, or all."""
        self._inference.prompted_only = value

    def set_polarity(self, polarity: str) -> None:
        """Make the next points positive or negative, and click points."""
        if self._prompts is not None:
            self._prompts.polarity = polarity
            self.use_points()

    # -- actions: the names of the shortcut table

    def toggle_polarity(self) -> None:
        self.set_polarity(NEGATIVE if self.polarity == POSITIVE else POSITIVE)

    def use_points(self) -> None:
        self._use('points')

    def use_boxes(self) -> None:
        self._use('boxes')

    def clear(self) -> None:
        """Remove the prompts of the plane; undo brings them back."""
        if self._prompts is not None and self.source is not None:
            self._prompts.clear(self.source.key)
            self._settle()

    def next_candidate(self) -> None:
        self._inference.cycle(1)

    def previous_candidate(self) -> None:
        self._inference.cycle(-1)

    def commit(self) -> None:
        """Put the candidate into the labels; if it is still being made, as soon as it is there."""
        if self._settle_timer.isActive():
            self._settle()
        if self._inference.waiting:
            self._commit_on_arrival = True
            return
        shown = self._inference.candidate
        if shown is None or self._target is None:
            self._say('Click an object first.', 'warning')
            return
        try:
            self._target.ensure()
        except NotAnnotatable as reason:
            show_warning(str(reason))
            return
        if not self._target.ready:
            self._commit_on_arrival = True
            self._say('Reading the ids in the labels…', 'busy')
            return
        self._write(shown)

    def undo(self) -> None:
        """Take back the last step: a prompt, or an object together with its pixels."""
        if self._settle_timer.isActive():
            self._settle()
        step = self._timeline.last
        if step is None:
            # Strokes of the user's own, from before the first prompt.
            labels = self.labels
            if labels is not None:
                labels.undo()
            return
        if step.commit is None:
            self._timeline.step_back(step)
            self._restore(step.before)
            return
        if step.commit.layer is not self.labels:
            self._timeline.drop(step)
            return
        step.commit.layer.undo()
        self._reconcile()

    def redo(self) -> None:
        """Do again what was taken back last."""
        step = self._timeline.next
        if step is None:
            labels = self.labels
            if labels is not None:
                labels.redo()
            return
        if step.commit is None:
            self._timeline.step_forward(step)
            self._restore(step.after)
            return
        if step.commit.layer is self.labels:
            step.commit.layer.redo()
            self._reconcile()
        if not self._timeline.is_done(step):
            self._timeline.drop(step)  # napari has no such step any more

    def add_point(self, position: Any, positive: bool = True) -> None:
        """Do what a click does, for scripts: `position` in data coordinates of the image."""
        if self._prompts is not None:
            self._prompts.add_point(position, positive)

    # -- the image

    def _first_image(self) -> Image | None:
        active = self._viewer.layers.selection.active
        if isinstance(active, Image):
            return active
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        visible = [layer for layer in images if layer.visible]
        return (visible or images or [None])[-1]

    def _enter_image(self, image: Image) -> None:
        connect = self._image_connections.connect
        for name in ('scale', 'translate', 'rotate', 'shear', 'affine', 'units'):
            connect(getattr(image.events, name), self._on_image_moved)
        connect(image.events.data, self._on_image_data)
        connect(image.events.contrast_limits, self._on_contrast)
        connect(image.events.gamma, self._on_contrast)
        # From bottom to top: image, labels, candidate, boxes, points.
        self._prompts = PromptLayers(
            self._viewer, image, self._on_prompts, self._on_key, self.tool_changed.emit
        )
        kept = self._prompts.selection_kept
        self._preview = PreviewLayer(self._viewer, image, kept)
        self._target = LabelsTarget(
            self._viewer, image, self._bridge, kept, self._labels_timer.start, self._on_counted
        )
        try:
            self._target.ensure()
        except NotAnnotatable as reason:
            show_warning(str(reason))
        self._state = self._prompts.state()
        self._prompts.use('points')

    def _leave_image(self) -> None:
        self._image_connections.close()
        self._leave_plane()
        for part in (self._prompts, self._preview, self._target):
            if part is not None:
                part.close()
        self._prompts = self._preview = self._target = self._state = None
        self._timeline.clear()
        self.image = None

    def _on_layer_inserted(self, event: Any) -> None:
        if self.image is None and isinstance(unwrap(event.value), Image):
            self._image_timer.start()

    def _on_layer_removed(self, event: Any) -> None:
        layer = unwrap(event.value)
        if layer is self.image:
            self._image_timer.start()
            self.set_image(None)
            return
        if self._prompts is not None and self._prompts.forget(layer):
            self._settle_timer.start()
            self.tool_changed.emit()
        if self._preview is not None:
            self._preview.forget(layer)
        if self._target is not None and self._target.forget(layer):
            self._timeline.clear()
            self.labels_changed.emit()

    def _adopt_first_image(self) -> None:
        if self.image is None and self._connections:
            self.set_image(self._first_image())

    def _on_image_moved(self, _event: Any = None) -> None:
        for part in (self._prompts, self._preview):
            if part is not None:
                part.follow_image()
        self._plane_timer.start()

    def _on_image_data(self, _event: Any = None) -> None:
        self._stale = True
        self._leave_plane()
        self._plane_timer.start()

    def _on_contrast(self, _event: Any = None) -> None:
        if self.as_displayed:
            self._contrast_timer.start()

    # -- the plane

    def _on_dims(self, _event: Any = None) -> None:
        """Leave the old plane at once; go to the new one when the slider rests."""
        if self.image is None:
            return
        try:
            key = plane_key(self.image, self._viewer.dims)
        except NotAnnotatable:
            key = None
        if self.source is not None and self.source.key != key:
            self._leave_plane()
        self._plane_timer.start()

    def _refresh_plane(self) -> None:
        self._plane_timer.stop()
        image = self.image
        if image is None:
            self._say('Open an image to begin.', 'ready')
            return
        try:
            mapping = mapping_as_displayed(image) if self.as_displayed else self.mapping
            key = plane_key(image, self._viewer.dims)
            here = None if self._stale else self.source
            if here is not None and (here.key, here.mapping) == (key, mapping):
                return
            source = plane_source(image, self._viewer.dims, mapping)
        except ValueError as reason:  # NotAnnotatable among them
            self._leave_plane()
            if self._prompts is not None:
                self._prompts.rest()
            self._say(str(reason), 'warning')
            return
        if self.source is None and self._prompts is not None and self._prompts.tool is not None:
            self._prompts.use(self._prompts.tool)
        self._stale = False
        self._commit_on_arrival = False
        self._inference.enter(source)
        self._settle()

    def _leave_plane(self) -> None:
        self._commit_on_arrival = False
        self._inference.leave()

    def _on_model(self) -> None:
        self._inference.say_model()
        if self._model.annotator is not None:
            # The plane is embedded, and prompts placed while there was no model are answered.
            self._inference.resume()
            self._settle()

    # -- prompts

    def _use(self, tool: str) -> None:
        if self._prompts is not None:
            self._prompts.use(tool)
            self.tool_changed.emit()

    def _on_active_layer(self, _event: Any = None) -> None:
        self.tool_changed.emit()

    def _on_key(self, action: str) -> None:
        getattr(self, action)()

    def _on_prompts(self) -> None:
        # One gesture emits several events: they are answered together, once.
        self._settle_timer.start()

    def _settle(self) -> None:
        """Take down what changed, and ask for the mask of what is there now."""
        self._settle_timer.stop()
        if self._prompts is None or self._state is None:
            return
        if self.source is not None:
            self._prompts.keep_last_box(self.source.key)
        state = self._prompts.state()
        if not state.same(self._state):
            self._timeline.push(Step(self._state, state))
            self._state = state
        self._predict()

    def _restore(self, state: PromptState) -> None:
        if self._prompts is not None:
            self._prompts.restore(state)
            self._state = self._prompts.state()
            self._predict()

    def _predict(self) -> None:
        if self.source is not None and self._prompts is not None:
            self._inference.ask(self._prompts.prompts(self.source.key))

    def _on_candidate(self, shown: Shown | None) -> None:
        if self._preview is not None:
            if shown is None:
                self._preview.wipe()
            else:
                self._preview.show(shown.source.key, shown.drawing)
        self.candidate_changed.emit(shown)
        if shown is not None and self._commit_on_arrival:
            self._commit_on_arrival = False
            self.commit()

    def _on_failed(self) -> None:
        self._commit_on_arrival = False

    # -- labels

    def _write(self, shown: Shown) -> None:
        if self._prompts is None or self._target is None or self._state is None:
            return
        prediction = shown.prediction
        try:
            commit = self._target.commit(
                shown.mask(),
                prediction.key,
                prediction.prompts,
                shown.score,
                prediction.model_digest,
                self.overlap,
            )
        except (NotAnnotatable, LabelOverflowError) as reason:
            show_warning(str(reason))
            self._say(str(reason), 'warning')
            return
        if commit is None:
            show_info('All of these pixels belong to other objects: choose "replace" to take them.')
            return
        before = self._state
        self._prompts.clear(prediction.key)
        self._state = self._prompts.state()
        self._timeline.push(Step(before, self._state, commit))
        self._inference.drop()
        self.labels_changed.emit()
        self._say(f'Object {commit.record.label} is in the labels. Click the next one.', 'ready')
        self.committed.emit(commit.record)

    def _on_counted(self, problem: str) -> None:
        if problem:
            self._commit_on_arrival = False
            show_warning(problem)
        elif self._commit_on_arrival:
            self._commit_on_arrival = False
            self.commit()

    def _reconcile(self) -> None:
        """Follow an undo or redo of the labels, whoever did it; prompts come back too."""
        if self._target is None or self._state is None:
            return
        undone, redone = self._target.reconcile()
        for commit in undone:
            step = self._timeline.find(commit)
            if step is not None and self._timeline.is_done(step):
                # Prompts placed since then stay; without any, those of the object come back.
                back = self._state.same(step.after)
                self._timeline.step_back(step)
                if back:
                    self._restore(step.before)
        for commit in redone:
            step = self._timeline.find(commit)
            if step is not None and not self._timeline.is_done(step):
                again = self._state.same(step.before)
                self._timeline.step_forward(step)
                if again:
                    self._restore(step.after)
        if undone or redone:
            self.labels_changed.emit()

    # -- words

    def _say(self, text: str, kind: str) -> None:
        self.status_changed.emit(text, kind)

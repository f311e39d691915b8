"""The coordinator: viewer events in, work for the worker out, answers into layers.

It knows the viewer, the layers that the widget made, and the engine; the panels know only it. One
click goes this way::

    points layer ── changed ──> settle ──> predict on the worker ──> show ──> preview layer
                                  (once per gesture)     (latest wins)   │
    Enter ──────────────────────────────────────────> commit ──> Labels, one undo step
"""

from __future__ import annotations

from functools import partial, partialmethod
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, QTimer

from napari_mobilesam.engine import OverlapRule, PlaneSource, Prompts
from napari_mobilesam.layers import (
    NEGATIVE,
    POSITIVE,
    PictureChoice,
    first_image,
    plane_position,
    unwrap,
    with_intensity,
)

from .committing import Committer
from .connections import Connections
from .controller_signals import AnnotatorSignals
from .framing import Framing
from .hovering import Hover
from .inference import Inference
from .label_picking import LabelPicker
from .layer_keys import LayerKeys
from .many import Many
from .object_actions import ObjectActions
from .plane_follower import PlaneFollower
from .preview_layer import Previews
from .prompt_layers import SHAPE_MODES, PromptLayers
from .shortcuts import Keymap
from .stacks import Stacks

if TYPE_CHECKING:
    from napari_mobilesam.engine import Session, TidyOptions

    from .bridge import WorkerBridge
    from .model import ModelKeeper
    from .options import Options
    from .predicting import Hovered, Shown


class AnnotatorController(AnnotatorSignals):
    """What the annotator does, without a single visible widget.

    Its signals are those of `AnnotatorSignals`.
    """

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        model: ModelKeeper,
        options: Options,
        keymap: Keymap | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = unwrap(viewer)
        self._bridge = bridge
        self._model = model
        self._annotator = model.annotator
        self._connections = Connections()
        self.image: Image | None = None
        self._prompts: PromptLayers | None = None
        self._previews: Previews | None = None

        self._keys = LayerKeys(Keymap() if keymap is None else keymap, self._on_key)
        self._connections.on_close(self._keys.close)

        choice = with_intensity(PictureChoice(), options.intensity)
        self._follower = follower = PlaneFollower(self._viewer, choice, self)
        self._framing = Framing(self._viewer, follower, self)
        self._framing.guard_changed.connect(self.guard_changed)
        self._framing.refused.connect(partial(self._say, kind='warning'))
        follower.entered.connect(self._on_plane)
        follower.left.connect(self._leave_plane)
        follower.refused.connect(self._on_refused)
        follower.moved.connect(self._on_image_moved)
        self._inference = inference = Inference(bridge, model, self)
        inference.candidate_changed.connect(self._on_candidate)
        inference.status_changed.connect(self.status_changed)
        inference.timing_changed.connect(self.timing_changed)
        inference.encoding_changed.connect(self.encoding_changed)
        self._hover = Hover(bridge, model, inference, options.hover, self)
        self._hover.changed.connect(self._on_hover)
        self._hover.failed.connect(self._on_hover_failed)
        self._committer = committer = Committer(
            self._viewer,
            bridge,
            inference,
            OverlapRule(options.overlap),
            options.colours == 'class',
            self,
        )
        committer.labels_changed.connect(self.labels_changed)
        committer.prompts_restored.connect(self._predict)
        committer.status_changed.connect(self.status_changed)
        committer.committed.connect(self.committed)
        committer.overlap_asked.connect(self.overlap_asked)
        self.colours = committer.colours
        self.actions = ObjectActions(self._viewer, bridge, model, committer, inference, self)

        self.many = many = Many(self._viewer, bridge, model, inference, committer, self)
        many.status_changed.connect(self.status_changed)
        self.stacks = Stacks(self._viewer, bridge, model, inference, committer, self._hover, self)
        self.stacks.status_changed.connect(self.status_changed)
        self._picker = LabelPicker(self._viewer, bridge, committer, self)
        self._picker.status_changed.connect(self.status_changed)
        self._each = False

        self._settle_timer = self._timer(self._settle)
        # Not within napari's own handling of an insertion or removal.
        self._image_timer = self._timer(self._adopt_first_image)

    def _timer(self, callback: Any) -> QTimer:
        """Make a timer that calls back once, when what goes on now is over."""
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(callback)
        self._connections.on_close(timer.stop)
        return timer

    # -- life

    def start(self) -> None:
        """Listen to the viewer, and begin with the image that the user is looking at."""
        layers = self._viewer.layers
        connect = self._connections.connect
        connect(layers.events.inserted, self._on_layer_inserted)
        connect(layers.events.removed, self._on_layer_removed)
        connect(layers.selection.events.active, self._on_active_layer)
        self._follower.start()
        self._model.changed.connect(self._on_model)
        self._connections.on_close(partial(self._model.changed.disconnect, self._on_model))
        self.set_image(first_image(self._viewer))

    def close(self) -> None:
        """Take everything back: callbacks, keys, timers, our layers. Committed labels stay."""
        self._connections.close()
        self._leave_image()
        self._follower.close()
        self.stacks.close()
        self._annotator = None

    # -- state that panels show

    @property
    def viewer(self) -> Any:
        """The viewer, without proxy."""
        return self._viewer

    @property
    def committer(self) -> Committer:
        """Who writes to the labels."""
        return self._committer

    @property
    def labels(self) -> Any:
        """The Labels layer that objects go to, or None."""
        return self._committer.labels

    @property
    def objects(self) -> tuple[Any, ...]:
        """The objects committed to the current labels, by id."""
        return self._committer.objects

    @property
    def candidate(self) -> Shown | None:
        """The candidate on display."""
        return self._inference.candidate

    @property
    def offers(self) -> bool:
        """Whether candidates are on display, or what a click would give: to be gone through."""
        return self.candidate is not None or self._hover.shown is not None

    @property
    def source(self) -> PlaneSource | None:
        """The plane on display, as the worker reads it."""
        return self._inference.source

    @property
    def choice(self) -> PictureChoice:
        """How the picture that the model sees is made."""
        return self._follower.choice

    @property
    def pending(self) -> bool:
        """Whether something is put off for a moment: until a gesture ends, or a slider rests."""
        timers = (self._settle_timer, self._image_timer)
        parts = (self._follower, self._committer)
        return any(timer.isActive() for timer in timers) or any(part.pending for part in parts)

    def owns_preview(self, layer: Any) -> bool:
        """Whether a layer is one that masks are shown in, not kept."""
        return self._previews is not None and self._previews.own(layer)

    @property
    def object_layers(self) -> list[Any]:
        """The user's layers that objects can be taken from, one each."""
        return self.many.layers(self.image, self._prompts, self.owns_preview)

    @property
    def tool(self) -> str | None:
        """The tool in use, as of `PromptLayers`; None with a layer of the user's."""
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
        if image is None:
            self._say('Open an image to begin.', 'ready')
        self._follower.refresh()

    def set_labels(self, layer: Labels | None) -> None:
        """Write into another Labels layer; None for a new one."""
        self._committer.choose(layer)

    @property
    def overlap(self) -> OverlapRule:
        """What becomes of pixels that belong to other objects."""
        return self._committer.overlap

    @overlap.setter
    def overlap(self, rule: OverlapRule) -> None:
        self._committer.overlap = rule

    def set_choice(self, choice: PictureChoice) -> None:
        """Show the model another picture of the plane."""
        self._follower.set_choice(choice)
        self.choice_changed.emit(choice)

    @property
    def prompted_only(self) -> bool:
        """Whether only those parts of a mask are kept that the prompts speak of."""
        return self._inference.prompted_only

    @property
    def tidy(self) -> TidyOptions:
        """What is done to a mask before it is shown and committed."""
        return self._inference.tidy

    def set_tidy(self, options: TidyOptions) -> None:
        """Do something else to masks; the candidate on display shows it at once."""
        self._inference.tidy = options

    def set_prompted_only(self, value: bool) -> None:
        """Keep only those parts of a mask that the prompts speak of, or all."""
        self._inference.prompted_only = value

    @property
    def hover(self) -> bool:
        """Whether what a click would give is shown under the mouse."""
        return self._hover.enabled

    def set_hover(self, value: bool) -> None:
        """Show what a click would give under the mouse, or do not."""
        if value != self._hover.enabled:
            self._hover.enabled = value
            self.hover_changed.emit(value)

    @property
    def session(self) -> Session | None:
        """The objects in the current labels, with their history; None without labels."""
        return self._committer.session

    @property
    def class_id(self) -> int:
        """The class of the next object; 0 for none."""
        return self._committer.class_id

    @class_id.setter
    def class_id(self, class_id: int) -> None:
        if class_id != self._committer.class_id:
            self._committer.class_id = class_id
            self.class_changed.emit()

    def answer_overlap(self, rule: OverlapRule | None) -> None:
        """Say whose the pixels are that were asked about; None to leave it open."""
        self._committer.answer(rule)

    def set_polarity(self, polarity: str) -> None:
        """Make the next points positive or negative, and click points."""
        if self._prompts is not None:
            self._prompts.polarity = polarity
            if self._prompts.tool != 'scribble':
                self._use('points')

    # -- actions: the names of the shortcut table

    def toggle_polarity(self) -> None:
        self.set_polarity(NEGATIVE if self.polarity == POSITIVE else POSITIVE)

    def toggle_hover(self) -> None:
        self.set_hover(not self.hover)

    def flip_selected(self) -> None:
        """Exchange positive and negative of the selected points and strokes."""
        if self._prompts is not None and not self._prompts.flip_selected():
            self._say('Select points or strokes first: S, then click them.', 'ready')

    def refine_label(self) -> None:
        """Make the label under the mouse a prompt; the next commit changes it in place."""
        if self.image is not None and self._prompts is not None and self.source is not None:
            self._picker.pick(self.image, self._prompts, self.source.key, self.owns_preview)

    def clear(self) -> None:
        """Remove the prompts of the plane; undo brings them back."""
        if self._prompts is not None and self.source is not None:
            self._prompts.clear(self.source.key)
            self._settle()

    def choose_candidate(self, place: int) -> None:
        """Show the candidate at a place, from the best."""
        shown = self._inference.candidate
        if shown is not None:
            self._inference.choose(shown.prediction.candidates.order[place])

    def next_candidate(self) -> None:
        self._cycle(1)

    def previous_candidate(self) -> None:
        self._cycle(-1)

    def _cycle(self, by: int) -> None:
        part = self._hover if self.candidate is None else self._inference
        part.cycle(by)

    def encode_view(self) -> None:
        self._framing.look_closer()

    def encode_plane(self) -> None:
        self._framing.use_plane()

    def show_seen(self) -> None:
        self.seen_wanted.emit()

    def show_help(self) -> None:
        self.help_wanted.emit()

    def commit(self) -> None:
        """Put the candidate into the labels; if it is still being made, as soon as it is there."""
        if self._prompts is not None and self._prompts.finish_drawing():
            return  # Enter ends a polygon, as in napari; the next one commits
        if self._settle_timer.isActive():
            self._settle()
        if self._each:
            self.segment_all(None)
        else:
            self._committer.commit()

    def set_each(self, value: bool) -> None:
        """Take each prompt as an object of its own; commit then segments them all."""
        self._each = value
        self._predict()

    def segment_all(self, layer: Any, mode: str = 'replace') -> None:
        """Segment one object each from prompts, or from a layer of the user's; see `Many.run`."""
        self.many.run(self.image, self._prompts, layer, mode)

    def undo(self) -> None:
        """Take back the last step: a prompt, or an object together with its pixels."""
        if self._settle_timer.isActive():
            self._settle()
        self._committer.undo()

    def redo(self) -> None:
        """Do again what was taken back last."""
        self._committer.redo()

    def add_point(self, position: Any, positive: bool = True) -> None:
        """Do what a click does, for scripts: `position` in data coordinates of the image."""
        if self._prompts is not None:
            self._prompts.add_point(position, positive)

    # -- the image

    def _enter_image(self, image: Image) -> None:
        self._follower.set_image(image)
        # From bottom to top: image, labels, candidate, boxes, points.
        self._prompts = PromptLayers(
            self._viewer,
            image,
            self._on_prompts,
            self._keys,
            self.tool_changed.emit,
            self._on_mouse,
            self.refine_label,
        )
        self._previews = Previews(self._viewer, image, self._prompts)
        self._framing.enter(image, self._prompts.selection_kept)
        self._committer.enter(image, self._prompts)
        self.actions.enter(image, self._prompts)
        self.stacks.enter(image, self._prompts, self._previews)
        self._prompts.use('points')

    def _leave_image(self) -> None:
        self._follower.set_image(None)
        self.stacks.leave()
        for part in (self._prompts, self._previews):
            if part is not None:
                part.close()
        self._prompts = self._previews = None
        self._framing.leave()
        self.actions.leave()
        self._committer.leave()
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
        if self._previews is not None:
            self._previews.forget(layer)
        self._framing.forget(layer)
        self._committer.forget(layer)

    def _adopt_first_image(self) -> None:
        if self.image is None and self._connections:
            self.set_image(first_image(self._viewer))

    def _on_image_moved(self) -> None:
        self._hover.stop()
        for part in (self._prompts, self._previews, self._framing):
            if part is not None:
                part.follow_image()

    # -- the plane

    def _on_plane(self, source: PlaneSource) -> None:
        if self.source is None and self._prompts is not None and self._prompts.tool is not None:
            self._prompts.use(self._prompts.tool)
        self._committer.forget_wish()
        self._inference.enter(source)
        self._framing.show_source(source)
        self.stacks.show_source(source)
        self.plane_changed.emit(source)
        self._settle()

    def _on_refused(self, reason: str) -> None:
        if self._prompts is not None:
            self._prompts.rest()
        self._framing.show_source(None)
        self._say(reason, 'warning')

    def _leave_plane(self) -> None:
        self.many.batch.stop(keep=False)
        self._committer.forget_wish()
        self._inference.leave()
        self._hover.stop()
        self.stacks.show_source(None)
        self.plane_changed.emit(None)

    def _on_model(self) -> None:
        self._inference.say_model()
        if self._model.annotator is not self._annotator and self._model.annotator is not None:
            self._annotator = self._model.annotator
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
        self._hover.stop()
        if self._prompts is None:
            return
        if self.source is not None:
            self._prompts.keep_last_area(self.source.key)
            if self.actions.split_by_click(self._prompts.prompts(self.source.key), self._record):
                return  # the click is part of that, or else is recorded after it
        self._record()

    def _record(self) -> None:
        self._committer.record()
        self._predict()

    def _predict(self) -> None:
        if self.source is not None and self._prompts is not None:
            here = Prompts() if self._each else self._prompts.prompts(self.source.key)
            self._inference.ask(here, self._hover.rank)

    def _on_candidate(self, shown: Shown | None) -> None:
        if self._previews is not None:
            self._previews.show_candidate(shown)
        self._framing.show_object(None if shown is None else shown.drawing)
        self.candidate_changed.emit(shown)
        if shown is not None:
            self._committer.arrived()

    # -- under the mouse

    def _on_mouse(self, position: Any) -> None:
        if position is None or self.image is None or self.source is None:
            self._hover.stop()
        else:
            self._hover.move(plane_position(self.image, self.source.key, position))

    def mouse_left(self) -> None:
        """The mouse is not over the canvas any more."""
        self._hover.stop()

    def _on_hover(self, hovered: Hovered | None) -> None:
        if self._previews is not None:
            self._previews.show_hover(hovered)
        if hovered is not None:  # the line stays when the mouse goes to its button
            self._framing.show_object(hovered.drawing)
        self.hovered_changed.emit(hovered)

    def _on_hover_failed(self, words: str) -> None:
        self.hover_changed.emit(False)
        self._say(words, 'warning')

    # -- words

    def _say(self, text: str, kind: str) -> None:
        self.status_changed.emit(text, kind)


def _class_action(class_id: int) -> Any:
    def press(self: AnnotatorController) -> None:
        self.class_key.emit(class_id)

    return press


# Actions like all others, one for each number key.
for _number in range(10):
    setattr(AnnotatorController, f'class_{_number}', _class_action(_number))
for _action, _tool in (
    ('use_points', 'points'),
    ('use_label', 'label'),
    ('select_prompts', 'select'),
    *((f'use_{tool}', tool) for tool in SHAPE_MODES),
):
    setattr(AnnotatorController, _action, partialmethod(AnnotatorController._use, _tool))

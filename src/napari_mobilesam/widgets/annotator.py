"""The dock widget: a shell of small panels round the controller."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils import progress
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_mobilesam.engine import OverlapRule
from napari_mobilesam.layers import area_text, channels_of, unwrap, with_intensity

from .batch_panel import BatchPanel
from .bridge import WorkerBridge
from .candidate_panel import CandidatePanel
from .canvas_keys import CanvasKeys
from .connections import Connections
from .controller import AnnotatorController
from .files_panel import FilesPanel
from .filing import Filing
from .focus_ring import FocusRing
from .folding import Folding
from .frame_line import FrameLine
from .going_through import GoingThrough
from .hints import Hints
from .image_panel import ImagePanel
from .journaling import Journaling
from .keys_window import KeysWindow
from .labels_panel import LabelsPanel, OverlapQuestion
from .model import ModelKeeper, SegmenterFactory
from .model_loading import ModelEntry
from .model_panel import ModelPanel
from .object_desk import ObjectDesk
from .options import Options, keep_option, read_options, watch_options
from .prompt_panel import PromptPanel
from .restore_line import RestoreLine
from .section import Section
from .seeing import Seeing
from .series_panel import SeriesPanel
from .shortcuts import Keymap, qt_key
from .stack_desk import StackDesk
from .status_line import StatusLine
from .tidy_box import TidyBox

if TYPE_CHECKING:
    import napari

    from .predicting import Hovered, Shown


class AnnotatorWidget(QWidget):
    """Click a cell, see its mask; Enter puts it into the labels.

    Parameters
    ----------
    viewer
        The viewer that the widget belongs to.
    parent
        Qt parent.
    segmenter_factory
        Makes the model, on the worker; by default the checkpoint of the settings is loaded.
    options
        By default what the user set in napari's preferences.

    Attributes
    ----------
    controller
        Everything that the widget does, for scripts and tests.
    model
        The model and its state.
    """

    # As a string, which __future__ makes of it, napari knows by it where to put the viewer.
    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        parent: QWidget | None = None,
        segmenter_factory: SegmenterFactory | None = None,
        options: Options | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName('mobilesam-annotator')
        self._viewer = unwrap(viewer)
        self._connections = Connections()
        self._preferences = Connections()
        self._progress: Any = None
        self._closed = False
        if options is None:
            options = read_options()
            watch_options(self._preferences, self._follow_options)

        self._options = options
        self.keymap = Keymap()
        # Not Qt children: they have to outlive this widget's C++ side while they are torn down.
        self._bridge = WorkerBridge()
        self.model = ModelKeeper(self._bridge, options, segmenter_factory)
        self.controller = AnnotatorController(
            viewer, self._bridge, self.model, options, self.keymap
        )
        self.journaling = Journaling(self.controller)
        self.filing = Filing(self.controller, self.journaling, self.model.script_name)
        self.series = GoingThrough(self.controller, self.filing, self._bridge, self.model)

        self.status = StatusLine()
        self.restore_line = RestoreLine()
        self.hints = Hints(self.keymap)
        self.frame_line = FrameLine()
        self.image_panel = ImagePanel(self.controller.choice)
        self.prompt_panel = PromptPanel(self.controller.hover)
        self.batch_panel = BatchPanel()
        self.candidate_panel = CandidatePanel(self.controller.prompted_only)
        self.labels_panel = LabelsPanel(self.controller.overlap, self.controller.colours.by_class)
        self.tidy_box = TidyBox(self.controller.tidy)
        self.candidate_panel.add_options(self.tidy_box)
        self.overlap_question = OverlapQuestion()
        self.objects = ObjectDesk(self.controller, self._bridge, self)
        self.files_panel = FilesPanel()
        self.series_panel = SeriesPanel()
        window = getattr(self._viewer, 'window', None)
        self.stack = StackDesk(
            self.controller, lambda: self.objects.panel.selected, self, window=window
        )
        self.model_panel = ModelPanel()
        self.seeing = Seeing(self._bridge, self)
        self.keys_window: KeysWindow | None = None
        self._qt_shortcuts: list[QShortcut] = []
        self._lay_out()
        self._connect()
        self._bind_keys()
        self._show_theme()

        self.controller.start()
        self.model.load()
        self.model.look_around()
        # A viewer that closes destroys the dock without a word to this widget.
        self.destroyed.connect(partial(_abandon, weakref.ref(self)))

    # -- building

    def _lay_out(self) -> None:
        panels = QWidget()
        column = QVBoxLayout(panels)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(16)
        self._sections = (
            self.status,
            self.restore_line,
            self.overlap_question,
            self.hints,
            self.frame_line,
            self.prompt_panel,
            self.candidate_panel,
            self.objects.panel,
            self.stack.panel,
            self.batch_panel,
            self.labels_panel,
            self.image_panel,
            self.files_panel,
            self.series_panel,
            self.model_panel,
        )
        for section in self._sections:
            column.addWidget(section)
        column.addStretch()
        QWidget.setTabOrder(self.tidy_box.specks, self.candidate_panel.commit)
        self._focus_ring = FocusRing(panels)
        self._folding = Folding([s for s in self._sections if isinstance(s, Section)])
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(panels)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(300)

    def _connect(self) -> None:
        controller, model = self.controller, self.model
        controller.status_changed.connect(self.status.show_status)
        self.journaling.status_changed.connect(self.status.show_status)
        self.journaling.offered.connect(self.restore_line.offer)
        self.restore_line.chosen.connect(self.journaling.restore)
        self._connect_files()
        controller.candidate_changed.connect(self._show_candidate)
        controller.hovered_changed.connect(self._show_hovered)
        controller.committed.connect(lambda _record: self.hints.done('commit'))
        controller.tool_changed.connect(self._show_tool)
        controller.hover_changed.connect(self._show_hover)
        controller.image_changed.connect(self._show_layers)
        controller.labels_changed.connect(self._show_layers)
        controller.overlap_asked.connect(self.overlap_question.ask)
        controller.colours.changed.connect(self._show_colours)
        controller.timing_changed.connect(self._show_times)
        controller.encoding_changed.connect(self._show_encoding)
        controller.plane_changed.connect(self.seeing.follow)
        controller.guard_changed.connect(self.frame_line.show_guard)
        controller.choice_changed.connect(self.image_panel.show_choice)
        controller.seen_wanted.connect(self.seeing.open)
        controller.help_wanted.connect(self.open_keys)
        model.changed.connect(self._show_model)
        model.noticed.connect(partial(self.status.show_status, kind='warning'))
        model.surveyed.connect(self._show_models)
        model.download_progressed.connect(self.model_panel.show_progress)
        model.download_ended.connect(self.model_panel.show_download_ended)

        self.objects.panel.chosen.connect(self.stack.show_object)
        self.stack.below_changed.connect(partial(keep_option, 'strip_below'))
        self.prompt_panel.polarity_chosen.connect(controller.set_polarity)
        self.prompt_panel.action_chosen.connect(self._act)
        self.prompt_panel.hover_chosen.connect(controller.set_hover)
        batch = controller.many.batch
        batch.progressed.connect(self.batch_panel.show_progress)
        batch.ended.connect(self.batch_panel.show_ended)
        self.batch_panel.each_chosen.connect(controller.set_each)
        self.batch_panel.run_clicked.connect(controller.segment_all)
        self.batch_panel.stop_clicked.connect(batch.stop)
        self.candidate_panel.commit_clicked.connect(controller.commit)
        self.candidate_panel.prompted_only_chosen.connect(controller.set_prompted_only)
        self.candidate_panel.chosen.connect(controller.choose_candidate)
        self.tidy_box.chosen.connect(controller.set_tidy)
        self.candidate_panel.next_clicked.connect(controller.next_candidate)
        self.candidate_panel.previous_clicked.connect(controller.previous_candidate)
        self.labels_panel.labels_chosen.connect(controller.set_labels)
        self.labels_panel.overlap_chosen.connect(partial(setattr, controller, 'overlap'))
        self.labels_panel.by_class_chosen.connect(partial(setattr, controller.colours, 'by_class'))
        self.overlap_question.answered.connect(controller.answer_overlap)
        self.image_panel.image_chosen.connect(controller.set_image)
        self.image_panel.choice_made.connect(controller.set_choice)
        self.image_panel.seen_clicked.connect(self.seeing.open)
        self.frame_line.closer_clicked.connect(controller.encode_view)
        self.frame_line.plane_clicked.connect(controller.encode_plane)
        self.status.help_clicked.connect(self.open_keys)
        self.model_panel.model_chosen.connect(self._choose_model)
        self.model_panel.device_chosen.connect(self._choose_device)
        self.model_panel.precision_chosen.connect(self._choose_precision)
        self.model_panel.download_clicked.connect(model.download)
        self.model_panel.cancel_clicked.connect(model.cancel_download)
        self.model_panel.retry_clicked.connect(model.load)

        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.renamed, events.reordered):
            self._connections.connect(emitter, self._show_layers)
        self._connections.connect(self._viewer.events.theme, self._show_theme)

    def _connect_files(self) -> None:
        filing, panel = self.filing, self.files_panel
        filing.status_changed.connect(self.status.show_status)
        filing.busy_changed.connect(panel.show_busy)
        filing.progressed.connect(panel.show_progress)
        filing.session_changed.connect(panel.show_session)
        filing.question_asked.connect(panel.question.ask)
        panel.save_wanted.connect(filing.save)
        panel.open_wanted.connect(filing.open)
        panel.autosave_chosen.connect(filing.set_autosave)
        panel.export_wanted.connect(filing.export)
        panel.import_wanted.connect(filing.bring)
        panel.script_wanted.connect(filing.copy_script)
        panel.cancel_clicked.connect(filing.cancel)
        panel.image_named.connect(filing.answer)
        panel.same_image_wanted.connect(filing.answer_same)
        series, steps = self.series, self.series_panel
        series.status_changed.connect(self.status.show_status)
        series.moved.connect(steps.show_place)
        filing.busy_changed.connect(steps.show_busy)
        steps.opened.connect(series.start)
        steps.moved.connect(series.move)
        steps.done_clicked.connect(series.done)
        steps.skip_chosen.connect(series.set_skip)

    def _bind_keys(self) -> None:
        self._canvas_keys = CanvasKeys(self)
        self.keymap.changed.connect(self._bind_dock_keys)
        self._bind_dock_keys()

    def _bind_dock_keys(self) -> None:
        for old in self._qt_shortcuts:
            old.setParent(None)
            old.deleteLater()
        self._qt_shortcuts.clear()
        for shortcut in self.keymap.shortcuts:
            if shortcut.in_dock and shortcut.keys:
                qt = QShortcut(QKeySequence(qt_key(shortcut.keys[0])), self)
                # Only while the keyboard is in the dock: napari keeps its own keys.
                qt.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                qt.activated.connect(partial(self._act, shortcut.action))
                self._qt_shortcuts.append(qt)
        self.keymap.show_in(self)

    def _act(self, action: str) -> None:
        getattr(self.controller, action)()

    def open_keys(self) -> None:
        """Open the window with all keys, or bring it to the front."""
        if self.keys_window is None:
            self.keys_window = KeysWindow(self.keymap, self)
        self.keys_window.show()
        self.keys_window.raise_()

    # -- life

    def event(self, event: QEvent) -> bool:
        """Follow the dock: napari closes it by taking the parent away, without a close event."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self.tear_down()
            else:
                QTimer.singleShot(0, self._watch_canvas)  # its window is known only then
        return bool(super().event(event))

    def _watch_canvas(self) -> None:
        if not self._closed:
            self._canvas_keys.watch(self.window())
            if self._options.strip_below:
                self.stack.set_below(True)

    def tear_down(self) -> None:
        """Take everything back: callbacks, keys, layers, thread. Committed labels stay."""
        if self._closed:
            return
        self.stop_threads()
        self._connections.close()
        self._canvas_keys.close()
        self._end_progress()
        self._focus_ring.close()
        self.filing.close()
        self.journaling.close()
        self.seeing.close()
        if self.keys_window is not None:
            self.keys_window.close()
        self.objects.close()
        self.stack.close()
        self.controller.close()

    def stop_threads(self) -> None:
        """Let no thread of ours go on; nothing of Qt's or of the viewer's is touched."""
        self._closed = True
        # They are the process's, not the window's: they would go on telling a widget that is gone.
        self._preferences.close()
        self.filing.stop()
        self.journaling.stop()
        self._bridge.close()
        self.model.close()

    # -- choosing

    def _choose_model(self, checkpoint: str) -> None:
        self.model.choose(checkpoint)
        self.model.look_around()
        keep_option('checkpoint', checkpoint)

    def _show_hover(self, on: bool) -> None:
        self.prompt_panel.show_hover(on)
        keep_option('hover', on)

    def _show_colours(self, by_class: bool) -> None:
        self.labels_panel.show_by_class(by_class)
        keep_option('colours', 'class' if by_class else 'id')

    def _choose_device(self, device: str) -> None:
        self.model.choose_device(device)
        keep_option('device', device)

    def _choose_precision(self, precision: str) -> None:
        self.model.choose_precision(precision)
        keep_option('precision', precision)

    def _follow_options(self, options: Options) -> None:
        """Do at once what the user asks for in the preferences."""
        before, self._options = self._options, options
        self.model.apply(options)
        if options.intensity != before.intensity:
            self.controller.set_choice(with_intensity(self.controller.choice, options.intensity))
        if options.hover != before.hover:
            self.controller.set_hover(options.hover)
        if options.overlap != before.overlap:
            self.controller.overlap = OverlapRule(options.overlap)
            self.labels_panel.show_overlap(self.controller.overlap)
        if options.strip_below != before.strip_below:
            self.stack.set_below(options.strip_below)
        if options.colours != before.colours:
            self.controller.colours.by_class = options.colours == 'class'

    # -- showing

    def _show_layers(self, _event: Any = None) -> None:
        layers = self._viewer.layers
        images = [layer for layer in layers if isinstance(layer, Image)]
        labels = [
            layer
            for layer in layers
            if isinstance(layer, Labels) and not self.controller.owns_preview(layer)
        ]
        self.image_panel.show_images(
            images, self.controller.image, channels_of(images), self.controller.choice.rgb
        )
        self.batch_panel.show_layers(self.controller.object_layers)
        image = self.controller.image
        name = None if image is None else str(image.name)
        self.files_panel.show_image(name, '' if image is None else image.source.path or '')
        current = self.controller.labels
        self.labels_panel.show_labels(labels, current)
        self.stack.panel.refine.show_layers(labels)

    def _show_candidate(self, shown: Shown | None) -> None:
        image = self.controller.image
        if shown is None or image is None:
            self.candidate_panel.show_nothing()
            return
        self.hints.done('click')
        if shown.rank:
            self.hints.done('candidates')
        candidates = shown.prediction.candidates
        self.candidate_panel.show_candidate(
            [candidates.score(index) for index in candidates.order],
            [
                ('' if i == shown.choice else '≈ ')
                + area_text(image, shown.source.key, shown.sizes[i])
                for i in candidates.order
            ],
            shown.rank,
        )

    def _show_hovered(self, hovered: Hovered | None) -> None:
        image = self.controller.image
        if self.controller.candidate is not None or image is None:
            return
        if hovered is None:
            self.candidate_panel.show_nothing()
        else:
            size = f'≈ {area_text(image, hovered.source.key, hovered.n_pixels)}'
            self.candidate_panel.show_hover(hovered.scores, size, hovered.rank)

    def _show_tool(self) -> None:
        self.prompt_panel.show_tool(self.controller.tool, self.controller.polarity)

    def _show_model(self) -> None:
        model = self.model
        self.model_panel.show_state(model.loaded, model.error, model.loading)
        self.model_panel.show_device(model.device)
        precisions = () if model.loaded is None else model.loaded.precisions
        self.model_panel.show_precision(precisions, model.precision)
        self._show_times(None, None)

    def _show_models(self, entries: tuple[ModelEntry, ...]) -> None:
        self.model_panel.show_models(entries, self.model.wanted)

    def _show_times(self, encode_ms: float | None, decode_ms: float | None) -> None:
        model = self.model
        if encode_ms is not None:  # what encodes is known only by now
            self.model_panel.show_state(model.loaded, model.error, model.loading)
        store = self.model.store
        self.model_panel.show_times(encode_ms, decode_ms)
        self.model_panel.show_cache(store.nbytes, store.budget_mib)

    def _show_encoding(self, running: bool) -> None:
        """Show a bar in napari's activity dock while a plane is encoded."""
        if running and self._progress is None and not self._closed:
            self._progress = progress(total=0, desc='MobileSAM: looking at this plane')
        elif not running:
            self._end_progress()

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def _show_theme(self, _event: Any = None) -> None:
        theme = str(self._viewer.theme)
        parts = (self.status, self.prompt_panel, self.candidate_panel, self._focus_ring)
        for part in parts:
            part.show_theme(theme)


def _abandon(widget: weakref.ref[AnnotatorWidget], _object: Any = None) -> None:
    """Stop the threads of a widget that Qt is destroying together with its window.

    No more than that: layers, timers and the canvas are about to go, or gone, and touching them
    now would crash the process.
    """
    alive = widget()
    if alive is not None:
        alive.stop_threads()

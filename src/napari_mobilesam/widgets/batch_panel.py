"""One object each: what to take objects from, what becomes of them, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Labels, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton

from .bars import QuietBar
from .layer_combo import LayerCombo
from .progress_row import duration
from .section import Section

# What refining coarse labels does, its name, and what that means.
MODES = (
    ('replace', 'Replace them', 'Each label becomes its refined mask, under the same id'),
    ('keep', 'Keep them', 'The labels keep their pixels, and only grow into free ones'),
    ('compare', 'Compare', 'Refined masks go into a new Labels layer'),
)


class BatchPanel(Section):
    """Segment many objects at once.

    Signals
    -------
    each_chosen (bool)
        Whether each prompt that is placed is an object of its own.
    run_clicked (Layer or None, str)
        Take objects from this layer, or from the prompts placed here; and what refining does.
    stop_clicked (bool)
        Stop; True to keep what is done.
    """

    each_chosen = Signal(bool)
    run_clicked = Signal(object, str)
    stop_clicked = Signal(bool)

    def __init__(self) -> None:
        super().__init__('One object each')
        self.each = QCheckBox('Each prompt is an object')
        self.each.setToolTip(
            'Place a point or box on each object; Enter then segments and commits them all'
        )
        self.source = LayerCombo('Prompts placed here')
        self.source.setAccessibleName('Take objects from')
        self.source.setToolTip('Take objects from')
        self.mode = QComboBox()
        self.mode.setAccessibleName('What becomes of the labels')
        for value, title, hint in MODES:
            self.mode.addItem(title, value)
            self.mode.setItemData(self.mode.count() - 1, hint, 3)  # the tooltip role
        self.run = QPushButton(' Segment &all')
        self.bar = QuietBar()
        self.keep = QPushButton('Keep done')
        self.discard = QPushButton('Discard')
        self.body.addWidget(self.each)
        self.body.addWidget(self.source)
        self.body.addWidget(self.mode)
        self.body.addWidget(self.run)
        self.body.addWidget(self.bar)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.keep)
        row.addWidget(self.discard)
        self.body.addLayout(row)
        self.each.toggled.connect(self.each_chosen)
        self.source.chosen.connect(self._show_mode)
        self.run.clicked.connect(self._run)
        self.keep.clicked.connect(lambda: self.stop_clicked.emit(True))
        self.discard.clicked.connect(lambda: self.stop_clicked.emit(False))
        self.show_ended()
        self._show_mode()

    def show_layers(self, layers: Sequence[Layer]) -> None:
        """List the layers that objects can be taken from."""
        self.source.show_layers(layers, self.source.currentData())
        self._show_mode()

    def show_progress(self, done: int, total: int, seconds: float) -> None:
        """Show how far it is; a bar without an end while that is not known."""
        self._show_running(True)
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        left = '' if seconds < 0 else f' · {duration(seconds)} left'
        self.bar.setFormat(f'{done} of {total}{left}' if total else 'looking')

    def show_ended(self) -> None:
        """Show that nothing is under way."""
        self._show_running(False)

    def _show_running(self, running: bool) -> None:
        self.run.setVisible(not running)
        for widget in (self.bar, self.keep, self.discard):
            widget.setVisible(running)

    def _show_mode(self, _layer: object = None) -> None:
        self.mode.setVisible(isinstance(self.source.currentData(), Labels))

    def _run(self) -> None:
        self.run_clicked.emit(self.source.currentData(), str(self.mode.currentData()))

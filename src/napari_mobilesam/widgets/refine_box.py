"""Refine labels: which, on which slices, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QPushButton, QWidget

from .choice_combo import ChoiceCombo
from .layer_combo import LayerCombo
from .progress_row import ProgressRow
from .slice_scope import SliceScope

MODES = (
    ('replace', 'Replace them', 'Each label gets its refined outline, under the same id'),
    ('keep', 'Keep them', 'The labels keep their pixels, and only grow into free ones'),
    ('compare', 'Compare', 'The refined labels go into a Labels layer of their own, ids kept'),
)


class RefineBox(QWidget):
    """Choose labels of another program, and improve their outlines slice by slice.

    Signals
    -------
    run_clicked (Labels or None, list of int or None, str, float)
        Refine this layer on these slices (None for all), what becomes of its labels, and the score
        from which on the model is believed.
    stopped (bool)
        Stop; True to keep what is done.
    """

    run_clicked = Signal(object, object, str, float)
    stopped = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.labels = LayerCombo('Labels to refine…')
        self.labels.setAccessibleName('Labels to refine')
        self.where = SliceScope('Where to refine', 'all')
        self.mode = ChoiceCombo('What becomes of the labels', MODES)
        self.score = QDoubleSpinBox()
        self.score.setRange(0, 1)
        self.score.setSingleStep(0.05)
        self.score.setValue(0.5)
        self.score.setAccessibleName('Score from')
        self._score_name = QLabel('Score from')
        self._score_name.setBuddy(self.score)
        for widget in (self._score_name, self.score):
            widget.setToolTip('Labels of whose outline the model is less sure stay as they are')
        self.run = QPushButton('Refine')
        self.run.setToolTip(
            'Outline each label of the layer anew, on one slice after the other. Ids stay as they '
            'are. Ctrl+Z takes it back'
        )
        self.row = ProgressRow('Keep done', 'Discard')
        self._lay_out()
        self.run.clicked.connect(self._run)
        self.row.clicked.connect(lambda number: self.stopped.emit(number == 0))

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.labels, 0, 0, 1, 2)
        grid.addWidget(self.where.scope, 1, 0)
        grid.addWidget(self.mode, 1, 1)
        grid.addWidget(self.where.first, 2, 0)
        grid.addWidget(self.where.last, 2, 1)
        grid.addWidget(self._score_name, 3, 0)
        grid.addWidget(self.score, 3, 1)
        grid.addWidget(self.run, 4, 0, 1, 2)
        grid.addWidget(self.row, 5, 0, 1, 2)

    def show_layers(self, layers: Sequence[Labels]) -> None:
        """List the layers that there are; the one that is chosen stays so while it is there."""
        self.labels.show_layers(layers, self.labels.currentData())

    def show_running(self, running: bool) -> None:
        """Show whether labels are being refined."""
        self.run.setVisible(not running)
        self.row.setVisible(running)

    def _run(self) -> None:
        self.run_clicked.emit(
            self.labels.currentData(),
            self.where.slices,
            self.mode.currentData(),
            self.score.value(),
        )

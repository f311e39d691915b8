"""Where objects go, and what happens where they meet."""

from __future__ import annotations

from functools import partial

from napari.layers import Labels, Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
)

from napari_mobilesam.engine import OverlapRule

from .layer_combo import LayerCombo
from .section import Section

_RULES = (
    (OverlapRule.KEEP, 'keep the earlier object'),
    (OverlapRule.REPLACE, 'replace by the new object'),
    (OverlapRule.ASK, 'ask each time'),
)


class LabelsPanel(Section):
    """Choose the Labels layer and the overlap rule.

    Signals
    -------
    labels_chosen (Labels or None)
        None stands for a new layer.
    overlap_chosen (OverlapRule)
    by_class_chosen (bool)
        Whether objects are coloured by class.
    """

    labels_chosen = Signal(object)
    overlap_chosen = Signal(object)
    by_class_chosen = Signal(bool)

    def __init__(self, overlap: OverlapRule, by_class: bool = False) -> None:
        super().__init__('Labels')
        self.labels = LayerCombo('new layer')
        self.overlap = QComboBox()
        self.overlap.setMinimumWidth(80)
        for rule, title in _RULES:
            self.overlap.addItem(title, rule)
        self.overlap.setCurrentIndex(self.overlap.findData(overlap))
        self.overlap.setToolTip('What happens to pixels that two objects claim')
        self.colours = QComboBox()
        self.colours.setMinimumWidth(80)
        for title, by in (('one for each object', False), ('by class', True)):
            self.colours.addItem(title, by)
        self.colours.setToolTip(
            'How objects are coloured in the Labels layer.\n'
            'The colours of classes are chosen under Classes, above.'
        )
        self.show_by_class(by_class)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow('&Into', self.labels)
        form.addRow('&Overlap', self.overlap)
        form.addRow('Colour&s', self.colours)
        self.body.addLayout(form)
        self.labels.chosen.connect(self.labels_chosen)
        self.overlap.currentIndexChanged.connect(
            lambda _index: self.overlap_chosen.emit(self.overlap.currentData())
        )
        self.colours.currentIndexChanged.connect(
            lambda _index: self.by_class_chosen.emit(self.colours.currentData())
        )

    def show_overlap(self, rule: OverlapRule) -> None:
        """Show the overlap rule; tells nobody."""
        with QSignalBlocker(self.overlap):
            self.overlap.setCurrentIndex(self.overlap.findData(rule))

    def show_by_class(self, by_class: bool) -> None:
        """Show how objects are coloured; tells nobody."""
        with QSignalBlocker(self.colours):
            self.colours.setCurrentIndex(self.colours.findData(by_class))

    def show_labels(self, layers: list[Layer], current: Labels | None) -> None:
        """List the Labels layers."""
        self.labels.show_layers(layers, current)


class OverlapQuestion(QFrame):
    """A line in the dock that asks whose the pixels are: nothing is in the way meanwhile.

    Signals
    -------
    answered (OverlapRule or None)
        None for neither: the candidate stays as it is.
    """

    answered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.keep = QPushButton('&Keep theirs')
        self.replace = QPushButton('&Replace')
        self.neither = QPushButton('Not &now')
        row = QHBoxLayout()
        row.setSpacing(4)
        for button, rule, hint in (
            (self.keep, OverlapRule.KEEP, 'The objects that are there keep these pixels'),
            (self.replace, OverlapRule.REPLACE, 'The new object takes them'),
            (self.neither, None, 'Commit nothing; change the prompts'),
        ):
            button.setToolTip(hint)
            button.clicked.connect(partial(self._answer, rule))
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.addWidget(self.text)
        column.addLayout(row)
        self.hide()

    def _answer(self, rule: OverlapRule | None, _checked: bool = False) -> None:
        self.answered.emit(rule)

    def ask(self, claimed: dict[int, int] | None) -> None:
        """Ask about pixels of these objects; None: there is nothing to ask any more."""
        if claimed:
            ids = ', '.join(map(str, sorted(claimed)[:5])) + ('…' if len(claimed) > 5 else '')
            word = 'object' if len(claimed) == 1 else 'objects'
            self.text.setText(f'{sum(claimed.values()):,} px belong to {word} {ids}.')
        self.setVisible(bool(claimed))

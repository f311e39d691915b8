"""How masks are tidied: a few boxes under the candidate, which shows it at once."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QSpinBox, QWidget

from napari_mobilesam.engine import TidyOptions


class TidyBox(QWidget):
    """Choose what is done to a mask before it is shown and committed.

    Parameters
    ----------
    options
        Shown at first.

    Signals
    -------
    chosen (TidyOptions)
    """

    chosen = Signal(object)

    def __init__(self, options: TidyOptions) -> None:
        super().__init__()
        self.fill_holes = QCheckBox('Fill holes')
        self.fill_holes.setChecked(options.fill_holes)
        self.fill_holes.setToolTip('Background that is enclosed by the object belongs to it')
        self.largest_part = QCheckBox('Largest part')
        self.largest_part.setChecked(options.largest_part)
        self.largest_part.setToolTip('Keep only the largest connected part')
        self.smooth = _pixels(options.smooth, 20, 'Smooth the outline within so many pixels')
        self.specks = _pixels(options.remove_specks, 100_000, 'Remove parts smaller than this')
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.fill_holes, 0, 0, 1, 2)
        grid.addWidget(self.largest_part, 0, 2)
        # One under the other: side by side they would widen a narrow dock.
        for row, (title, box) in enumerate((('Smooth', self.smooth), ('Specks', self.specks)), 1):
            label = QLabel(title)
            label.setBuddy(box)
            label.setToolTip(box.toolTip())
            grid.addWidget(label, row, 0)
            grid.addWidget(box, row, 1, 1, 2)
        grid.setColumnStretch(2, 1)
        for check in (self.fill_holes, self.largest_part):
            check.toggled.connect(self._choose)
        for box in (self.smooth, self.specks):
            box.valueChanged.connect(self._choose)

    @property
    def options(self) -> TidyOptions:
        """What is chosen."""
        return TidyOptions(
            remove_specks=self.specks.value(),
            largest_part=self.largest_part.isChecked(),
            fill_holes=self.fill_holes.isChecked(),
            smooth=self.smooth.value(),
        )

    def _choose(self, _value: object = None) -> None:
        self.chosen.emit(self.options)


def _pixels(value: int, most: int, hint: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(0, most)
    box.setValue(value)
    box.setSuffix(' px')
    box.setSpecialValueText('off')
    box.setToolTip(hint)
    box.setMinimumWidth(60)
    return box

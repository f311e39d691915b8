"""The tools: positive and negative points, boxes, clear."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QGridLayout, QPushButton

from napari_mobilesam.layers import NEGATIVE, POSITIVE

from .icons import ICON_SIZE, chip_icon, theme_icon
from .prompt_layers import NEGATIVE_COLOUR, POSITIVE_COLOUR
from .section import Section
from .shortcuts import describe


class PromptPanel(Section):
    """Choose what a click means.

    Signals
    -------
    polarity_chosen (str)
    boxes_chosen
    clear_clicked
    hover_chosen (bool)
        Whether to show what a click would give.
    """

    polarity_chosen = Signal(str)
    boxes_chosen = Signal()
    clear_clicked = Signal()
    hover_chosen = Signal(bool)

    def __init__(self, hover: bool) -> None:
        super().__init__('Prompts')
        self.positive = self._tool('Positive', 'Click on the object', 'toggle_polarity')
        self.negative = self._tool('Negative', 'Click beside it, or Shift-click', 'toggle_polarity')
        self.box = self._tool('Box', 'Drag a box round the object', 'use_boxes')
        self.clear = QPushButton(' Clear')
        describe(self.clear, 'clear')
        self.positive.setIcon(chip_icon(POSITIVE_COLOUR, '+'))
        self.negative.setIcon(chip_icon(NEGATIVE_COLOUR, '-'))

        self.clear.setIconSize(ICON_SIZE)
        self._group = QButtonGroup(self)
        grid = QGridLayout()
        grid.setSpacing(4)
        for place, button in enumerate((self.positive, self.negative, self.box, self.clear)):
            grid.addWidget(button, place // 2, place % 2)
            if button is not self.clear:
                self._group.addButton(button)
        self.body.addLayout(grid)
        self.hover = QCheckBox('Preview under the mouse')
        self.hover.setChecked(hover)
        describe(self.hover, 'toggle_hover')
        self.body.addWidget(self.hover)

        self.positive.clicked.connect(lambda: self.polarity_chosen.emit(POSITIVE))
        self.negative.clicked.connect(lambda: self.polarity_chosen.emit(NEGATIVE))
        self.box.clicked.connect(self.boxes_chosen)
        self.clear.clicked.connect(self.clear_clicked)
        self.hover.toggled.connect(self.hover_chosen)

    def show_tool(self, tool: str | None, polarity: str) -> None:
        """Press the button of the active tool; none, where another layer is active."""
        pressed = {
            'points': self.negative if polarity == NEGATIVE else self.positive,
            'boxes': self.box,
        }.get(tool or '')
        with QSignalBlocker(self._group):
            self._group.setExclusive(False)
            for button in self._group.buttons():
                button.setChecked(button is pressed)
            self._group.setExclusive(True)

    def show_hover(self, on: bool) -> None:
        """Show whether the preview under the mouse is on."""
        with QSignalBlocker(self.hover):
            self.hover.setChecked(on)

    def show_theme(self, theme: str) -> None:
        """Colour napari's icons."""
        self.box.setIcon(theme_icon('rectangle', theme))
        self.clear.setIcon(theme_icon('delete_shape', theme))

    def _tool(self, text: str, hint: str, action: str) -> QPushButton:
        button = QPushButton(f' {text}')  # Qt leaves no room between icon and text
        button.setCheckable(True)
        button.setIconSize(ICON_SIZE)
        describe(button, action, hint)
        return button

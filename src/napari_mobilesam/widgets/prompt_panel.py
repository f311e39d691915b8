"""The tools: what a click or a drag on the canvas means."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QHBoxLayout, QPushButton

from napari_mobilesam.layers import NEGATIVE, POSITIVE

from .icons import ICON_SIZE, chip_icon, theme_icon
from .prompt_layers import NEGATIVE_COLOUR, POSITIVE_COLOUR
from .section import Section
from .shortcuts import describe

# Tool, the action that chooses it, its icon among napari's, its name, and what to do with it.
_TOOLS = (
    ('boxes', 'use_boxes', 'rectangle', 'Box', 'Drag a box round the object'),
    ('ellipse', 'use_ellipse', 'ellipse', 'Ellipse', 'Drag an ellipse round the object'),
    ('polygon', 'use_polygon', 'polygon', 'Polygon', 'Click corners; a double click ends it'),
    ('lasso', 'use_lasso', 'polygon_lasso', 'Lasso', 'Drag round the object'),
    ('scribble', 'use_scribble', 'path', 'Scribble', 'Drag along the object, or beside it'),
    ('label', 'use_label', 'picker', 'Label', 'Click an object of any Labels layer to change it'),
    ('select', 'select_prompts', 'select', 'Select', 'Move prompts; Delete removes them'),
)


class PromptPanel(Section):
    """Choose what a click means.

    Signals
    -------
    polarity_chosen (str)
    action_chosen (str)
        Name of an action of the shortcut table.
    hover_chosen (bool)
        Whether to show what a click would give.
    """

    polarity_chosen = Signal(str)
    action_chosen = Signal(str)
    hover_chosen = Signal(bool)

    def __init__(self, hover: bool) -> None:
        super().__init__('Prompts')
        self.positive = self._button(' Positive', 'toggle_polarity', 'Click on the object')
        self.negative = self._button(
            ' Negative', 'toggle_polarity', 'Click beside it, or Shift-click'
        )
        self.positive.setIcon(chip_icon(POSITIVE_COLOUR, '+'))
        self.negative.setIcon(chip_icon(NEGATIVE_COLOUR, '-'))
        self.tools = {}
        self._group = QButtonGroup(self)
        first, second = QHBoxLayout(), QHBoxLayout()
        for button, polarity in ((self.positive, POSITIVE), (self.negative, NEGATIVE)):
            self._group.addButton(button)
            first.addWidget(button)
            button.clicked.connect(partial(self._choose_polarity, polarity))
        for tool, action, _, name, hint in _TOOLS:
            button = self._button('', action, hint)
            button.setAccessibleName(name)
            self._group.addButton(button)
            second.addWidget(button)
            button.clicked.connect(partial(self._choose, action))
            self.tools[tool] = button
        self.clear = self._button('', 'clear')
        self.clear.setCheckable(False)
        self.clear.setAccessibleName('Clear')
        self.clear.clicked.connect(partial(self._choose, 'clear'))
        second.addWidget(self.clear)
        for row in (first, second):
            row.setSpacing(4)
            self.body.addLayout(row)
        self.hover = QCheckBox('Preview under the mouse')
        self.hover.setChecked(hover)
        describe(self.hover, 'toggle_hover')
        self.hover.toggled.connect(self.hover_chosen)
        self.body.addWidget(self.hover)

    def show_tool(self, tool: str | None, polarity: str) -> None:
        """Press the buttons of the active tool; none, where another layer is active."""
        signed = self.negative if polarity == NEGATIVE else self.positive
        pressed = []
        if tool in ('points', 'scribble'):
            pressed.append(signed)
        if tool in self.tools:
            pressed.append(self.tools[tool])
        with QSignalBlocker(self._group):
            self._group.setExclusive(False)  # a scribble has a polarity, too
            for button in self._group.buttons():
                button.setChecked(button in pressed)

    def show_hover(self, on: bool) -> None:
        """Show whether the preview under the mouse is on."""
        with QSignalBlocker(self.hover):
            self.hover.setChecked(on)

    def show_theme(self, theme: str) -> None:
        """Colour napari's icons."""
        for tool, _, icon, _, _ in _TOOLS:
            self.tools[tool].setIcon(theme_icon(icon, theme))
        self.clear.setIcon(theme_icon('delete_shape', theme))

    def _choose(self, action: str, _checked: bool = False) -> None:
        self.action_chosen.emit(action)

    def _choose_polarity(self, polarity: str, _checked: bool = False) -> None:
        self.polarity_chosen.emit(polarity)

    def _button(self, text: str, action: str, hint: str = '') -> QPushButton:
        button = QPushButton(text)  # Qt leaves no room between icon and text
        button.setCheckable(True)
        button.setIconSize(ICON_SIZE)
        if not text:
            button.setMinimumWidth(30)
        describe(button, action, hint)
        return button

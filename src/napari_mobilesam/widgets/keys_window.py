"""All keys on one page, and a field to change each."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from .shortcuts import SHORTCUTS, Keymap, KeyProblem, napari_key, qt_key, shown_key


class _KeyField(QKeySequenceEdit):
    """Takes one key; says so when the user has pressed it."""

    pressed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setMaximumSequenceLength(1)
        self.setFixedWidth(130)
        self.editingFinished.connect(self._on_finished)
        self._shown = ''

    def show_key(self, key: str) -> None:
        """Show a key, in napari's spelling; tells nobody."""
        self._shown = qt_key(key) if key else ''
        self.setKeySequence(QKeySequence(self._shown))

    def _on_finished(self) -> None:
        text = self.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        if text != self._shown:
            self.pressed.emit(napari_key(text) if text else '')


class KeysWindow(QDialog):
    """Shows what each key does; a click into a field and a key changes it."""

    def __init__(self, keymap: Keymap, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle('Keys of the Annotator')
        self._keymap = keymap
        self.fields: dict[str, _KeyField] = {}
        self.resets: dict[str, QPushButton] = {}
        hint = QLabel(
            'They work while a layer of the Annotator is the active one. Click a field and press '
            "another key to change it. napari's own keys stay as they are."
        )
        hint.setWordWrap(True)
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        table = QWidget()
        grid = QGridLayout(table)
        for row, shortcut in enumerate(SHORTCUTS):
            title = QLabel(shortcut.title)
            title.setWordWrap(True)
            field = self.fields[shortcut.action] = _KeyField()
            field.setAccessibleName(shortcut.title)
            title.setBuddy(field)
            reset = self.resets[shortcut.action] = QPushButton('Reset')
            reset.setToolTip(f'Back to {shortcut.shown}')
            field.pressed.connect(partial(self._choose, shortcut.action))
            reset.clicked.connect(partial(self._reset, shortcut.action))
            for column, widget in enumerate((title, field, reset)):
                grid.addWidget(widget, row, column)
        grid.setColumnStretch(0, 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(table)
        self.reset_all = QPushButton('Reset all')
        self.close_button = QPushButton('Close')
        for button in (self.reset_all, self.close_button):
            button.setAutoDefault(False)
        row_layout = QHBoxLayout()
        row_layout.addWidget(self.reset_all)
        row_layout.addStretch()
        row_layout.addWidget(self.close_button)
        column_layout = QVBoxLayout(self)
        column_layout.addWidget(hint)
        column_layout.addWidget(scroll, stretch=1)
        column_layout.addWidget(self.problem)
        column_layout.addLayout(row_layout)
        self.reset_all.clicked.connect(partial(self._reset, None))
        self.close_button.clicked.connect(self.close)
        keymap.changed.connect(self._show)
        self._show()
        self.resize(560, 560)

    def _show(self) -> None:
        for shortcut in self._keymap.shortcuts:
            self.fields[shortcut.action].show_key(shortcut.keys[0] if shortcut.keys else '')
            others = ', '.join(map(shown_key, shortcut.keys[1:]))
            self.fields[shortcut.action].setToolTip(f'Also {others}' if others else '')
            self.resets[shortcut.action].setEnabled(self._keymap.is_changed(shortcut.action))

    def _choose(self, action: str, key: str) -> None:
        self._try(partial(self._keymap.choose, action, key))

    def _reset(self, action: str | None, _checked: bool = False) -> None:
        self._try(partial(self._keymap.reset, action))

    def _try(self, change: partial[None]) -> None:
        self.problem.setText('')
        try:
            change()
        except KeyProblem as reason:
            self.problem.setText(str(reason))
            self._show()

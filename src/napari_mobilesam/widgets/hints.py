"""Three hints for the first run: each goes away for ever once it was followed or dismissed."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from .shortcuts import Keymap
from .user_file import UserFile

# Name, what it says, and the action whose key it names.
HINTS = (
    ('click', 'Click an object to see its mask.', ''),
    ('commit', '{key} puts it into the labels.', 'commit'),
    ('candidates', '{key} shows other masks for a click.', 'next_candidate'),
)


class Hints(QWidget):
    """The hints that are still of use, one line each.

    Parameters
    ----------
    keymap
        The keys that the user chose.
    file
        Where it is remembered which hints are done; by default with the user's configuration.
    """

    def __init__(self, keymap: Keymap, file: UserFile | None = None) -> None:
        super().__init__()
        self._keymap = keymap
        self._file = UserFile('hints.json') if file is None else file
        self._lines: dict[str, QWidget] = {}
        self._labels: dict[str, QLabel] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        known = self._file.read()
        for name, _, _ in HINTS:
            if known.get(name) is not True:
                column.addWidget(self._line(name))
        keymap.changed.connect(self._show_keys)
        self._show_keys()
        self.setVisible(bool(self._lines))

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the hints that are still shown."""
        return tuple(self._lines)

    def text(self, name: str) -> str:
        """Return what a hint says now."""
        return self._labels[name].text()

    def done(self, name: str) -> None:
        """Let a hint go away for ever."""
        line = self._lines.pop(name, None)
        if line is None:
            return
        del self._labels[name]
        line.hide()
        line.deleteLater()
        # Read again: another window may have got rid of others meanwhile.
        self._file.write({**self._file.read(), name: True})
        self.setVisible(bool(self._lines))

    def _line(self, name: str) -> QWidget:
        line = QWidget()
        label = QLabel()
        label.setWordWrap(True)
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        dismiss = QToolButton()
        dismiss.setText('×')
        dismiss.setAutoRaise(True)
        dismiss.setToolTip('Do not show this again')
        dismiss.setAccessibleName('Dismiss this hint')
        dismiss.clicked.connect(partial(self._dismiss, name))
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label, stretch=1)
        row.addWidget(dismiss)
        self._lines[name], self._labels[name] = line, label
        return line

    def _dismiss(self, name: str, _checked: bool = False) -> None:
        self.done(name)

    def _show_keys(self) -> None:
        keys = {shortcut.action: shortcut.shown for shortcut in self._keymap.shortcuts}
        for name, words, action in HINTS:
            if name in self._labels:
                self._labels[name].setText(words.format(key=keys.get(action, '')))

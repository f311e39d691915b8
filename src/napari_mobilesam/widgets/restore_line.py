"""A line in the dock that offers what was done to an image before."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

if TYPE_CHECKING:
    from napari_mobilesam.exchange.found_journals import FoundJournal


class RestoreLine(QFrame):
    """Offers earlier sessions of the image, the last one first; nothing is in the way meanwhile.

    Signals
    -------
    chosen (FoundJournal)
        The user wants this one back.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._found: tuple[FoundJournal, ...] = ()
        self._place = 0
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.restore = QPushButton()
        self.restore.setToolTip('Objects, classes and undo as they were, in a layer of their own')
        self.older = QPushButton('Older')
        self.older.setToolTip('Look at the session before that')
        self.dismiss = QPushButton('Not now')
        self.dismiss.setToolTip('Hide this line; it is offered again when the image is opened')
        self.restore.clicked.connect(self._choose)
        self.older.clicked.connect(self._go_back)
        self.dismiss.clicked.connect(self.hide)
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in (self.restore, self.older, self.dismiss):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.addWidget(self.text)
        column.addLayout(row)
        self.hide()

    def offer(self, found: tuple[FoundJournal, ...]) -> None:
        """Offer these sessions; none: hide."""
        self._found, self._place = found, 0
        self._show()

    def _show(self) -> None:
        if self._found:
            one = self._found[self._place]
            day = datetime.fromtimestamp(one.changed).strftime('%d %b %Y, %H:%M')
            self.text.setText(f'This image was annotated before, last on {day}.')
            self.restore.setText(f'Restore {one.objects} object{"s" if one.objects != 1 else ""}')
            self.older.setVisible(len(self._found) > 1)
            self.older.setEnabled(self._place + 1 < len(self._found))
        self.setVisible(bool(self._found))

    def _choose(self) -> None:
        self.chosen.emit(self._found[self._place])

    def _go_back(self) -> None:
        self._place += 1
        self._show()

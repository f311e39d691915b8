"""One line about the frame, with its buttons; there only when there is something to say."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .shortcuts import describe


class FrameLine(QWidget):
    """Says that objects are small for the model, or that a frame is in use.

    Signals
    -------
    closer_clicked, plane_clicked
    """

    closer_clicked = Signal()
    plane_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.closer = QPushButton('Encode what is shown')
        self.plane = QPushButton('Whole plane')
        describe(self.closer, 'encode_view')
        describe(self.plane, 'encode_plane')
        row = QHBoxLayout()
        row.addWidget(self.closer, stretch=2)
        row.addWidget(self.plane, stretch=1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.text)
        column.addLayout(row)
        self.closer.clicked.connect(self.closer_clicked)
        self.plane.clicked.connect(self.plane_clicked)
        self.show_guard('', False)

    def show_guard(self, text: str, framed: bool) -> None:
        """Show a line, or nothing; `framed` says whether there is a whole plane to go back to."""
        self.text.setText(text)
        self.plane.setVisible(framed)
        self.setVisible(bool(text))

"""A titled part of the dock."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget


class Section(QWidget):
    """A title over whatever is added to `body`."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(6)
        label = QLabel(title)
        font = label.font()
        font.setBold(True)
        label.setFont(font)
        self.body.addWidget(label)

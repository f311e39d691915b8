"""A titled part of the dock that folds."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget


class Section(QWidget):
    """A title over whatever is added to `body`; a click on the title folds it.

    Parameters
    ----------
    title
        Shown, and the name under which it is remembered whether it is folded.
    parent
        Qt parent.

    Signals
    -------
    folded (bool)
        The user folded it, or unfolded it.
    """

    folded = Signal(bool)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.header = QToolButton()
        self.header.setText(title)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setAutoRaise(True)
        self.header.setCheckable(True)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        font = self.header.font()
        font.setBold(True)
        self.header.setFont(font)
        self._content = QWidget()
        self.body = QVBoxLayout(self._content)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(6)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.header)
        column.addWidget(self._content)
        self.fold(False)
        self.header.clicked.connect(self._on_clicked)

    @property
    def is_folded(self) -> bool:
        """Whether only the title shows."""
        return not self.header.isChecked()

    def fold(self, folded: bool) -> None:
        """Fold or unfold; tells nobody."""
        self.header.setChecked(not folded)
        self.header.setArrowType(Qt.ArrowType.RightArrow if folded else Qt.ArrowType.DownArrow)
        self._content.setVisible(not folded)

    def _on_clicked(self, checked: bool) -> None:
        self.fold(not checked)
        self.folded.emit(not checked)

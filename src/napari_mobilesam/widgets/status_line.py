"""One line that says what is going on, or what to do next."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from .icons import SIZE, theme_icon
from .shortcuts import describe

_ICONS = {'ready': 'info', 'busy': 'info', 'warning': 'warning'}


class StatusLine(QWidget):
    """A line of words with an icon, and a thin bar that moves while the worker is busy.

    Signals
    -------
    help_clicked
    """

    help_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._theme = ''
        self._kind = 'ready'
        self.icon = QLabel()
        self.icon.setFixedWidth(SIZE)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(48, 6)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the words do not jump when it comes and goes
        self.bar.setSizePolicy(policy)
        self.help = QToolButton()
        self.help.setText('?')
        self.help.setAutoRaise(True)
        self.help.setAccessibleName('Keys')
        describe(self.help, 'show_help')
        self.help.clicked.connect(self.help_clicked)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.icon)
        row.addWidget(self.text, stretch=1)
        row.addWidget(self.bar)
        row.addWidget(self.help)
        self.bar.setVisible(False)

    def show_status(self, text: str, kind: str) -> None:
        """Show a line; `kind` is `'ready'`, `'busy'` or `'warning'`."""
        self.text.setText(text)
        self.bar.setVisible(kind == 'busy')
        self._kind = kind
        self._draw()

    def show_theme(self, theme: str) -> None:
        """Colour napari's icons."""
        self._theme = theme
        self._draw()

    def _draw(self) -> None:
        if self._theme:
            icon = theme_icon(_ICONS[self._kind], self._theme)
            self.icon.setPixmap(icon.pixmap(SIZE, SIZE))

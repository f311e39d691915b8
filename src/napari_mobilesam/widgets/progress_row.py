"""A row of the dock that shows how far something is, and stops it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from .bars import QuietBar


class ProgressRow(QWidget):
    """A bar with the time that is left and buttons that end it; hidden while nothing goes on.

    Parameters
    ----------
    titles
        Of the buttons.

    Signals
    -------
    clicked (int)
        The number of the button.
    """

    clicked = Signal(int)

    def __init__(self, *titles: str) -> None:
        super().__init__()
        self.bar = QuietBar()
        self.buttons = [QPushButton(title) for title in titles]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.bar, stretch=1)
        for number, button in enumerate(self.buttons):
            row.addWidget(button)
            button.clicked.connect(lambda _checked, n=number: self.clicked.emit(n))
        self.hide()

    def show_progress(self, done: int, total: int, seconds: float) -> None:
        """Show how far it is; a bar without an end while that is not known."""
        self.show()
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        left = '' if seconds < 0 else f' · {duration(seconds)} left'
        self.bar.setFormat(f'{done} of {total}{left}' if total else 'looking')


def duration(seconds: float) -> str:
    """Say how long something takes."""
    if seconds < 90:
        return f'{max(1, round(seconds))} s'
    return f'{round(seconds / 60)} min'

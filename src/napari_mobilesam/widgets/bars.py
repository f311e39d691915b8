"""Progress bars that do not make the window wait."""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar


class QuietBar(QProgressBar):
    """A progress bar that is drawn when the event loop gets to it.

    Qt's own draws itself within `setValue`, and with it the whole window, the canvas included:
    tens of milliseconds, hundreds of times during a download.
    """

    def setValue(self, value: int) -> None:
        # Without updates it cannot draw at once; allowing them again asks for it to be drawn.
        self.setUpdatesEnabled(False)
        super().setValue(value)
        self.setUpdatesEnabled(True)

"""The slice strip once more, as wide as the viewer: in a dock of its own below the sliders.

napari's public interface has no place nearer to a slider than the bottom of its window.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, Signal

from .slice_strip import SliceStrip


class _DockedStrip(SliceStrip):
    """Tells when its dock is closed: napari takes the parent away then."""

    removed = Signal()

    def event(self, event: QEvent | None) -> bool:
        """Follow the dock, and the theme."""
        if event is not None and event.type() == QEvent.Type.ParentChange and not self.parent():
            self.removed.emit()
        return super().event(event)


class StripDock(QObject):
    """Opens and closes the dock.

    Parameters
    ----------
    window
        napari's window; None where the viewer has none.
    parent
        Qt parent.

    Signals
    -------
    clicked (int)
        Go to this slice.
    closed
        The user closed the dock.
    """

    clicked = Signal(int)
    closed = Signal()

    def __init__(self, window: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._window = window
        self.strip: SliceStrip | None = None

    @property
    def available(self) -> bool:
        """Whether there is a window to put it into."""
        return self._window is not None

    def open(self) -> None:
        """Show the strip, where there is a window and it is not there yet."""
        if self._window is None or self.strip is not None:
            return
        strip = _DockedStrip()
        self._window.add_dock_widget(
            strip, name='Slices (MobileSAM)', area='bottom', allowed_areas=['bottom', 'top']
        )
        strip.clicked.connect(self.clicked)
        strip.removed.connect(self._on_removed)
        self.strip = strip

    def close(self) -> None:
        """Take the dock away."""
        strip, self.strip = self.strip, None
        if strip is not None:
            self._window.remove_dock_widget(strip)
            strip.deleteLater()

    def _on_removed(self) -> None:
        strip, self.strip = self.strip, None
        if strip is not None:  # not by `close`
            strip.deleteLater()
            self.closed.emit()

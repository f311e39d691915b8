"""Showing what the model sees, made on the worker when somebody looks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_mobilesam.engine import Cancelled
from napari_mobilesam.engine.seen import Seen, see

from .framing import scale_text
from .seen_window import SeenWindow

if TYPE_CHECKING:
    from napari_mobilesam.engine import PlaneSource

    from .bridge import WorkerBridge


class Seeing(QObject):
    """A window that follows the plane for as long as it is open.

    Parameters
    ----------
    bridge
        To the worker.
    parent
        The widget over which the window opens.
    """

    def __init__(self, bridge: WorkerBridge, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._parent = parent
        self._source: PlaneSource | None = None
        self.window: SeenWindow | None = None

    def open(self) -> None:
        """Open the window, or bring it to the front."""
        if self.window is None:
            self.window = SeenWindow(self._parent)
        self.window.show()
        self.window.raise_()
        self._ask()

    def follow(self, source: PlaneSource | None) -> None:
        """Go to another plane, or to none."""
        self._source = source
        self._ask()

    def close(self) -> None:
        """Close the window for good."""
        self._bridge.cancel('seen')
        if self.window is not None:
            self.window.close()
            self.window = None

    def _ask(self) -> None:
        window, source = self.window, self._source
        if window is None or not window.isVisible():
            return
        if source is None:
            self._bridge.cancel('seen')
            window.show_seen(None, 'There is no plane on display.')
            return
        self._bridge.submit(
            'seen',
            lambda cancel: see(source, cancel),
            partial(self._on_seen, source),
            partial(self._on_error, source),
        )

    def _on_seen(self, source: PlaneSource, seen: Seen) -> None:
        if self.window is None or source is not self._source:
            return
        height, width = seen.pixels.shape[:2]
        frame = seen.frame
        size = f'{frame.height} × {frame.width} pixels'
        what = (
            f'The whole plane of {size}'
            if source.frame is None
            else f'A frame of {size} at row {frame.row}, column {frame.column}'
        )
        self.window.show_seen(
            seen.pixels,
            f'{what}, seen as {height} × {width}: {scale_text(source.model_pixel)}.',
        )

    def _on_error(self, source: PlaneSource, error: BaseException) -> None:
        if self.window is not None and source is self._source and not isinstance(error, Cancelled):
            self.window.show_seen(None, f'That failed: {error}')

"""What napari's layers never hear of the canvas: Tab, and the mouse that leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from .annotator import AnnotatorWidget


class CanvasKeys(QObject):
    """Make Tab and Shift-Tab go through the candidates while a candidate is on display.

    Qt moves the focus with Tab before napari's key bindings see it. At all other times, and on all
    other widgets, Tab does what it always does. A mouse that leaves is told to the controller.
    """

    def __init__(self, annotator: AnnotatorWidget) -> None:
        super().__init__()
        self._controller = annotator.controller
        self._watched: list[QWidget] = []

    def watch(self, window: QWidget) -> None:
        """Listen to the canvases of a window."""
        # Qt's class name: the OpenGL widgets of a napari window are its canvases.
        for widget in window.findChildren(QWidget):
            if widget.inherits('QOpenGLWidget') and widget not in self._watched:
                widget.installEventFilter(self)
                self._watched.append(widget)

    def close(self) -> None:
        """Listen no more."""
        for widget in self._watched:
            try:
                widget.removeEventFilter(self)
            except RuntimeError:  # the window was closed, its widgets are gone
                continue
        self._watched.clear()

    def eventFilter(self, _widget: QObject, event: QEvent) -> bool:
        """Take Tab, where it has a meaning here."""
        if event.type() == QEvent.Type.Leave:
            self._controller.mouse_left()
            return False
        if event.type() != QEvent.Type.KeyPress or self._controller.tool is None:
            return False
        if self._controller.candidate is None:
            return False
        if event.key() == Qt.Key.Key_Tab:
            self._controller.next_candidate()
            return True
        if event.key() == Qt.Key.Key_Backtab:
            self._controller.previous_candidate()
            return True
        return False

"""What napari's layers never hear of the canvas: Tab, Alt and the wheel, the mouse that leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QWheelEvent
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from .annotator import AnnotatorWidget


class CanvasKeys(QObject):
    """Make Tab and the wheel with Alt go through the candidates, before a click and after it.

    Qt moves the focus with Tab before napari's key bindings see it, and napari goes through its
    layers with Alt and the wheel. At all other times, and on all other widgets, both do what they
    always do. A mouse that leaves is told to the controller.
    """

    def __init__(self, annotator: AnnotatorWidget) -> None:
        super().__init__()
        self._controller = annotator.controller
        self._watched: list[QWidget] = []
        self._turned = 0.0

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
        """Take Tab, and the wheel with Alt, where they have a meaning here."""
        if event.type() == QEvent.Type.Leave:
            self._controller.mouse_left()
            return False
        if self._controller.tool is None or not self._controller.offers:
            return False
        if isinstance(event, QWheelEvent):
            return self._turn(event)
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        if event.key() == Qt.Key.Key_Tab:
            self._controller.next_candidate()
            return True
        if event.key() == Qt.Key.Key_Backtab:
            self._controller.previous_candidate()
            return True
        return False

    def _turn(self, event: QWheelEvent) -> bool:
        if not event.modifiers() & Qt.KeyboardModifier.AltModifier:
            return False
        # With Alt some systems turn the wheel sideways; touch pads turn it in small parts.
        self._turned += (event.angleDelta().x() + event.angleDelta().y()) / 120
        while abs(self._turned) >= 1:
            if self._turned < 0:
                self._controller.next_candidate()
                self._turned += 1
            else:
                self._controller.previous_candidate()
                self._turned -= 1
        return True

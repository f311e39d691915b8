"""Real mouse and key events on napari's canvas, found and aimed at by public means."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

NONE = Qt.KeyboardModifier.NoModifier


def canvas_widget(docked: QWidget) -> QWidget:
    """Return the canvas of the window that a widget is docked in."""
    found = [w for w in docked.window().findChildren(QWidget) if w.inherits('QOpenGLWidget')]
    assert len(found) == 1, f'expected one canvas, found {found}'
    return found[0]


def pixel_of(viewer: Any, world: Any) -> QPoint:
    """Return the canvas pixel at which a world position is drawn, in 2D."""
    camera = viewer.scene.camera
    height, width = viewer.canvas.size
    rows, columns = viewer.dims.displayed
    row = (world[rows] - camera.center[-2]) * camera.zoom + height / 2
    column = (world[columns] - camera.center[-1]) * camera.zoom + width / 2
    assert 0 <= row < height, 'the position is beside the canvas'
    assert 0 <= column < width, 'the position is beside the canvas'
    return QPoint(round(column), round(row))


class Mouse:
    """Click and drag at data coordinates of a layer."""

    def __init__(self, viewer: Any, docked: QWidget) -> None:
        self.viewer = viewer
        self.canvas = canvas_widget(docked)

    def at(self, layer: Any, position: Any) -> QPoint:
        missing = self.viewer.dims.ndim - layer.ndim
        world = (*self.viewer.dims.point[:missing], *layer.data_to_world(position))
        return pixel_of(self.viewer, world)

    def click(
        self, layer: Any, position: Any, modifier: Any = Qt.KeyboardModifier.NoModifier
    ) -> None:
        where = self.at(layer, position)
        QTest.mouseMove(self.canvas, where)
        QApplication.processEvents()
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, modifier, where)
        QApplication.processEvents()

    def move(self, layer: Any, position: Any) -> None:
        # QTest.mouseMove asks the X server, which knows nothing of windows that are not shown.
        _move(self.canvas, self.at(layer, position), Qt.MouseButton.NoButton)
        QTest.qWait(20)

    def leave(self) -> None:
        QApplication.sendEvent(self.canvas, QEvent(QEvent.Type.Leave))
        QApplication.processEvents()

    def stroke(self, layer: Any, places: Any, modifier: Any = NONE) -> None:
        """Press at the first place, move over all of them, let go at the last."""
        pixels = [self.at(layer, place) for place in places]
        left = Qt.MouseButton.LeftButton
        QTest.mouseMove(self.canvas, pixels[0])
        QApplication.processEvents()
        QTest.mousePress(self.canvas, left, modifier, pixels[0])
        QApplication.processEvents()
        for pixel in pixels[1:]:
            # QTest.mouseMove carries no button: the event is made here.
            _move(self.canvas, pixel, left, modifier)
            # vispy drops moves that follow each other within 10 ms.
            QTest.qWait(20)
        QTest.mouseRelease(self.canvas, left, modifier, pixels[-1])
        QApplication.processEvents()

    def wheel(self, layer: Any, position: Any, turn: int, modifier: Any = NONE) -> None:
        where = QPointF(self.at(layer, position))
        event = QWheelEvent(
            where,
            self.canvas.mapToGlobal(where),
            QPoint(),
            QPoint(0, turn),
            Qt.MouseButton.NoButton,
            modifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.canvas, event)
        QApplication.processEvents()

    def key(self, key: Any, modifier: Any = NONE) -> None:
        QTest.keyClick(self.canvas, key, modifier)
        QApplication.processEvents()


def _move(widget: QWidget, where: QPoint, button: Any, modifier: Any = NONE) -> None:
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(where),
        QPointF(widget.mapToGlobal(where)),
        Qt.MouseButton.NoButton,
        button,
        modifier,
    )
    QApplication.sendEvent(widget, event)

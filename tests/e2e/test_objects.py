"""Objects with real keys and clicks: on the canvas, in the table, and in napari's Labels layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from mouse import Mouse
from pictures import CENTRES, stack
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.object_model import Column

pytestmark = pytest.mark.gui

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton


def test_objects_by_mouse_and_keys(make_napari_viewer: Any, qtbot: Any) -> None:
    """Classes by number keys, undo in two layers (T18), the table's click and double click."""
    viewer = make_napari_viewer()
    image = viewer.add_image(stack(3))
    viewer.dims.set_current_step(0, 0)
    widget = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter)
    viewer.window.add_dock_widget(widget, name='Annotator')
    viewer.window.resize(1100, 850)
    QApplication.processEvents()
    viewer.reset_view()
    mouse, controller = Mouse(viewer, widget), widget.controller
    table = widget.objects.panel.table

    def quiet() -> None:
        qtbot.waitUntil(lambda: widget.model.loaded is not None, timeout=60_000)
        for _ in range(3):
            qtbot.wait(70)
            qtbot.waitUntil(lambda: not widget._bridge._worker.busy, timeout=60_000)

    def ids() -> list[int]:
        return [record.label for record in controller.objects]

    quiet()
    mouse.key(Qt.Key.Key_2)
    for row, column in CENTRES[:2]:
        mouse.click(image, (0, row, column))
        quiet()
        mouse.key(Qt.Key.Key_Return)
        quiet()
    assert [(r.label, r.class_id) for r in controller.objects] == [(1, 2), (2, 2)]
    both = controller.labels.data.copy()

    # Coloured by class with the keyboard, and each in its own colour again.
    labels, colours = controller.labels, widget.labels_panel.colours
    own = labels.colormap
    QTest.keyClick(colours, Qt.Key.Key_Down)
    quiet()
    wanted = QColor(controller.session.classes.get(2).colour).getRgbF()
    np.testing.assert_allclose(labels.colormap.map(np.array([1, 2])), [wanted] * 2, atol=0.01)
    QTest.keyClick(colours, Qt.Key.Key_Up)
    quiet()
    assert labels.colormap is own

    # napari's own undo, in the Labels layer, and our redo, in the prompts layer.
    viewer.layers.selection.active = controller.labels
    mouse.key(Qt.Key.Key_Z, CONTROL)
    quiet()
    assert ids() == [1]
    controller.use_points()
    mouse.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    quiet()
    assert ids() == [1, 2]
    np.testing.assert_array_equal(controller.labels.data, both)

    # A click in the table goes there, a double click opens the object, Delete removes it.
    viewer.dims.set_current_step(0, 2)
    quiet()
    where = table.visualRect(widget.objects.model.index(0, Column.SCORE)).center()
    QTest.mouseClick(table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, where)
    quiet()
    assert viewer.dims.current_step[0] == 0
    QTest.mouseDClick(table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, where)
    quiet()
    assert controller.candidate is not None
    np.testing.assert_array_equal(controller.labels.data, both)
    mouse.key(Qt.Key.Key_Escape)
    quiet()
    QTest.mouseClick(table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, where)
    QTest.keyClick(table, Qt.Key.Key_Delete)
    quiet()
    assert ids() == [2]
    assert set(np.unique(controller.labels.data)) == {0, 2}
    mouse.key(Qt.Key.Key_Z, CONTROL)
    quiet()
    assert ids() == [1, 2]
    viewer.window.remove_dock_widget(widget)

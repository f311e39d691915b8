"""The slice strip below the sliders of a real window."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeSegmenter
from pictures import stack
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.options import read_options
from napari_mobilesam.widgets.slice_strip import SliceStrip

COUNT = 5


def docked(viewer: Any) -> list[SliceStrip]:
    """The strips that have a dock of their own."""
    return [one for one in viewer.window.dock_widgets.values() if isinstance(one, SliceStrip)]


@pytest.mark.gui
def test_the_strip_goes_below_the_sliders_and_that_is_remembered(
    make_napari_viewer: Any, qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(stack(COUNT), name='cells')
    widgets = []

    def annotate() -> Any:
        widgets.append(AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter))
        viewer.window.add_dock_widget(widgets[-1], name='Annotator')
        QApplication.processEvents()
        return widgets[-1]

    widget = annotate()
    panel, stacks = widget.stack.panel, widget.controller.stacks
    qtbot.waitUntil(lambda: stacks.place.series is not None, timeout=20_000)
    assert docked(viewer) == []
    panel.below.click()
    (strip,) = docked(viewer)
    assert read_options().strip_below
    assert panel.strip.isHidden()
    strip.resize(500, strip.height())
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(350, 10))
    qtbot.waitUntil(lambda: stacks.place.position == 3, timeout=20_000)
    assert viewer.dims.current_step[0] == 3
    qtbot.waitUntil(lambda: 'embedded' in strip.text(3), timeout=20_000)

    viewer.window.remove_dock_widget(widget)  # the annotator goes, and its strip with it
    assert docked(viewer) == []
    assert read_options().strip_below
    widget = annotate()
    qtbot.waitUntil(lambda: len(docked(viewer)) == 1, timeout=20_000)
    panel = widget.stack.panel
    assert panel.below.isChecked()
    viewer.window.remove_dock_widget(docked(viewer)[0])  # as its own cross does
    assert not panel.below.isChecked()
    assert not panel.strip.isHidden()
    assert not read_options().strip_below
    viewer.window.remove_dock_widget(widget)

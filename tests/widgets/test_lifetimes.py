"""Opened and closed again and again: no callback, thread or memory stays behind."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSegmenter
from pictures import CENTRES, stack
from qtpy.QtWidgets import QApplication

from napari_mobilesam.widgets import AnnotatorWidget

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(1200)]

STATM = Path('/proc/self/statm')
PAGE = 4096
ROUNDS = 10


def resident_mib() -> float:
    return int(STATM.read_text().split()[1]) * PAGE / 2**20


def callbacks(viewer: Any) -> int:
    """Count what is connected to the viewer, its layers and dims."""
    emitters = [viewer.events, viewer.layers.events, viewer.dims.events]
    emitters += [viewer.layers.selection.events]
    for layer in viewer.layers:
        emitters.append(layer.events)
    total = 0
    for group in emitters:
        for emitter in getattr(group, 'emitters', {}).values():
            total += len(emitter.callbacks)
        for signal in getattr(group, 'signals', {}).values():
            total += len(signal)
    return total


def use(qtbot: Any, viewer: Any, widget: AnnotatorWidget) -> None:
    """Segment one object in one window."""
    qtbot.waitUntil(lambda: widget.model.annotator is not None, timeout=60_000)
    controller = widget.controller
    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: controller.source is not None, timeout=60_000)
    controller.add_point((1, CENTRES[0][0] + 2, CENTRES[0][1]))
    qtbot.waitUntil(lambda: controller.candidate is not None, timeout=60_000)
    controller.clear()


def open_in(viewer: Any) -> AnnotatorWidget:
    widget = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter)
    viewer.window.add_dock_widget(widget)
    return widget


def close_in(viewer: Any, widget: AnnotatorWidget) -> None:
    viewer.window.remove_dock_widget(widget)
    QApplication.processEvents()


@pytest.mark.skipif(not STATM.exists(), reason='reads /proc, which only Linux has')
def test_t13_closed_and_reopened_ten_times(make_napari_viewer: Any, qtbot: Any) -> None:
    """T13: in two viewers at once, twice in one of them; counted after two rounds of warm-up."""
    viewers = [make_napari_viewer() for _ in range(2)]
    for viewer in viewers:
        viewer.add_image(stack(3), name='cells')

    def round_() -> None:
        widgets = [(viewer, open_in(viewer)) for viewer in (*viewers, viewers[0])]
        for viewer, widget in widgets:
            use(qtbot, viewer, widget)
        for viewer, widget in widgets:
            close_in(viewer, widget)
        for _ in range(3):
            QApplication.processEvents()
            gc.collect()

    for _ in range(2):
        round_()
    threads, memory = threading.active_count(), resident_mib()
    connected = [callbacks(viewer) for viewer in viewers]
    for _ in range(ROUNDS):
        round_()
    assert threading.active_count() <= threads
    assert not [thread for thread in threading.enumerate() if thread.name == 'napari-mobilesam']
    assert [callbacks(viewer) for viewer in viewers] == connected
    assert [len(viewer.layers) for viewer in viewers] == [1, 1]
    grown = resident_mib() - memory
    assert grown < 20, f'{grown:.1f} MiB more after {3 * ROUNDS} openings'

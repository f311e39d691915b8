"""Opened and closed again and again: no callback, thread or memory stays behind."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
from collections import Counter
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


def ours() -> Counter[str]:
    """Count what is alive of our own classes."""
    kinds = (type(one) for one in gc.get_objects())
    names = (f'{kind.__module__}.{kind.__qualname__}' for kind in kinds)
    return Counter(name for name in names if name.startswith('napari_mobilesam.'))


def holders(name: str) -> str:
    """Say what holds on to the objects of a class, for whoever has to find out why."""
    kinds = Counter(
        f'{type(holder).__module__}.{type(holder).__qualname__}: {holder!r:.100}'
        for one in gc.get_objects()
        if f'{type(one).__module__}.{type(one).__qualname__}' == name
        for holder in gc.get_referrers(one)
    )
    return '\n  '.join(f'{kind} × {count}' for kind, count in kinds.most_common(12))


def stack_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return f'{thread.name}:\n' + ''.join(traceback.format_stack(frame)[-6:])


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
        del widgets, viewer, widget
        for _ in range(3):
            QApplication.processEvents()
            gc.collect()

    for _ in range(2):
        round_()
    threads, alive, memory = set(threading.enumerate()), ours(), resident_mib()
    connected = [callbacks(viewer) for viewer in viewers]
    for _ in range(ROUNDS):
        round_()
    grown = resident_mib() - memory

    def left() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in threads]

    for _ in range(100):  # a busy machine needs a while for the last ones
        if left():
            qtbot.wait(100)
    assert not left(), '\n'.join(map(stack_of, left()))
    assert not [thread for thread in threading.enumerate() if thread.name == 'napari-mobilesam']
    stayed = ours() - alive
    assert not stayed, f'{stayed}, held by\n  {holders(next(iter(stayed)))}'
    assert [callbacks(viewer) for viewer in viewers] == connected
    assert [len(viewer.layers) for viewer in viewers] == [1, 1]
    assert grown < 20, f'{grown:.1f} MiB more after {3 * ROUNDS} openings'

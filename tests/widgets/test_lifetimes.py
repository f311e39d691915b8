"""Opened and closed again and again: no callback, thread or memory stays behind."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import traceback
from collections import Counter
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from memory import growth, held_mib, only_new_ones, readable
from pictures import CENTRES, stack
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication

from napari_mobilesam.widgets import AnnotatorWidget

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(1200)]

ROUNDS = 10
OPENINGS = 3
LIMIT = 20  # MiB, for all rounds together

needs_readings = pytest.mark.skipif(not readable(), reason='reads /proc, which only Linux has')


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


@needs_readings
@pytest.mark.parametrize(('each', 'seen'), [(0, False), (1.05 * LIMIT / ROUNDS, True)])
def test_what_each_round_leaves_behind_is_seen(each: float, seen: bool) -> None:
    """The measure of the test below, fed with as little as it has to find, and with nothing."""
    kept: list[bytes] = []
    with only_new_ones():
        readings = [held_mib()]
        for round_ in range(ROUNDS):
            kept += [bytes([round_]) * 2**10 for _ in range(round(each * 2**10))]
            jump = bytes([round_]) * 2**23 if round_ % 4 == 2 else b''
            readings.append(held_mib())
            del jump
    assert (growth(readings) > LIMIT) == seen, readings


@needs_readings
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
            # What was asked to be deleted later: Qt's event loop does that, these calls do not.
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
            gc.collect()

    with only_new_ones():
        for _ in range(2):
            round_()

    def left() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in threads]

    with only_new_ones():
        threads, readings = set(threading.enumerate()), [held_mib()]
        connected = [callbacks(viewer) for viewer in viewers]
        for _ in range(ROUNDS):
            round_()
            readings.append(held_mib())
        for _ in range(100):  # a busy machine needs a while for the last ones
            if left():
                qtbot.wait(100)
        gc.collect()
        stayed = ours()  # of all that are new: no widget was open before, none is now
    grown = growth(readings)
    assert not left(), '\n'.join(map(stack_of, left()))
    assert not [thread for thread in threading.enumerate() if thread.name == 'napari-mobilesam']
    assert not stayed, f'{stayed}, held by\n  {holders(next(iter(stayed)))}'
    assert [callbacks(viewer) for viewer in viewers] == connected
    assert [len(viewer.layers) for viewer in viewers] == [1, 1]
    told = f'{grown:.1f} MiB more after {OPENINGS * ROUNDS} openings: {np.round(readings, 1)}'
    logging.getLogger(__name__).info(told)  # shown with --log-cli-level=INFO
    assert grown < LIMIT, told

"""Closed in the middle of something: no exception, no thread, and the model is let go at once."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSegmenter
from memory import only_new_ones
from pictures import CENTRES, stack
from prompting import notifications
from qtpy.QtWidgets import QApplication

from mobile_sam import checkpoints
from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.options import Options

pytestmark = pytest.mark.gui

NO_DISK = Options(disk_gib=0)
ROW, COLUMN = CENTRES[0]


def candidate(qtbot: Any, widget: AnnotatorWidget) -> None:
    """Click the first disc of the slice on display."""
    controller = widget.controller
    z = controller.viewer.dims.current_step[0]
    controller.add_point((z, ROW + 2 * z, COLUMN))
    qtbot.waitUntil(lambda: controller.candidate is not None, timeout=60_000)


def encode(widget: AnnotatorWidget) -> None:
    widget.controller.viewer.dims.set_current_step(0, 2)


def predict(widget: AnnotatorWidget) -> None:
    widget.controller.add_point((0, *CENTRES[1]))


def embed_all(widget: AnnotatorWidget) -> None:
    widget.controller.stacks.embed_all()


def find(widget: AnnotatorWidget) -> None:
    widget.controller.stacks.find(None, 'grid')


def follow(widget: AnnotatorWidget) -> None:
    widget.controller.stacks.propagate('chosen', [], 'both')


def download(widget: AnnotatorWidget) -> None:
    widget.model.download('mobile_sam')


WORKS = (encode, predict, embed_all, find, follow, download)


def test_closed_in_the_middle_while_another_viewer_works(
    make_napari_viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, started = threading.Event(), threading.Event()

    def fetch(_info: Any, *, cancelled: Callable[[], bool], **_: object) -> Path:
        started.set()
        assert gate.wait(60)
        assert cancelled()
        raise checkpoints.DownloadCancelled('cancelled')

    monkeypatch.setattr(checkpoints, 'download', fetch)
    viewers = [make_napari_viewer() for _ in range(2)]
    for viewer in viewers:
        viewer.add_image(stack(), name='cells')
    # Embedded once and for all: what is asked of it later is answered from memory.
    stays = AnnotatorWidget(viewers[0], segmenter_factory=FakeSegmenter, options=NO_DISK)
    viewers[0].window.add_dock_widget(stays)
    viewers[0].dims.set_current_step(0, 0)
    qtbot.waitUntil(lambda: stays.model.annotator is not None, timeout=60_000)
    viewer = viewers[1]
    before = set(threading.enumerate())

    def closed(work: Callable[[AnnotatorWidget], None]) -> weakref.ref[FakeSegmenter]:
        """Open, begin, close; give the model, as long as anything holds it."""
        viewer.dims.set_current_step(0, 0)
        widget = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter, options=NO_DISK)
        viewer.window.add_dock_widget(widget)
        qtbot.waitUntil(lambda: widget.model.annotator is not None, timeout=60_000)
        candidate(qtbot, widget)
        segmenter = widget.model.loaded.segmenter
        gate.clear()
        segmenter.started.clear()
        started.clear()
        segmenter.gate = gate
        work(widget)
        qtbot.waitUntil(lambda: started.is_set() or segmenter.started.is_set(), timeout=60_000)
        viewer.window.remove_dock_widget(widget)
        # the model comes back when nobody waits for it any more
        gate.set()
        qtbot.waitUntil(lambda: not set(threading.enumerate()) - before, timeout=60_000)
        return weakref.ref(segmenter)

    gc.disable()  # nothing that goes round in circles is found: the model has to go without
    try:
        with only_new_ones(), notifications() as told:
            for work in WORKS:
                model = closed(work)
                QApplication.processEvents()
                kept = model()
                held = [] if kept is None else gc.get_referrers(kept)
                assert kept is None, f'{work.__name__}: {held}'
                del kept, held
    finally:
        gc.enable()
    assert not told
    assert [type(layer).__name__ for layer in viewer.layers] == ['Image', 'Labels']
    candidate(qtbot, stays)
    stays.controller.commit()
    qtbot.waitUntil(lambda: len(stays.controller.objects) == 1, timeout=60_000)
    viewers[0].window.remove_dock_widget(stays)

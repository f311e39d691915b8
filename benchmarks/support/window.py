"""A real napari window with the Annotator in it, a model of real size, and a clock in its loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

TICK_MS = 5


class Loop:
    """How late a timer of 5 ms comes, and how long the GUI thread computes between its ticks."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.own: list[float] = []

    def percentile(self, values: list[float], percent: float = 99) -> float:
        return float(np.percentile(values, percent)) if values else 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Collect in ms while the block runs the event loop."""
        last = [time.perf_counter(), time.thread_time()]

        def tick() -> None:
            wall, own = time.perf_counter(), time.thread_time()
            self.gaps.append(max(0.0, 1000 * (wall - last[0]) - TICK_MS))
            self.own.append(1000 * (own - last[1]))
            last[:] = [wall, own]

        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(tick)
        timer.start(TICK_MS)
        try:
            yield
        finally:
            timer.stop()


def wait(condition: Callable[[], object], seconds: float = 120) -> None:
    """Run the event loop until a condition holds: without sleeping through events."""
    application = QApplication.instance()
    deadline = time.monotonic() + seconds
    while not condition():
        application.processEvents()
        # as short as the event loop itself waits
        time.sleep(0.0005)
        if time.monotonic() > deadline:
            raise TimeoutError('the annotator did not answer in time')


def run_for(seconds: float) -> None:
    """Run the event loop for a while."""
    until = time.monotonic() + seconds
    wait(lambda: time.monotonic() > until)


def random_segmenter() -> Any:
    """Return MobileSAM with random weights: takes as long, the masks mean nothing."""
    import torch

    from mobile_sam import sam_model_registry
    from mobile_sam.checkpoints import LoadedModel
    from napari_mobilesam.engine import SamSegmenter

    torch.manual_seed(0)
    model = sam_model_registry['vit_t'](checkpoint=None)
    return SamSegmenter(LoadedModel(model, '0' * 64, 'vit_t', 'random'), device='cpu')


def open_annotator(
    image: Any, factory: Any = random_segmenter, show: bool = True
) -> tuple[Any, Any]:
    """Open a window on an image, and wait until its plane is embedded."""
    import napari

    from napari_mobilesam.widgets import AnnotatorWidget
    from napari_mobilesam.widgets.options import Options

    viewer = napari.Viewer(show=show)
    viewer.add_image(image, contrast_limits=(0, 255))
    viewer.dims.set_current_step(tuple(range(image.ndim - 2)), (0,) * (image.ndim - 2))
    widget = AnnotatorWidget(viewer, segmenter_factory=factory, options=Options(disk_gib=0))
    viewer.window.add_dock_widget(widget)
    wait(lambda: widget.model.annotator is not None)
    wait(lambda: embedded(widget))
    return viewer, widget


def embedded(widget: Any) -> bool:
    """Whether the plane on display is embedded."""
    source = widget.controller.source
    return source is not None and widget.model.annotator.is_embedded(source)


def close(viewer: Any, widget: Any) -> None:
    """Close the window."""
    viewer.window.remove_dock_widget(widget)
    viewer.close()
    run_for(0.1)


def stand_in() -> Any:
    """Return the tests' segmenter without a model, whose mask is what is bright."""
    from fakes import FakeSegmenter

    return FakeSegmenter()

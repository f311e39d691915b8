"""A user in front of napari: a window with the annotator in it, and hands."""

from __future__ import annotations

from typing import Any

import numpy as np
from mouse import Mouse
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.options import Options


class Desk:
    """A user in front of napari."""

    def __init__(
        self,
        viewer: Any,
        image: Any,
        qtbot: Any,
        segmenter: Any = None,
        options: Options | None = None,
    ) -> None:
        self.viewer, self.image, self.qtbot = viewer, image, qtbot
        factory = None if segmenter is None else (lambda: segmenter)
        self.widget = AnnotatorWidget(viewer, segmenter_factory=factory, options=options)
        viewer.window.add_dock_widget(self.widget, name='Annotator')
        viewer.window.resize(1100, 750)
        QApplication.processEvents()
        viewer.reset_view()
        self.mouse = Mouse(viewer, self.widget)
        self.controller = self.widget.controller
        self.quiet()

    def quiet(self) -> None:
        """Wait until nothing is under way any more."""
        bridge = self.widget._bridge
        self.qtbot.waitUntil(lambda: self.widget.model.loaded is not None, timeout=60_000)
        for _ in range(3):
            self.qtbot.wait(70)
            self.qtbot.waitUntil(lambda: not bridge._worker.busy, timeout=60_000)
        QApplication.processEvents()

    def click(self, *position: float, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self.mouse.click(self.image, position, modifier)
        self.quiet()

    def drag(
        self,
        start: tuple[float, ...],
        stop: tuple[float, ...],
        modifier: Any = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        steps = [np.add(start, np.subtract(stop, start) * part) for part in np.linspace(0, 1, 7)]
        self.stroke(steps, modifier)

    def stroke(self, places: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self.mouse.stroke(self.image, places, modifier)
        self.quiet()

    def wheel(self, place: tuple[float, ...], turn: int, modifier: Any) -> None:
        self.mouse.wheel(self.image, place, turn, modifier)
        self.quiet()

    def key(self, key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self.mouse.key(key, modifier)
        self.quiet()

    def go_to(self, axis: int, step: int) -> None:
        self.viewer.dims.set_current_step(axis, step)
        self.quiet()

    def close(self) -> None:
        self.viewer.window.remove_dock_widget(self.widget)

"""An annotator without a window: viewer model, controller and worker, and nothing to draw on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeSegmenter
from napari.components import ViewerModel
from napari.layers import Image
from pictures import stack
from qtpy.QtWidgets import QApplication
from stage import COUNT, Stage

from napari_mobilesam.widgets.bridge import WorkerBridge
from napari_mobilesam.widgets.controller import AnnotatorController
from napari_mobilesam.widgets.model import ModelKeeper
from napari_mobilesam.widgets.options import Options


class Bench:
    """A controller on a bench, with everything that it is connected to."""

    def __init__(
        self,
        qtbot: Any,
        viewer: ViewerModel,
        segmenter: FakeSegmenter,
        factory: Callable[[], FakeSegmenter] | None = None,
        options: Options | None = None,
    ) -> None:
        options = Options(disk_gib=0) if options is None else options
        self.qtbot = qtbot
        self.viewer = viewer
        self.segmenter = segmenter
        self.bridge = WorkerBridge()
        self.model = ModelKeeper(self.bridge, options, factory or (lambda: segmenter))
        self.controller = AnnotatorController(viewer, self.bridge, self.model, Options())
        self.statuses: list[tuple[str, str]] = []
        self.controller.status_changed.connect(lambda *status: self.statuses.append(status))
        self.controller.start()
        self.model.load()

    def close(self) -> None:
        gate = getattr(self.segmenter, 'gate', None)  # a real model has none
        if gate is not None:
            gate.set()
        self.controller.close()
        self.model.close()
        self.bridge.close()

    # -- layers, by what they are

    @property
    def prompts(self) -> Any:
        return self.controller._prompts

    @property
    def points(self) -> Any:
        return self.prompts.points

    @property
    def boxes(self) -> Any:
        return self.prompts.shapes

    @property
    def preview(self) -> Any:
        return self.controller._previews.candidate.layer

    @property
    def labels(self) -> Any:
        return self.controller.labels

    # -- what a user does, and what a test waits for

    def until(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=20_000)

    def quiet(self) -> None:
        """Wait until nothing is under way any more."""
        self.until(lambda: self.model.loaded is not None)
        for _ in range(3):
            QApplication.processEvents()
            self.until(lambda: not self.controller.pending)
            self.until(lambda: not self.bridge._worker.busy)
        QApplication.processEvents()

    def click(self, *position: float, positive: bool = True) -> None:
        """Add a point as the canvas does, and wait for the answer."""
        self.controller.add_point(position, positive)
        self.quiet()

    def hover(self, *position: float) -> None:
        """Move the mouse over a position, ready to click points."""
        from types import SimpleNamespace

        world = self.controller.image.data_to_world(position)
        for callback in self.points.mouse_move_callbacks:
            callback(self.points, SimpleNamespace(position=world))
        self.quiet()

    @property
    def hovered(self) -> Any:
        """What is drawn under the mouse, or None."""
        layer = self.controller._previews.hover.layer
        return None if layer is None or not layer.data.any() else layer

    def press(self, key: str, layer: Any = None) -> None:
        from napari.utils.key_bindings import coerce_keybinding

        layer = self.points if layer is None else layer
        layer.keymap[coerce_keybinding(key)](layer)
        self.quiet()

    @property
    def decoded(self) -> int:
        return len(self.segmenter.decoded)


@pytest.fixture
def bench(qtbot: Any) -> Iterator[Callable[..., Bench]]:
    """Make a bench: `bench()` for a stack of five planes, `bench(image=..., scale=...)`."""
    made: list[Bench] = []

    def make(
        image: Any = None,
        segmenter: FakeSegmenter | None = None,
        ready: bool = True,
        factory: Callable[[], FakeSegmenter] | None = None,
        options: Options | None = None,
        **keywords: Any,
    ) -> Bench:
        viewer = ViewerModel()
        layer: Image = viewer.add_image(stack() if image is None else image, **keywords)
        layer.name = keywords.get('name', 'cells')
        viewer.dims.set_current_step(tuple(range(layer.ndim - 2)), (0,) * (layer.ndim - 2))
        one = Bench(qtbot, viewer, segmenter or FakeSegmenter(), factory, options)
        made.append(one)
        if ready:
            one.quiet()
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def stage(bench: Callable[..., Any]) -> Iterator[Callable[..., Stage]]:
    """Make a stack of discs with the section of the dock for it: `stage()`, `stage(count)`."""
    made: list[Stage] = []

    def make(count: int = COUNT, **keywords: Any) -> Stage:
        made.append(Stage(bench(image=stack(count), **keywords)))
        return made[-1]

    yield make
    for one in made:
        one.panel.deleteLater()
    QApplication.processEvents()

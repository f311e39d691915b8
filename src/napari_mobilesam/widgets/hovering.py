"""What a click under the mouse would give, shown before any click."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import PlaneSource

from .predicting import hover

if TYPE_CHECKING:
    from napari_mobilesam.engine.prompts import Point

    from .bridge import WorkerBridge
    from .inference import Inference
    from .model import ModelKeeper
    from .predicting import Hovered, Shown


class Hover(QObject):
    """Asks the worker about the place under the mouse, one place at a time.

    While one answer is made, the mouse goes on, and only its last place is asked about next:
    hovers never queue, at most one is under way, and prompts go before them. Nothing is encoded
    for a hover, and none is shown while there are prompts.

    Signals
    -------
    changed (Hovered or None)
        There is something else to show, or nothing.
    failed (str)
        The model could not do it; the hover is off now.
    """

    changed = Signal(object)
    failed = Signal(str)

    def __init__(
        self,
        bridge: WorkerBridge,
        model: ModelKeeper,
        inference: Inference,
        enabled: bool,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._model = model
        self._inference = inference
        self._enabled = enabled
        self._wanted: Point | None = None
        self._asked: Point | None = None
        self._busy = False
        self._shown: Hovered | None = None
        self._rank = 0
        inference.embedded.connect(self._ask)
        inference.candidate_changed.connect(self._on_candidate)

    @property
    def enabled(self) -> bool:
        """Whether the user wants it."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = value
        if not value:
            self.stop()

    @property
    def shown(self) -> Hovered | None:
        """What is shown now."""
        return self._shown

    @property
    def rank(self) -> int:
        """Which of the masks is shown, counted from the best: a click is to show the same."""
        return self._rank

    def cycle(self, by: int) -> None:
        """Show the next mask at the same place, or the one before.

        The choice goes with the mouse, which never rests, until there is a candidate and it is
        committed or taken away.
        """
        if self._shown is None:
            return
        self._rank = (self._shown.rank + by) % len(self._shown.scores)
        self._asked = None
        if not self._busy:
            self._ask()

    def move(self, point: Point) -> None:
        """Follow the mouse to a (row, column) of the plane on display."""
        if not self._enabled:
            return
        if self._inference.prompted or self._inference.source is None:
            self.stop()
            return
        self._wanted = point
        if not self._busy:
            self._ask()

    def stop(self) -> None:
        """Show nothing until the mouse moves again."""
        self._wanted = self._asked = None
        if self._busy:
            self._busy = False
            self._bridge.cancel('hover')
        self._show(None)

    def _ask(self) -> None:
        point, source = self._wanted, self._inference.source
        annotator = self._model.annotator
        if point is None or source is None or annotator is None or point == self._asked:
            return
        self._asked = point
        self._busy = True
        prompted_only, rank = self._inference.prompted_only, self._rank
        self._bridge.submit(
            'hover',
            lambda _cancel: hover(annotator, source, point, rank, prompted_only),
            partial(self._on_drawn, source),
            self._on_error,
        )

    def _show(self, found: Hovered | None) -> None:
        if found is not self._shown:
            self._shown = found
            self.changed.emit(found)

    def _on_drawn(self, source: PlaneSource, found: Hovered | None) -> None:
        self._busy = False
        if source is not self._inference.source or self._inference.prompted:
            self.stop()
            return
        if found is None:
            self._asked = None  # no embedding yet, or beside the plane: may be asked again
        self._show(found)
        if found is not None:
            self._ask()

    def _on_candidate(self, shown: Shown | None) -> None:
        if shown is None:
            self._rank = 0

    def _on_error(self, error: BaseException) -> None:
        self.enabled = False
        self.failed.emit(f'The preview under the mouse is off, it failed: {error}')

"""Long work on a stack: on the worker, step by step, with the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine.background import BackgroundWork
from napari_mobilesam.engine.cancel import Cancelled, CancelToken

if TYPE_CHECKING:
    from .bridge import WorkerBridge

# So long after the user's last prompt or look under the mouse, work goes on.
REST_MS = 1200


class StackWork(QObject):
    """One thing at a time that takes long; what is done when it is cancelled stays.

    Prompts go between two steps. While the user predicts it waits altogether.

    Parameters
    ----------
    bridge
        The worker.
    lane
        The worker's lane, less urgent than prompts.
    parent
        Qt parent.

    Signals
    -------
    progressed (int, int, float)
        Done, of how many, and seconds left; negative while that is not known.
    stepped (object)
        What one step brought.
    ended (bool)
        It is over; whether everything was done.
    failed (str)
        It is over because of this.
    """

    progressed = Signal(int, int, float)
    stepped = Signal(object)
    ended = Signal(bool)
    failed = Signal(str)

    def __init__(self, bridge: WorkerBridge, lane: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._lane = lane
        self._work: BackgroundWork[Any] | None = None
        self._turn = 0  # which work is the one under way
        self._began: tuple[float, int] | None = None
        self._done = 0
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._go_on)

    @property
    def running(self) -> bool:
        """Whether it is under way, or waits for the user to rest."""
        return self._work is not None

    @property
    def waiting(self) -> bool:
        """Whether it waits for the user to rest."""
        return self._work is not None and self._work.paused

    def start(self, steps: Callable[[CancelToken], Iterator[Any]]) -> None:
        """Begin with a generator of things that have ``done`` and ``total``; made on the worker."""
        self.stop()
        self._began = None
        self._turn = turn = self._turn + 1
        # Its number, not itself: work that holds on to itself would stay, with the model and all
        # that it found, until Python looks for such rings.
        self._work = work = BackgroundWork(
            self._bridge.submit,
            self._lane,
            steps,
            lambda step: self._on_step(turn, step),
            lambda complete: self._on_done(turn, complete),
            lambda error: self._on_error(turn, error),
        )
        self.progressed.emit(0, 0, -1.0)
        work.start()

    def stop(self) -> None:
        """End it; what was done stays, and `ended` says so as soon as the step is over."""
        if self._work is not None:
            self._work.cancel()

    def abandon(self) -> None:
        """End it without another word."""
        work, self._work = self._work, None
        self._rest.stop()
        if work is not None:
            work.cancel()
            self._bridge.cancel(self._lane)

    def hold(self) -> None:
        """Wait: the user predicts."""
        if self._work is not None:
            self._work.pause()
            self._rest.start()

    def _go_on(self) -> None:
        if self._work is not None and self._bridge.open:
            self._work.resume()

    def _is_current(self, turn: int) -> bool:
        return self._work is not None and turn == self._turn

    def _on_step(self, turn: int, step: Any) -> None:
        if not self._is_current(turn):
            return
        # The first step may have had less to do than the others: it counts as the start, and so
        # does that of another part of the work.
        if self._began is None or step.done < self._done:
            self._began = monotonic(), step.done
        self._done = step.done
        since, first = self._began
        left = -1.0
        if step.done > first:
            left = (monotonic() - since) / (step.done - first) * (step.total - step.done)
        self.progressed.emit(step.done, step.total, left)
        self.stepped.emit(step)

    def _on_done(self, turn: int, complete: bool) -> None:
        if self._is_current(turn):
            self._work = None
            self._rest.stop()
            self.ended.emit(complete)

    def _on_error(self, turn: int, error: Exception) -> None:
        if self._is_current(turn):
            self._work = None
            self._rest.stop()
            if isinstance(error, Cancelled):
                self.ended.emit(False)
            else:
                self.failed.emit(str(error) or type(error).__name__)

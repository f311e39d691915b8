"""From the worker thread to the GUI thread: callbacks become queued Qt signals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal, Slot

from napari_mobilesam.engine import CancelToken, Ticket, Worker

# Most urgent first: a click waits for nothing but what is running already.
LANES = (
    'predict',
    'hover',
    'pick',
    'load',
    'edit',
    'slices',
    'scan',
    'survey',
    'seen',
    'batch',
    'embed',
    'thumbnail',
    'link',
    'tracks',
    'follow',
    'refine',
    'find',
    'ahead',
    'precompute',
)

CLOSE_SECONDS = 1.0


class WorkerBridge(QObject):
    """A worker whose answers arrive on the thread that this object lives in.

    The worker calls back on its own thread, where neither napari nor Qt may be touched; the
    signal is queued, so the callbacks given to `submit` and `report` run in the event loop.
    """

    _arrived = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = Worker(lanes=LANES)
        self._open = True
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def open(self) -> bool:
        """Whether it takes work."""
        return self._open

    def submit(
        self,
        lane: str,
        function: Callable[[CancelToken], Any],
        on_result: Callable[[Any], object],
        on_error: Callable[[BaseException], object],
    ) -> None:
        """Run `function` on the worker; of one lane only the latest answer arrives.

        To be called in the GUI thread.
        """
        tickets: list[Ticket] = []

        def if_current(callback: Callable[[Any], object], value: Any) -> None:
            # An answer may have gone stale on its way through the event queue.
            if tickets[0].current:
                callback(value)

        tickets.append(
            self._worker.submit(
                lane,
                function,
                on_result=lambda result: self.report(partial(if_current, on_result), result),
                on_error=lambda error: self.report(partial(if_current, on_error), error),
            )
        )

    def cancel(self, lane: str) -> None:
        """Let no answer of `lane` arrive that has not yet."""
        self._worker.cancel(lane)

    def report(self, callback: Callable[[Any], object], value: Any) -> None:
        """Deliver `value` to `callback` in the GUI thread; may be called from any."""
        if self._open:
            self._arrived.emit(callback, value)

    def close(self) -> None:
        """Stop the thread; answers on their way are dropped.

        An encoder that runs cannot be stopped half way: after `CLOSE_SECONDS` it is left to itself,
        to end at its next look at its token, rather than let the user wait for it.
        """
        self._open = False
        self._worker.close(CLOSE_SECONDS)

    @Slot(object, object)
    def _deliver(self, callback: Callable[[Any], object], value: Any) -> None:
        if self._open:
            callback(value)

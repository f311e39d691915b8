"""Errands: work with files, done one after the other beside the model's worker."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal, Slot

from napari_mobilesam.engine import Cancelled, CancelToken

_CLOSE_SECONDS = 5.0

Task = tuple[
    Callable[[CancelToken], Any],
    Callable[[Any], object],
    Callable[[Exception], object],
    CancelToken,
]


class Errands(QObject):
    """A thread for files: nothing waits for the model, and no click waits for a disk.

    Unlike the worker's lanes it forgets nothing: whatever is asked for is done, in this order,
    unless its token is cancelled. Answers arrive on the thread that this object lives in.

    The thread ends when there is nothing to do, so that a window which only stands open holds
    none, and the C library can give its heap to the next one.
    """

    _arrived = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tokens: set[CancelToken] = set()
        # Guards the two below: a thread leaves only if nothing was put into the queue meanwhile.
        self._lock = threading.Lock()
        self._queue: deque[Task] = deque()
        self._thread: threading.Thread | None = None
        self._open = True
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether anything waits, runs, or is on its way back."""
        return bool(self._tokens)

    def run(
        self,
        function: Callable[[CancelToken], Any],
        on_result: Callable[[Any], object],
        on_error: Callable[[Exception], object],
    ) -> CancelToken:
        """Do something; to be called in the GUI thread.

        Parameters
        ----------
        function
            Called on the thread. Neither napari nor Qt may be touched there.
        on_result, on_error
            Called in the GUI thread, one of them, unless the token was cancelled.

        Returns
        -------
        CancelToken
            Gives it up; the function should look at it now and then.
        """
        token = CancelToken()
        if not self._open:
            token.cancel()
            return token
        self._tokens.add(token)
        with self._lock:
            self._queue.append((function, on_result, on_error, token))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name='files', daemon=True)
                self._thread.start()
        return token

    def report(self, callback: Callable[[Any], object], value: Any) -> None:
        """Deliver `value` to `callback` in the GUI thread; may be called from any."""
        if self._open:
            self._arrived.emit(callback, value)

    def close(self) -> None:
        """Cancel everything, and wait a little for what runs."""
        self._open = False
        for token in tuple(self._tokens):
            token.cancel()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    def _next(self) -> Task | None:
        """Take what is next; without anything the thread is given up."""
        with self._lock:
            if not self._queue:
                self._thread = None
                return None
            return self._queue.popleft()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            function, on_result, on_error, token = task
            callback: Callable[[Any], object]
            try:
                token.check()
                value, callback = function(token), on_result
            except Cancelled:
                value, callback = None, _nothing
            except Exception as error:
                value, callback = error, on_error
            self.report(self._finish, (token, callback, value))
            del task, function, on_result, on_error, callback, value  # nothing is held on to

    def _finish(self, answer: tuple[CancelToken, Callable[[Any], object], Any]) -> None:
        token, callback, value = answer
        self._tokens.discard(token)
        if not token.cancelled:
            callback(value)

    @Slot(object, object)
    def _deliver(self, callback: Callable[[Any], object], value: Any) -> None:
        if self._open:
            callback(value)


def _nothing(_value: Any) -> None:
    pass

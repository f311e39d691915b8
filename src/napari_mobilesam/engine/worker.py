"""The worker: one thread that owns the model, and in which only the latest wish counts.

::

    submit(lane, function) ── waiting, one per lane ── running, one in all ── on_result
            │                        │                        │
            │                        │                        └─ raised: on_error
            └─ the lane's earlier wish is cancelled and replaced; its result is dropped
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Generic, TypeVar

from .cancel import Cancelled, CancelToken

T = TypeVar('T')

# Longer than any encoder takes; then the process ends all the same.
_EXIT_SECONDS = 60.0


class WorkerClosedError(RuntimeError):
    """Work was submitted to a worker that was closed."""


class Ticket:
    """A receipt for submitted work.

    Parameters
    ----------
    worker : Worker
        Who took the work.
    lane : str
        In which lane.
    generation : int
        Number of this submission within its lane; a higher one is later.
    """

    __slots__ = ('_token', '_worker', 'generation', 'lane')

    def __init__(self, worker: Worker, lane: str, generation: int) -> None:
        self._worker = worker
        self._token = CancelToken()
        self.lane = lane
        self.generation = generation

    def cancel(self) -> None:
        """Give the work up.

        Its result is dropped. Only a callback that was just about to begin may still run, which is
        why the receiving side asks for `current`.
        """
        self._token.cancel()
        self._worker._forget(self)

    @property
    def cancelled(self) -> bool:
        """Whether it was given up or replaced by later work of its lane."""
        return self._token.cancelled

    @property
    def current(self) -> bool:
        """Whether it is still the latest wish of its lane.

        Stays true after the work is done, until later work is submitted to the lane or the lane is
        cancelled. Where a callback hands its result on to another thread, that thread has to ask
        this before it writes anything: in between the user may have gone on.
        """
        return not self._token.cancelled and self._worker._generation[self.lane] == self.generation


@dataclass(frozen=True, slots=True, eq=False)
class _Task(Generic[T]):
    ticket: Ticket
    function: Callable[[CancelToken], T]
    on_result: Callable[[T], object] | None
    on_error: Callable[[Exception], object] | None


class Worker:
    """One daemon thread that does the work of several lanes, one at a time.

    In each lane the latest submission wins: one that waits is replaced, one that runs is cancelled
    and its result dropped. Work submitted while busy is never lost: it runs when the thread is
    free. Among lanes that wait the first in `lanes` goes first.

    Parameters
    ----------
    lanes : sequence of str
        Names of the lanes, most urgent first.
    name : str
        Name of the thread.
    """

    def __init__(
        self, lanes: Sequence[str] = ('predict', 'embed'), name: str = 'napari-mobilesam'
    ) -> None:
        if not lanes or len(set(lanes)) != len(lanes):
            raise ValueError(f'lanes are one or more different names; got {tuple(lanes)}')
        self._lanes = tuple(lanes)
        self._generation = dict.fromkeys(self._lanes, 0)
        self._waiting: dict[str, _Task[Any]] = {}
        self._running: _Task[Any] | None = None
        self._closed = False
        # Guards all of the above. Never held while foreign code runs.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        # Python freezes daemon threads at its exit, and torch aborts the process when it is
        # unloaded under a running encoder: let the encoder come to its end first.
        atexit.register(self._leave)

    def submit(
        self,
        lane: str,
        function: Callable[[CancelToken], T],
        on_result: Callable[[T], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> Ticket:
        """Ask for `function` to be run; returns at once.

        Parameters
        ----------
        lane : str
            The lane; earlier work in it is cancelled.
        function : callable
            Called as ``function(token)`` on the worker's thread. It should call ``token.check()``
            between its stages.
        on_result : callable, optional
            Called with the result, on the worker's thread, unless the work was cancelled.
        on_error : callable, optional
            Called likewise with the exception if `function` or `on_result` raised. Without it the
            exception goes to `threading.excepthook`.

        Raises
        ------
        ValueError
            If there is no such lane.
        WorkerClosedError
            If the worker was closed.
        """
        with self._changed:
            self._check_lane(lane)
            if self._closed:
                raise WorkerClosedError(
                    'the worker is closed and takes no more work; make a new one'
                )
            self._cancel(lane)
            ticket = Ticket(self, lane, self._generation[lane])
            self._waiting[lane] = _Task(ticket, function, on_result, on_error)
            self._changed.notify_all()
            return ticket

    def cancel(self, lane: str | None = None) -> None:
        """Give up what waits and runs in a lane, or in all lanes."""
        with self._changed:
            if lane is not None:
                self._check_lane(lane)
            for name in self._lanes if lane is None else (lane,):
                self._cancel(name)
            self._changed.notify_all()

    def close(self, timeout: float | None = None) -> bool:
        """Cancel everything and wait for the thread to end.

        Running work ends at its next look at its token. Safe to call repeatedly, and from a
        callback (where it does not wait, the thread being its own).

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; by default as long as it takes.

        Returns
        -------
        bool
            Whether the thread has ended.
        """
        with self._changed:
            self._closed = True
            for lane in self._lanes:
                self._cancel(lane)
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits or runs, callbacks included; False if `timeout` seconds pass."""
        deadline = None if timeout is None else monotonic() + timeout
        with self._changed:
            while self._waiting or self._running is not None:
                remaining = None if deadline is None else deadline - monotonic()
                if remaining is not None and remaining <= 0:
                    return False
                self._changed.wait(remaining)
            return True

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        with self._changed:
            return bool(self._waiting) or self._running is not None

    @property
    def closed(self) -> bool:
        """Whether the worker takes no more work."""
        return self._closed

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _check_lane(self, lane: str) -> None:
        if lane not in self._generation:
            raise ValueError(f'no lane {lane!r}; there are {self._lanes}')

    def _cancel(self, lane: str) -> None:
        # A new generation makes even finished tickets of the lane stale: their results may still be
        # on their way to another thread.
        self._generation[lane] += 1
        waiting = self._waiting.pop(lane, None)
        if waiting is not None:
            waiting.ticket._token.cancel()
        if self._running is not None and self._running.ticket.lane == lane:
            self._running.ticket._token.cancel()

    def _forget(self, ticket: Ticket) -> None:
        """Drop a cancelled ticket's task if it still waits."""
        with self._changed:
            task = self._waiting.get(ticket.lane)
            if task is not None and task.ticket is ticket:
                del self._waiting[ticket.lane]
                self._changed.notify_all()

    def _leave(self) -> None:
        self.close(_EXIT_SECONDS)

    def _run(self) -> None:
        while self._step():
            pass
        atexit.unregister(self._leave)

    def _step(self) -> bool:
        # A method of its own, so that nothing of a finished task (results, widgets in closures)
        # stays referenced by this thread's frame while it waits for the next one.
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return False
            lane = next(lane for lane in self._lanes if lane in self._waiting)
            task = self._running = self._waiting.pop(lane)
        try:
            _perform(task)
        finally:
            with self._changed:
                self._running = None
                self._changed.notify_all()
        return True


def _perform(task: _Task[Any]) -> None:
    token = task.ticket._token
    try:
        result = task.function(token)
        if not token.cancelled and task.on_result is not None:
            task.on_result(result)
    except Cancelled as error:
        # Raised without having been asked for, it would leave the caller waiting for ever.
        if not token.cancelled:
            _report(task, error)
    except Exception as error:
        if not token.cancelled:
            _report(task, error)


def _report(task: _Task[Any], error: Exception) -> None:
    if task.on_error is None:
        _to_excepthook()
        return
    try:
        task.on_error(error)
    except Exception:
        _to_excepthook()


def _to_excepthook() -> None:
    """Show the exception being handled as one that ended a thread would be, but go on."""
    kind, error, traceback = sys.exc_info()
    if kind is not None:
        threading.excepthook(
            threading.ExceptHookArgs((kind, error, traceback, threading.current_thread()))
        )

"""Background work: a generator that a worker goes through step by step, giving way in between.

::

    submit(lane, one step) ── on_step ── submit(lane, next step) … ── on_done
                                  │
                                  └─ between two steps more urgent lanes have their turn
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from .cancel import Cancelled, CancelToken

T = TypeVar('T')


class Submit(Protocol):
    """How work is given to a worker: `Worker.submit`, or what passes it on to another thread."""

    def __call__(
        self,
        lane: str,
        function: Callable[[CancelToken], Any],
        on_result: Callable[[Any], object],
        on_error: Callable[[Any], object],
    ) -> object:
        """Ask for `function` to be run."""


class BackgroundWork(Generic[T]):
    """Long work in short steps. A prompt waits for one step at most, never for all of them.

    Its methods may be called from any thread; the callbacks come on the thread on which `submit`
    delivers results.

    Parameters
    ----------
    submit : callable
        See `Submit`.
    lane : str
        A lane of the worker that is less urgent than prompts are.
    steps : callable
        Makes the generator, given the token that cancels this work. Called on the worker.
    on_step : callable
        Called with each value that the generator yields.
    on_done : callable
        Called once at the end with whether everything was done: False after `cancel`.
    on_error : callable
        Called instead of `on_done` with the exception that ended the work.
    """

    def __init__(
        self,
        submit: Submit,
        lane: str,
        steps: Callable[[CancelToken], Iterator[T]],
        on_step: Callable[[T], object],
        on_done: Callable[[bool], object],
        on_error: Callable[[Exception], object],
    ) -> None:
        self._submit = submit
        self._lane = lane
        self._steps = steps
        self._on_step = on_step
        self._on_done = on_done
        self._on_error = on_error
        self._token = CancelToken()
        self._generator: Iterator[T] | None = None
        self._lock = Lock()
        self._paused = False
        self._pending = False
        self._started = False
        self._ended = False

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended; paused work counts as running."""
        return self._started and not self._ended

    @property
    def paused(self) -> bool:
        """Whether it waits for `resume`."""
        return self._paused

    def start(self) -> None:
        """Begin; once only."""
        with self._lock:
            if self._started:
                raise RuntimeError('this work was started before; make a new one')
            self._started = True
        self._next()

    def pause(self) -> None:
        """Take no further step; the one that runs comes to its end."""
        with self._lock:
            self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        with self._lock:
            self._paused = False
        self._next()

    def cancel(self) -> None:
        """Give the work up, as soon as its running step looks at its token; what is done stays."""
        with self._lock:
            self._token.cancel()
            idle = self._started and not self._pending
        if idle:
            self._end(None)

    def _next(self) -> None:
        with self._lock:
            if self._pending or self._paused or self._ended or not self._started:
                return
            self._pending = True
        self._submit(self._lane, self._step, self._stepped, self._failed)

    def _step(self, _worker: CancelToken) -> tuple[T] | None:
        try:
            self._token.check()
            if self._generator is None:
                self._generator = self._steps(self._token)
            for value in self._generator:
                return (value,)
        except Cancelled:
            if not self._token.cancelled:
                raise
        return None

    def _stepped(self, result: tuple[T] | None) -> None:
        with self._lock:
            self._pending = False
        if result is None:
            self._end(None)
            return
        self._on_step(result[0])
        if self._token.cancelled:
            self._end(None)
        else:
            self._next()

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self._pending = False
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
            # A generator that was left half-way lets go of what it holds.
            self._generator = None
        if error is not None:
            self._on_error(error)
        else:
            self._on_done(not self._token.cancelled)

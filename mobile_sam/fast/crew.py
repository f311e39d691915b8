"""Threads that share the work on parts of a picture, each with one thread of torch to itself.

torch divides every single operation among its threads and waits for the slowest of them. Where an
operation takes a tenth of a millisecond, as most in the decoder do, waking and waiting cost as much
as the second thread gains. A crew divides the picture instead, and meets only where it has to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, get_ident
from typing import TypeVar

import torch

S = TypeVar('S')
T = TypeVar('T')

# More would wait for each other more than they compute: a stage takes 1 to 3 ms on one thread.
_MOST = 4


class Crew:
    """Some threads; the first of them leads, so that handing out a stage wakes one thread less.

    Belongs to one thread at a time.

    Parameters
    ----------
    size : int
        How many; with one, everything is done by the caller.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._leader: int | None = None
        self._lead: ThreadPoolExecutor | None = None
        self._others: ThreadPoolExecutor | None = None

    @classmethod
    def of_torch(cls) -> Crew:
        """Return a crew of as many as torch has threads in the calling one, up to four."""
        return cls(min(torch.get_num_threads(), _MOST))

    def run(self, work: Callable[[], T]) -> T:
        """Do some work, in the course of which `share` may be called, and `run` too."""
        if self.size == 1 or get_ident() == self._leader:
            return _undisturbed(work)
        if self._lead is None:
            self._gather()
        assert self._lead is not None
        return self._lead.submit(_undisturbed, work).result()

    def share(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Do the same work on each part, and wait for all; within `run` only."""
        if self._others is None:
            return [work(part) for part in parts]
        rest = [self._others.submit(_undisturbed, work, part) for part in parts[1:]]
        try:
            first = work(parts[0])
        finally:
            done = [_finished(future) for future in rest]
        return [first, *(future.result() for future in done)]

    def _gather(self) -> None:
        threads = torch.get_num_threads()
        self._lead = ThreadPoolExecutor(1, 'decoder')
        self._others = ThreadPoolExecutor(self.size - 1, 'decoder')
        together = Barrier(self.size)

        def lead() -> None:
            self._leader = get_ident()
            join()

        def join() -> None:
            together.wait()  # each member takes one of these
            # A thread takes the common number when it first asks, also after it was given its own.
            torch.get_num_threads()
            torch.set_num_threads(1)

        joined = [self._lead.submit(lead)]
        joined += [self._others.submit(join) for _ in range(self.size - 1)]
        for future in joined:
            future.result()
        # The number is each thread's own, but threads to come start with the last one set anywhere.
        torch.set_num_threads(threads)


def _undisturbed(work: Callable[..., T], *arguments: object) -> T:
    # The mode is a thread's own.
    with torch.inference_mode():
        return work(*arguments)


def _finished(future: Future[T]) -> Future[T]:
    future.exception()  # waits
    return future

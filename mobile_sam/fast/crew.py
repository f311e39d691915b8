"""Threads that share the work on parts of a picture, each with one thread of torch to itself.

torch divides every single operation among its threads and waits for the slowest of them. Where an
operation takes a tenth of a millisecond, as most in the decoder do, waking and waiting cost as much
as the second thread gains. A crew divides the picture instead, and meets only where it has to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from queue import Empty, SimpleQueue
from threading import Barrier, Thread, get_ident
from time import perf_counter, sleep
from typing import TypeVar, cast
from weakref import finalize

import torch

S = TypeVar('S')
T = TypeVar('T')
_Results = SimpleQueue[tuple[int, object, BaseException | None]]
_Tasks = SimpleQueue[Callable[[], None] | None]

# More would wait for each other more than they compute: where a stage takes 1 to 3 ms on one
# thread, as in the decoder, and where it takes 10 to 90, as in the encoder.
_FEW, _MOST = 4, 8
# Seconds in which a member looks for its next part before it sleeps. Between two stages the leader
# is alone for half a millisecond, and to wake a processor that has gone to sleep takes a tenth.
_AWAKE = 0.001
# The leader's part is larger by one in so many.
_HEAD_START = 16


class Crew:
    """Some threads; the first of them leads, so that handing out a stage wakes one thread less.

    Belongs to one thread at a time. The threads end with it.

    Parameters
    ----------
    size : int
        How many; with one, everything is done by the caller.

    Attributes
    ----------
    few : int
        As many of them as should share what takes a millisecond or two.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.few = min(size, _FEW)
        self._leader: int | None = None
        self._apart: set[int] = set()
        # Queues, as futures take longer to hand over.
        self._lead: _Tasks = SimpleQueue()
        self._parts: _Tasks = SimpleQueue()

    @classmethod
    def of_torch(cls) -> Crew:
        """Return a crew of as many as torch has threads in the calling one, up to eight."""
        return cls(min(torch.get_num_threads(), _MOST))

    def run(self, work: Callable[[], T]) -> T:
        """Do some work, in the course of which `share` may be called, and `run` too."""
        if self.size == 1 or get_ident() == self._leader or get_ident() in self._apart:
            with torch.inference_mode():
                return work()
        if self._leader is None:
            self._gather()
        results: _Results = SimpleQueue()
        self._lead.put(partial(_kept, results, 0, work))
        return cast(T, _unpacked([results.get()])[0])

    def divided(self, count: int) -> list[slice]:
        """Divide so many things into a part for each of a few, the leader's being the largest.

        The others begin later, by the time that it takes to wake them, and would be waited for.
        Parts that are no power of 2 are welcome besides: the rows of arrays then lie where one does
        not drive the other out of the cache.
        """
        each = -(-count // self.few)
        first = min(count, each + round(each / _HEAD_START))
        each = -(-(count - first) // max(1, self.few - 1))
        starts = [0, *range(first, count, max(1, each))]
        return [slice(*bounds) for bounds in pairwise([*starts, count])]

    def share(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Do the same work on each part, and wait for all; within `run` only."""
        if self.size == 1 or get_ident() in self._apart:
            return [work(part) for part in parts]
        results: _Results = SimpleQueue()
        for number in range(1, len(parts)):
            self._parts.put(partial(_kept, results, number, partial(work, parts[number])))
        _kept(results, 0, partial(work, parts[0]))
        with suppress(Empty):  # what nobody has begun is done here, sooner than someone wakes up
            while True:
                task = self._parts.get_nowait()
                assert task is not None
                task()
        return cast(list[T], _unpacked([results.get() for _ in parts]))

    def apart(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Do the same work on each part, each on one thread alone; within `run` only.

        What `share` divides in the course of it is done by that thread, so that nobody waits for
        anybody. Where there are fewer parts than members, all share one after the other instead.
        """
        if len(parts) < self.size or get_ident() in self._apart:
            return [work(part) for part in parts]

        def alone(part: S) -> T:
            me = get_ident()
            self._apart.add(me)
            try:
                return work(part)
            finally:
                self._apart.discard(me)

        return self.share(alone, parts)

    def _gather(self) -> None:
        threads = torch.get_num_threads()
        together = Barrier(self.size + 1)
        for number, queue in enumerate((self._lead, *[self._parts] * (self.size - 1))):
            # One that stays awake is enough: more would be in each other's way, and the leader's.
            awake = _AWAKE if number == 1 else 0
            arguments = (queue, together, awake)
            member = Thread(target=_serve, args=arguments, name='crew', daemon=True)
            member.start()
            if queue is self._lead:
                self._leader = member.ident
        together.wait()
        # The number is each thread's own, but threads to come start with the last one set anywhere.
        torch.set_num_threads(threads)
        finalize(self, _dismiss, self._lead, self._parts, self.size)


def _serve(tasks: _Tasks, together: Barrier, awake: float) -> None:
    """Do what a queue holds until that is None; knows no crew, so as not to keep it alive.

    Sleeps where there is nothing to do, but for so many seconds after each task.
    """
    # A thread takes the common number when it first asks, also after it was given its own.
    torch.get_num_threads()
    torch.set_num_threads(1)
    together.wait()
    with torch.inference_mode():  # the mode is a thread's own
        while (task := _next(tasks, awake)) is not None:
            task()
            del task  # and with it a picture


def _next(tasks: _Tasks, awake: float) -> Callable[[], None] | None:
    until = perf_counter() + awake
    while perf_counter() < until:
        with suppress(Empty):
            return tasks.get_nowait()
        sleep(0)  # others may go on
    return tasks.get()


def _dismiss(lead: _Tasks, parts: _Tasks, size: int) -> None:
    lead.put(None)
    for _ in range(size - 1):
        parts.put(None)


def _kept(results: _Results, number: int, work: Callable[[], object]) -> None:
    """Put what some work gives, or how it failed, where someone waits for it."""
    try:
        result = work()
    except BaseException as error:  # of whatever kind: it is for who waits
        results.put((number, None, error))
    else:
        results.put((number, result, None))


def _unpacked(ended: list[tuple[int, object, BaseException | None]]) -> list[object]:
    """Sort results by number, or raise the first error."""
    ended.sort(key=lambda one: one[0])
    try:
        for _, _, error in ended:
            if error is not None:
                raise error
        return [result for _, result, _ in ended]
    finally:
        del ended  # it would hold the error that holds this frame

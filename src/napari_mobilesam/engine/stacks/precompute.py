"""Precomputing: embedding the planes of a series before anybody asks, the nearest ones first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from threading import Lock
from time import monotonic

from napari_mobilesam.engine.annotator import Annotator
from napari_mobilesam.engine.cancel import CancelToken

from .series import PlaneSeries


class PrecomputePlan:
    """Which plane to embed next. Safe for threads: one moves the focus, another one takes planes.

    Parameters
    ----------
    count : int
        Number of planes.
    focus : int
        Where the user is.
    """

    def __init__(self, count: int, focus: int = 0) -> None:
        self._open = set(range(count))
        self._count = count
        self._focus = focus
        self._forwards = True
        self._lock = Lock()

    @property
    def remaining(self) -> int:
        """How many planes have not been taken."""
        with self._lock:
            return len(self._open)

    @property
    def count(self) -> int:
        """How many planes there are."""
        return self._count

    def focus(self, index: int) -> None:
        """Say that the user moved to another plane: what is near to it comes next.

        Of two planes equally near, the one in the direction of the move goes first.
        """
        with self._lock:
            if index != self._focus:
                self._forwards = index > self._focus
            self._focus = index

    def take(self, count: int = 1) -> list[int]:
        """Return so many of the next planes, or as many as there are; they count as taken."""
        with self._lock:
            focus, ahead = self._focus, 1 if self._forwards else -1
            nearest = nsmallest(
                count, self._open, key=lambda i: (abs(i - focus), -ahead * (i - focus))
            )
            self._open.difference_update(nearest)
            return nearest

    def put_back(self, indices: Iterable[int]) -> None:
        """Return planes that were taken but not embedded."""
        with self._lock:
            self._open.update(indices)


@dataclass(frozen=True, slots=True)
class PrecomputeProgress:
    """How far a precompute is.

    Parameters
    ----------
    index : int
        The plane that has its embedding now.
    encoded : bool
        Whether it had to be encoded; otherwise it was found in the store.
    done, total : int
        Planes.
    seconds_left : float, optional
        An estimate, from the planes that had to be encoded; None before the first of them.
    """

    index: int
    encoded: bool
    done: int
    total: int
    seconds_left: float | None


def precompute(
    annotator: Annotator,
    planes: PlaneSeries,
    plan: PrecomputePlan,
    cancel: CancelToken | None = None,
) -> Iterator[PrecomputeProgress]:
    """Embed the planes of a plan, as many at a time as the device encodes in one pass.

    No more than these are read. Embeddings go to disk, where there is a store on disk, and
    stay in memory as long as nothing that is more useful needs the room. Without a store on disk
    it ends when the memory is full: what is embedded then would be forgotten at once.

    Parameters
    ----------
    annotator : Annotator
        The model, and where embeddings are kept.
    planes : PlaneSeries
        The planes.
    plan : PrecomputePlan
        Which of them come next.
    cancel : CancelToken, optional
        Polled before, during and after each plane that is read, and after each pass.

    Yields
    ------
    PrecomputeProgress
        After each plane.

    Raises
    ------
    Cancelled
        If the token was cancelled; planes that are done stay done.
    """
    encoding_seconds, encoded_planes = 0.0, 0
    at_once = annotator.segmenter.at_once
    while not annotator.store.full and (taken := plan.take(at_once)):
        started = monotonic()
        try:
            found = annotator.embed_many([planes[index] for index in taken], cancel, ahead=True)
        except BaseException:
            plan.put_back(taken)
            raise
        at_once = annotator.segmenter.at_once
        encoded = sum(each.encoded for each in found)
        if encoded:
            encoding_seconds += monotonic() - started
            encoded_planes += encoded
        remaining = plan.remaining
        mean = encoding_seconds / encoded_planes if encoded_planes else None
        for number, (index, each) in enumerate(zip(taken, found, strict=True), 1):
            left = remaining + len(taken) - number
            yield PrecomputeProgress(
                index=index,
                encoded=each.encoded,
                done=plan.count - left,
                total=plan.count,
                seconds_left=None if mean is None else mean * left,
            )

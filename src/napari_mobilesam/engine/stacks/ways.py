"""Ways: from which anchor, in which direction, an object comes to a slice."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Way:
    """How an object comes to a slice.

    Parameters
    ----------
    anchor : int
        The slice with the anchor that it comes from, the nearest one.
    direction : {1, -1}
        Whether it comes from a lower slice (1) or from a higher one.
    other : int, optional
        The anchor beyond, on the other side of the slice, if there is one.
    """

    anchor: int
    direction: int
    other: int | None


def way_to(index: int, anchors: Collection[int], marks: Collection[int] = ()) -> Way | None:
    """Return how an object comes to a slice; None for an anchor, or where marks bar the way.

    Parameters
    ----------
    index : int
        The slice.
    anchors : collection of int
        Slices on which the user gave the object.
    marks : collection of int
        Slices on which the user said that it is not there.
    """
    if index in marks or index in anchors:
        return None
    ordered = sorted(anchors)
    place = bisect_left(ordered, index)
    below: int | None = ordered[place - 1] if place else None
    above: int | None = ordered[place] if place < len(ordered) else None
    if below is not None and any(below < mark < index for mark in marks):
        below = None
    if above is not None and any(index < mark < above for mark in marks):
        above = None
    if below is None and above is None:
        return None
    if above is None or (below is not None and index - below <= above - index):
        assert below is not None
        return Way(below, 1, above)
    return Way(above, -1, below)


def affected(index: int, anchors: Collection[int], count: int) -> range:
    """Return the slices whose masks depend on an anchor, the anchor's own included.

    These reach to the anchors on both sides, or to the ends of the stack.

    Parameters
    ----------
    index : int
        The slice with the anchor.
    anchors : collection of int
        All anchors of the object; whether `index` is among them does not matter.
    count : int
        Number of slices.
    """
    below = max((anchor for anchor in anchors if anchor < index), default=-1)
    above = min((anchor for anchor in anchors if anchor > index), default=count)
    return range(below + 1, above)

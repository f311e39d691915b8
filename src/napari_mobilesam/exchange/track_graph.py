"""Tracks as a graph: numbered objects, and which of them follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_mobilesam.engine.stacks.linking import SliceObject
    from napari_mobilesam.engine.stacks.tracking import Tracking


@dataclass(frozen=True, slots=True)
class TrackGrid:
    """The time series that tracks lie on.

    Parameters
    ----------
    count : int
        Number of frames.
    shape : tuple of (int, int)
        Rows and columns of a frame.
    pixel : tuple of (float, float)
        Height and width of a pixel.
    unit : str
        Of these.
    interval : float
        From frame to frame.
    time_unit : str
        Of that.
    name : str
        Of the image.
    """

    count: int
    shape: tuple[int, int]
    pixel: tuple[float, float] = (1.0, 1.0)
    unit: str = 'pixel'
    interval: float = 1.0
    time_unit: str = 'frame'
    name: str = ''


def spots_of(tracking: Tracking) -> Iterator[tuple[int, int, SliceObject]]:
    """Give each object of each frame a number.

    Yields
    ------
    tuple of (int, int, SliceObject)
        Number from 0, track, object; by track, then by frame.
    """
    number = 0
    for track, members in sorted(tracking.tracks.items()):
        for member in members:
            yield number, track, member
            number += 1


def links_of(tracking: Tracking) -> list[tuple[int, int]]:
    """Return the numbers of objects that follow each other, forwards in time.

    Returns
    -------
    list of (int, int)
        Within tracks, also over gaps; then from the end of what divided to what came out of it.
    """
    links: list[tuple[int, int]] = []
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    before: tuple[int, int] | None = None
    for number, track, _ in spots_of(tracking):
        first.setdefault(track, number)
        last[track] = number
        if before is not None and before[1] == track:
            links.append((before[0], number))
        before = number, track
    links += [(last[parent], first[child]) for child, parent in sorted(tracking.parents.items())]
    return links


def lineages_of(tracking: Tracking) -> dict[int, int]:
    """Return for each track the one that its lineage began with."""
    roots = {}
    for track in tracking.tracks:
        root, seen = track, {track}
        while (parent := tracking.parents.get(root)) is not None and parent not in seen:
            root = parent
            seen.add(root)
        roots[track] = root
    return roots

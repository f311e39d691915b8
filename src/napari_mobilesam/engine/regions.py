"""Regions: boxes of whole pixels in an array of any number of axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Region = tuple[tuple[int, int], ...]
"""Start and stop along each axis of an array."""


def slices(region: Region) -> tuple[slice, ...]:
    """Return the index that reads a region."""
    return tuple(slice(start, stop) for start, stop in region)


def shape_of(region: Region) -> tuple[int, ...]:
    """Return the number of pixels along each axis."""
    return tuple(stop - start for start, stop in region)


def region_at(start: Sequence[int], shape: Sequence[int]) -> Region:
    """Return the region of an array of `shape` whose first pixel lies at `start`."""
    return tuple((int(a), int(a) + int(n)) for a, n in zip(start, shape, strict=True))


def union(*regions: Region) -> Region:
    """Return the smallest region that holds all of the given ones."""
    return tuple(
        (min(start for start, _ in axis), max(stop for _, stop in axis))
        for axis in zip(*regions, strict=True)
    )


def intersection(first: Region, second: Region) -> Region | None:
    """Return what two regions share; None where that is nothing."""
    shared = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(first, second, strict=True))
    return shared if all(start < stop for start, stop in shared) else None


def within(inner: Region, outer: Region) -> tuple[slice, ...]:
    """Return the index of `inner` in an array that holds just `outer`."""
    return tuple(
        slice(start - origin, stop - origin)
        for (start, stop), (origin, _) in zip(inner, outer, strict=True)
    )


def tight(mask: NDArray[np.bool_], start: Sequence[int]) -> Region | None:
    """Return the smallest region round the pixels of a mask that begins at `start`."""
    region: list[tuple[int, int]] = []
    for origin in reversed(start):
        # The last axis goes before the next one is looked at: that is much less then.
        found = np.flatnonzero(mask.reshape(-1, mask.shape[-1]).any(axis=0))
        if not found.size:
            return None
        region.insert(0, (int(origin) + int(found[0]), int(origin) + int(found[-1]) + 1))
        mask = np.asarray(mask.any(axis=-1))
    return tuple(region)


def disjoint(regions: Sequence[Region]) -> tuple[list[Region], list[int]]:
    """Join regions that overlap, until none do.

    Returns
    -------
    joined : list of Region
        No two of them share a pixel.
    member : list of int
        For each given region, which of the joined ones holds it.
    """
    joined = list(regions)
    member = np.arange(len(joined))
    while len(joined) > 1:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        bounds = np.array(joined)
        starts, stops = bounds[:, :, 0], bounds[:, :, 1]
        rows, columns = _overlapping(starts, stops)
        graph = csr_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(joined),) * 2)
        count, belongs = connected_components(graph, directed=False)
        if count == len(joined):
            break
        low = np.full((count, starts.shape[1]), np.iinfo(np.int64).max)
        high = np.zeros_like(low)
        np.minimum.at(low, belongs, starts)
        np.maximum.at(high, belongs, stops)
        joined = [
            tuple((int(a), int(b)) for a, b in zip(*ends, strict=True))
            for ends in zip(low, high, strict=True)
        ]
        member = belongs[member]
    return joined, [int(i) for i in member]


def _overlapping(
    starts: NDArray[np.integer], stops: NDArray[np.integer], portion: int = 500
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the numbers of all pairs of regions that share a pixel; (N, axes) each."""
    rows, columns = [], []
    for first in range(0, len(starts), portion):
        some = slice(first, first + portion)
        shared = (starts[None] < stops[some, None]) & (starts[some, None] < stops[None])
        row, column = np.nonzero(shared.all(axis=2))
        rows.append(row + first)
        columns.append(column)
    return np.concatenate(rows), np.concatenate(columns)

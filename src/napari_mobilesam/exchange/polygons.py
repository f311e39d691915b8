"""Polygons: masks traced along the edges of their pixels, and filled again.

The mask is the truth. Its polygons run along pixel edges, so that filling them gives the very same
mask: no corner is cut, no pixel lost. Holes and detached parts are kept. The polygons are valid in
the sense of the Simple Features specification: parts that touch at a corner only are parts of
their own, and rings never touch themselves.

Coordinates are (row, column) with pixel centres at integers, vertices therefore at halves. Formats
that put the corner of the first pixel at (0, 0) add 0.5. Polygons of others, which need not follow
pixel edges, are filled by pixel centres and the even-odd rule: the border of the mask is then
within 0.5 px of the polygon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ExchangeError

Ring = NDArray[np.float64]
_STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])  # right, down, left, up


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """One connected part of a mask.

    Parameters
    ----------
    shell : ndarray of float64, shape (N, 2)
        (row, column) of its outer ring, clockwise as displayed; the first vertex is not repeated.
    holes : tuple of ndarray of float64, shape (M, 2)
        The rings of its holes, anticlockwise.
    """

    shell: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The outer ring and those of the holes."""
        return (self.shell, *self.holes)


def trace(mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> list[Polygon]:
    """Trace a mask along its pixel edges.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object, or the part of the plane that holds all of it.
    corner : tuple of int
        Row and column of the mask's first pixel in the plane.

    Returns
    -------
    list of Polygon
        One for each part that is connected along rows and columns. Straight stretches have
        vertices at their ends only.
    """
    from scipy import ndimage

    if not mask.any():
        return []
    parts, count = ndimage.label(np.pad(np.asarray(mask, bool), 1))
    shells: list[Ring | None] = [None] * count
    holes: list[list[Ring]] = [[] for _ in range(count)]
    # lattice point (i, j) is the upper left corner of padded pixel (i, j)
    offset = np.subtract(corner, 1.5)
    for part, lattice in _rings(parts):
        ring = lattice.astype(np.float64) + offset
        if _signed_area(ring) > 0:
            shells[part - 1] = ring
        else:
            holes[part - 1].append(ring)
    return [
        Polygon(shell, tuple(inner))
        for shell, inner in zip(shells, holes, strict=True)
        if shell is not None
    ]


def fill(rings: Iterable[ArrayLike], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill rings by the even-odd rule: a pixel belongs to them if its centre does.

    Exact for rings along pixel edges. Where a centre lies on a border, the object on its right or
    below owns it, so that neighbours share no pixel.

    Parameters
    ----------
    rings : iterable of array-like, each of shape (N, 2)
        (row, column); closed by themselves, in any direction. What lies beside the plane is cut.
    shape : tuple of int
        Rows and columns of the plane.

    Returns
    -------
    ndarray of bool, shape `shape`

    Raises
    ------
    ExchangeError
        If a coordinate is not a finite number, or a ring is none.
    """
    height, width = shape
    flips = np.zeros((height, width + 1), bool)
    for ring in rings:
        vertices = checked_ring(ring)
        first, second = vertices, np.roll(vertices, -1, axis=0)
        downwards = (first[:, 0] <= second[:, 0])[:, None]
        # both directions of an edge are computed alike, so that doubled edges cancel out exactly
        top, bottom = np.where(downwards, first, second), np.where(downwards, second, first)
        start = np.clip(np.ceil(top[:, 0]), 0, height).astype(np.intp)
        stop = np.clip(np.ceil(bottom[:, 0]), 0, height).astype(np.intp)
        lengths = np.maximum(stop - start, 0)
        edge = np.repeat(np.arange(len(lengths)), lengths)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + start[edge]
        top, bottom = top[edge], bottom[edge]
        slope = (bottom[:, 1] - top[:, 1]) / (bottom[:, 0] - top[:, 0])
        column = top[:, 1] + (row - top[:, 0]) * slope
        crossing = np.clip(np.ceil(column), 0, width).astype(np.intp)
        np.logical_xor.at(flips, (row, crossing), True)
    return np.logical_xor.accumulate(flips, axis=1)[:, :width]


def fill_patch(
    rings: Sequence[ArrayLike], shape: tuple[int, int]
) -> tuple[int, int, NDArray[np.bool_]]:
    """Fill rings within their bounding box only.

    Returns
    -------
    row, column : int
        Where in the plane.
    mask : ndarray of bool
        May have no pixels, where all of it lies beside the plane.
    """
    checked = [checked_ring(ring) for ring in rings]
    if not checked:
        return 0, 0, np.zeros((0, 0), bool)
    points = np.concatenate(checked)
    low = np.clip(np.floor(points.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 1, low, shape).astype(int)
    size = int(high[0] - low[0]), int(high[1] - low[1])
    return int(low[0]), int(low[1]), fill([ring - low for ring in checked], size)


def keyhole(polygon: Polygon) -> Ring:
    """Join the rings of a polygon to a single one, for formats that know no holes.

    Each hole hangs on a bridge of no width that is walked there and back, which adds and takes
    away nothing under the even-odd rule.

    Returns
    -------
    ndarray of float64, shape (N, 2)
    """
    joined = polygon.shell
    for hole in polygon.holes:
        # from the hole's first vertex to the nearest one that is joined already
        near = int(((joined - hole[0]) ** 2).sum(axis=1).argmin())
        bridge = joined[near : near + 1]
        joined = np.concatenate([joined[: near + 1], hole, hole[:1], bridge, joined[near + 1 :]])
    return joined


def checked_ring(ring: ArrayLike) -> Ring:
    """Return a ring as float64 (N, 2), or say what is wrong with it.

    Raises
    ------
    ExchangeError
        If it has other than two coordinates per vertex, or one that is not finite.
    """
    try:
        vertices = np.asarray(ring, np.float64)
    except (TypeError, ValueError) as error:
        raise ExchangeError(f'a polygon is a list of (x, y) numbers; {error}') from None
    if vertices.ndim != 2 or vertices.shape[1] != 2 or len(vertices) < 3:
        raise ExchangeError(
            f'a polygon has at least 3 vertices of 2 coordinates; got the shape {vertices.shape}'
        )
    if not np.isfinite(vertices).all():
        raise ExchangeError('the coordinates of a polygon are finite; got NaN or infinity')
    # beyond this, differences of coordinates are not exact any more
    return np.clip(vertices, -(2.0**40), 2.0**40)


def _signed_area(ring: Ring) -> float:
    """Return twice the area, positive where the ring is clockwise as displayed."""
    closed = np.concatenate([ring, ring[:1]])
    row, column = closed[:, 0], closed[:, 1]
    return float(np.dot(column[:-1], row[1:]) - np.dot(row[:-1], column[1:]))


def _rings(parts: NDArray[np.int32]) -> Iterable[tuple[int, NDArray[np.int64]]]:
    """Give the part and the lattice corners of each ring of a padded picture of parts.

    The border of every pixel is walked clockwise, along those edges that have background on the
    other side. Where two pixels of one part meet at a corner the walk crosses over (the background
    is parted there by the way round through the part), else it stays at its pixel: in both cases
    no ring comes through a point twice.
    """
    height, width = parts.shape
    inside = parts > 0
    out = np.zeros((4, height * width), bool)  # by direction and lattice point of departure
    above, right, below, left = (inside.copy() for _ in range(4))
    above[1:] &= ~inside[:-1]
    below[:-1] &= ~inside[1:]
    left[:, 1:] &= ~inside[:, :-1]
    right[:, :-1] &= ~inside[:, 1:]
    shifts = (0, 1, width + 1, width)
    for heading, (border, shift) in enumerate(
        zip((above, right, below, left), shifts, strict=True)
    ):
        out[heading, np.flatnonzero(border) + shift] = True
    direction, tail = np.nonzero(out)
    head = tail + _STEPS[direction] @ np.array([width, 1])
    flat = parts.ravel()
    owner = flat[tail - np.array(shifts)[direction]]
    number = np.full((4, height * width), -1, np.intp)
    number[direction, tail] = np.arange(len(tail))
    turned_right, straight, turned_left = (
        number[(direction + turn) % 4, head] for turn in (1, 0, 3)
    )
    both = (turned_right >= 0) & (turned_left >= 0)
    following = np.where(straight >= 0, straight, np.where(both, turned_right, turned_left))
    following = np.where((turned_right >= 0) & ~both, turned_right, following)
    crossing = both & (owner == owner[turned_left])
    following = np.where(crossing, turned_left, following)
    succeed, turns = following.tolist(), direction.tolist()
    seen = bytearray(len(succeed))
    for start in range(len(succeed)):
        if seen[start]:
            continue
        corners, edge, before = [], start, -1
        while not seen[edge]:
            seen[edge] = 1
            if turns[edge] != before:
                corners.append(edge)
                before = turns[edge]
            edge = succeed[edge]
        if turns[start] == before:  # the walk began in the middle of a straight stretch
            corners = corners[1:]
        points = tail[corners]
        yield int(owner[start]), np.stack(np.divmod(points, width), axis=1)

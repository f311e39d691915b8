"""Drawings: outlined masks on a grid that is small enough to be drawn anew all the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .annotator import Prediction
from .frame import Frame
from .outline import CONTOUR, TINT, contour_width, outline
from .patch import Patch

# A layer is uploaded as a whole whenever it changes: beyond these, it is drawn in coarser pixels.
CANDIDATE_GRID = 4096
HOVER_GRID = 512
# So candidates have a layer of a few tiles, whose size seldom changes from one to the next.
_TILE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """An outlined mask, and where it is to be drawn.

    Parameters
    ----------
    values : ndarray of uint8, shape (h, w)
        Of `outline.TINT` and `outline.CONTOUR`.
    corner : tuple of (int, int)
        Row and column of the first of them in the grid.
    grid : tuple of (int, int)
        Rows and columns over the area of the frame; fewer than its own where it is drawn coarsely.
    frame : Frame
        The part of the plane that the grid covers.
    """

    values: NDArray[np.uint8]
    corner: tuple[int, int]
    grid: tuple[int, int]
    frame: Frame

    @property
    def n_pixels(self) -> int:
        """Size of the object in pixels of the plane; an estimate where it is drawn coarsely."""
        ratio = self.frame.height * self.frame.width / (self.grid[0] * self.grid[1])
        return round(int(np.count_nonzero(self.values)) * ratio)

    @property
    def extent(self) -> tuple[float, float, float, float] | None:
        """First row and column of the object in the plane, and those behind the last; if any."""
        ends = []
        offsets = (self.frame.row, self.frame.column)
        for axis, corner, offset in zip((1, 0), self.corner, offsets, strict=True):
            found = np.flatnonzero(self.values.any(axis=axis))
            if not found.size:
                return None
            step = self.frame.shape[1 - axis] / self.grid[1 - axis]
            first, last = int(found[0]) + corner, int(found[-1]) + 1 + corner
            ends.append((offset + first * step, offset + last * step))
        (top, bottom), (left, right) = ends
        return top, left, bottom, right


def draw_patch(patch: Patch, limit: int = CANDIDATE_GRID) -> Drawing:
    """Draw a patch of a plane: pixel by pixel round the object, or coarser beyond `limit`."""
    frame = Frame.whole(patch.shape)
    shown = _resampled(patch, grid_within(patch.shape, limit))
    values = outline(shown.mask, contour_width(shown.shape))
    if shown.shape != patch.shape:
        return Drawing(values, shown.corner, shown.shape, frame)
    tiles = []
    for first, count, side in zip(shown.corner, values.shape, shown.shape, strict=True):
        start = min(first, side - 1) // _TILE * _TILE
        stop = min(side, max(-(-(first + count) // _TILE) * _TILE, start + _TILE))
        tiles.append((start, stop))
    (top, bottom), (left, right) = tiles
    frame = Frame(top, left, bottom - top, right - left)
    row, column = shown.corner
    return Drawing(values, (row - top, column - left), frame.shape, frame)


def draw_hover(prediction: Prediction, prompted_only: bool, limit: int = HOVER_GRID) -> Drawing:
    """Draw the mask of a hover, decided on the logits and not at full size."""
    grid = grid_within(prediction.frame.shape, limit)
    patch = prediction.coarse_patch(grid, prompted_only=prompted_only)
    return Drawing(outline(patch.mask, 1), patch.corner, grid, prediction.frame)


def draw_labels(
    labels: NDArray[np.integer],
    corner: tuple[int, int],
    shape: tuple[int, int],
    limit: int = CANDIDATE_GRID,
) -> Drawing:
    """Draw many objects of a plane, each with its outline: pixel by pixel, or coarser.

    Parameters
    ----------
    labels : ndarray of int, shape (h, w)
        The objects, on the part of the plane that holds them all; 0 is nothing.
    corner : tuple of (int, int)
        Row and column of the first of these pixels in the plane.
    shape : tuple of (int, int)
        Rows and columns of the plane.
    limit : int
        Beyond so many pixels along its longer side the plane is drawn in coarser ones.
    """
    rows, columns = (slice(at, at + side) for at, side in zip(corner, labels.shape, strict=True))
    grid = grid_within(shape, limit)
    at, inner = _on_grid(rows, columns, labels, shape, grid)
    padded = np.pad(inner, 1)
    edge = np.zeros(inner.shape, bool)
    height, width = inner.shape
    for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
        edge |= padded[row : row + height, column : column + width] != inner
    values = np.where(inner > 0, np.where(edge, CONTOUR, TINT), 0).astype(np.uint8)
    return Drawing(values, at, grid, Frame.whole(shape))


def grid_within(shape: tuple[int, int], limit: int) -> tuple[int, int]:
    """Return rows and columns of a grid over a region: its own, or fewer, of the same aspect."""
    longest = max(shape)
    if longest <= limit:
        return shape
    rows, columns = (max(1, round(side * limit / longest)) for side in shape)
    return rows, columns


def _resampled(patch: Patch, grid: tuple[int, int]) -> Patch:
    """Return the patch on another grid, by the pixel under the centre of each new one."""
    if grid == patch.shape:
        return patch
    (row, column), mask = _on_grid(patch.rows, patch.columns, patch.mask, patch.shape, grid)
    height, width = mask.shape
    return Patch(slice(row, row + height), slice(column, column + width), mask, grid)


def _on_grid(
    rows: slice,
    columns: slice,
    values: NDArray[Any],
    shape: tuple[int, int],
    grid: tuple[int, int],
) -> tuple[tuple[int, int], NDArray[Any]]:
    """Return a part of a plane on another grid, and where it begins there."""
    if grid == shape:
        return (rows.start, columns.start), values
    corner, sources = [], []
    for part, side, count in zip((rows, columns), shape, grid, strict=True):
        places = ((np.arange(count) + 0.5) * side / count).astype(np.intp)
        start, stop = (int(n) for n in np.searchsorted(places, (part.start, part.stop)))
        corner.append(start)
        sources.append(places[start:stop] - part.start)
    return (corner[0], corner[1]), values[np.ix_(*sources)]

"""Masks in full size from the decoder's logits, where the sign of a logit is not known already.

The model's own way is to enlarge the logits to its square, to cut the padding away, and to resize
what is left to the picture, both times bilinearly: for 2048 × 2048 pixels 5 million interpolations
per mask. But a bilinear value lies between its neighbours. So where all logits that a tile of the
picture depends on have the same sign, the mask is known, and only the tiles that the contour runs
through are interpolated.

numpy only: the engine needs this without a model too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# The decoder's logits have a quarter of the side of the model's square.
_STRIDE = 4
# Tiles are about as large as this many model pixels: six logits, so that few of them are mixed, and
# the three logits around that they depend on as well stay few.
_TILE = 24
# Mixed tiles interpolated at a time; each of them is 40 KiB at 4096 × 4096.
_AT_ONCE = 64


@lru_cache(maxsize=8)
def upscaler(side: int, input_size: tuple[int, int], original_size: tuple[int, int]) -> Upscaler:
    """Return the `Upscaler` of a geometry; that of a picture is wanted again with every mask."""
    return Upscaler(side, input_size, original_size)


class Upscaler:
    """Turns logits of a padded square into a mask of the original picture.

    Parameters
    ----------
    side : int
        Rows and columns of the logits; the square has four times as many.
    input_size : tuple of (int, int)
        The part of the square that holds the picture; the rest is padding.
    original_size : tuple of (int, int)
        Rows and columns of the picture.

    Raises
    ------
    ValueError
        If the part is larger than the square.
    """

    def __init__(
        self, side: int, input_size: tuple[int, int], original_size: tuple[int, int]
    ) -> None:
        if max(input_size) > _STRIDE * side:
            raise ValueError(
                f'expected an input of at most {_STRIDE * side} pixels a side, the square; got '
                f'{input_size}'
            )
        self._rows, self._columns = (
            _Tiles(side, resized, original)
            for resized, original in zip(input_size, original_size, strict=True)
        )

    def above(
        self, logits: NDArray[np.float32], threshold: float = 0.0
    ) -> tuple[slice, slice, NDArray[np.bool_]]:
        """Find where the enlarged logits exceed a threshold.

        Parameters
        ----------
        logits : ndarray of float32, shape (side, side)
            Finite.
        threshold : float
            SAM's is 0.

        Returns
        -------
        rows, columns : slice
            The smallest rectangle of the picture that holds all such pixels; empty if none.
        mask : ndarray of bool
            The mask there.
        """
        rows, columns = self._rows, self._columns
        over = logits > threshold
        # Tiles beside the rectangle of these logits are known to be empty.
        down, across = (
            axis.near(np.logical_or.reduce(over, other))
            for axis, other in ((rows, 1), (columns, 0))
        )
        if down.start == down.stop or across.start == across.stop:
            return slice(0, 0), slice(0, 0), np.zeros((0, 0), bool)
        by_row, by_column = rows.support[down], columns.support[across]
        first = int(by_column[0, 0])
        near = logits[:, first : int(by_column[-1, -1]) + 1][by_row]
        touched, certain = (
            pick(pick(near, axis=1)[:, by_column - first], axis=2) > threshold
            for pick in (np.max, np.min)
        )
        # Whole tiles, also where the picture ends within one.
        tiles = np.zeros((len(by_row), rows.size, len(by_column), columns.size), bool)
        y, x = certain.nonzero()
        tiles[y, :, x] = True
        all_y, all_x = (touched & ~certain).nonzero()
        for start in range(0, len(all_y), _AT_ONCE):
            y, x = all_y[start : start + _AT_ONCE], all_x[start : start + _AT_ONCE]
            local = logits[by_row[y][:, :, None], by_column[x][:, None, :]]
            enlarged = rows.weights[down][y] @ local @ columns.weights[across][x].transpose(0, 2, 1)
            tiles[y, :, x] = enlarged > threshold
        mask = tiles.reshape(len(by_row) * rows.size, -1)
        top, left = down.start * rows.size, across.start * columns.size
        return _tight(top, left, mask[: rows.length - top, : columns.length - left])


class _Tiles:
    """One axis of a picture, cut into tiles, and how each depends on the logits.

    Attributes
    ----------
    length, size : int
        Pixels of the axis and of a tile; the last tile may be shorter.
    support : ndarray of int, shape (tiles, S)
        The logits that a tile depends on.
    weights : ndarray of float32, shape (tiles, size, S)
        How much each pixel depends on each of them. Zero for pixels beyond the end.
    """

    def __init__(self, side: int, resized: int, original: int) -> None:
        self.length = original
        self.size = max(16, -(-original * _TILE // resized))
        first, weights = _composed(side, resized, original)
        starts = first[:: self.size]
        pixels = np.arange(original)
        tile, offset = pixels // self.size, pixels % self.size
        reach = first - starts[tile]  # from the tile's first logit to the pixel's
        width = int(reach.max()) + 3
        self.support = np.minimum(starts[:, None] + np.arange(width), side - 1)
        self.weights = np.zeros((len(starts), self.size, width), np.float32)
        for step in range(3):
            self.weights[tile, offset, reach + step] = weights[:, step]
        # As lists: bisect finds a number in them sooner than numpy does.
        self._starts, self._ends = self.support[:, 0].tolist(), self.support[:, -1].tolist()

    def near(self, over: NDArray[np.bool_]) -> slice:
        """Find the tiles that depend on any of some logits, (side,), and those in between."""
        first = int(over.argmax())
        if not over[first]:
            return slice(0, 0)
        last = len(over) - 1 - int(over[::-1].argmax())
        stop = bisect_right(self._starts, last)
        return slice(min(bisect_left(self._ends, first), stop), stop)


def bilinear_taps(
    source: int, target: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return for each target position its two neighbours and the weight of the second.

    Corners are not aligned, and nothing is smoothed when shrinking: what
    ``torch.nn.functional.interpolate(mode='bilinear', align_corners=False)`` does along one axis.
    All in float32 like there, so that the weights agree to the last bit.
    """
    scale = np.float32(source) / np.float32(target)
    position = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    position = np.maximum(position, np.float32(0))
    below = np.minimum(position.astype(np.intp), source - 1)
    above = np.minimum(below + 1, source - 1)
    return below, above, position - below.astype(np.float32)


def _composed(
    side: int, resized: int, original: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the first logit that each pixel depends on, and the weights of it and the next two.

    A pixel lies between two neighbours in the square, and each of these between two logits.
    """
    low, high, between = bilinear_taps(side, _STRIDE * side)
    before, after, part = bilinear_taps(resized, original)
    first = low[before]
    weights = np.zeros((original, 3), np.float32)
    pixels = np.arange(original)
    for place, share in ((before, np.float32(1) - part), (after, part)):
        for logit, weight in ((low, np.float32(1) - between), (high, between)):
            weights[pixels, logit[place] - first] += share * weight[place]
    return first, weights


def _tight(top: int, left: int, mask: NDArray[np.bool_]) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Cut empty borders off."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 0), slice(0, 0), mask[:0, :0]
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    tight = np.ascontiguousarray(mask[y0:y1, x0:x1])
    return slice(top + y0, top + y1), slice(left + x0, left + x1), tight

"""Bilinear enlargement of the decoder's logits, in the steps in which SAM does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The decoder's logits have a quarter of the side of the model's square.
_STRIDE = 4


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


def _interpolate_rows(values: NDArray[np.float32], target: int) -> NDArray[np.float32]:
    """Linearly interpolate along the first axis to `target` positions."""
    if target == len(values):
        return values
    below, above, weight = bilinear_taps(len(values), target)
    result: NDArray[np.float32] = values[below] * (np.float32(1) - weight)[:, None]
    result += values[above] * weight[:, None]
    return result


class Upscaler:
    """Turns logits of a padded square into a mask of the original picture.

    Both steps are linear and separable, so each axis is one matrix; rows and columns that cannot
    reach a positive logit are left out: the mask of a cell costs a small part of a full one.

    Parameters
    ----------
    side : int
        Rows and columns of the logits; the square has four times as many.
    input_size : tuple of (int, int)
        The part of the square that holds the picture; the rest is padding.
    original_size : tuple of (int, int)
        Rows and columns of the picture.
    """

    def __init__(
        self, side: int, input_size: tuple[int, int], original_size: tuple[int, int]
    ) -> None:
        square = _STRIDE * side
        if max(input_size) > square:
            raise ValueError(f'input size {input_size} exceeds the square of {square} pixels')
        to_square = _interpolate_rows(np.eye(side, dtype=np.float32), square)
        self._rows, self._columns = (
            _interpolate_rows(to_square[:resized], original)
            for resized, original in zip(input_size, original_size, strict=True)
        )

    def above(
        self, logits: NDArray[np.float32], threshold: float
    ) -> tuple[slice, slice, NDArray[np.bool_]]:
        """Return where the enlarged logits exceed a threshold: rows, columns and the mask there."""
        # An interpolated value is a mean of its sources: without one above, it cannot be above.
        positive = np.asarray(logits > threshold)
        rows = _reached(self._rows, np.flatnonzero(positive.any(axis=1)))
        columns = _reached(self._columns, np.flatnonzero(positive.any(axis=0)))
        enlarged = self._rows[rows] @ logits @ self._columns[columns].T
        return rows, columns, enlarged > threshold


def _reached(matrix: NDArray[np.float32], positive: NDArray[np.intp]) -> slice:
    hits = np.flatnonzero((matrix[:, positive] > 0).any(axis=1))
    return slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 0)

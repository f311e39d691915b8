"""How stable a mask is, and the few logits that are needed to see it. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .masks import Upscaler


def stability(
    logits: NDArray[np.float32], scale: Upscaler, threshold: float, offset: float
) -> float:
    """Tell how little a mask changes when its threshold moves, in pixels of the picture.

    Parameters
    ----------
    logits
        (S, S).
    scale
        Enlarges them.
    threshold, offset
        The mask's threshold, and how far it moves up and down.

    Returns
    -------
    float
        Area above the upper threshold over that above the lower one; NaN if both are empty.
    """
    upper, lower = (
        int(np.count_nonzero(scale.above(logits, threshold + sign * offset)[2])) for sign in (1, -1)
    )
    return upper / lower if lower else float('nan')


def estimated_stability(
    inside: NDArray[np.float32], threshold: float, offset: float
) -> tuple[float, float]:
    """Estimate the stability on the logits, and say by how much that may be wrong.

    `inside` are the logits without the padding.
    """
    outer = np.count_nonzero(inside > threshold - offset)
    if not outer:
        return float('nan'), np.inf
    estimate = np.count_nonzero(inside > threshold + offset) / outer
    # The fewer logits, the more it matters on which side of a contour their centres lie.
    return float(estimate), 0.05 + 1 / float(np.sqrt(outer))


@dataclass(frozen=True, slots=True, eq=False)
class CroppedLogits:
    """Logits of a mask without what lies far beside it: a cell's take 2 KB instead of 256.

    Attributes
    ----------
    part
        (h, w) float32.
    row, column
        Where it begins.
    side
        Rows and columns of the whole.
    level
        What the rest is at most.
    """

    part: NDArray[np.float32]
    row: int
    column: int
    side: int
    level: float

    @classmethod
    def of(cls, logits: NDArray[np.float32], level: float) -> CroppedLogits:
        """Keep what is needed to see where the enlarged logits exceed a level, or a higher one."""
        above = logits > level
        rows, columns = (np.flatnonzero(above.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return cls(np.zeros((0, 0), np.float32), 0, 0, len(logits), level)
        # A pixel depends on three neighbouring logits along each axis.
        top, left = (max(0, int(hits[0]) - 2) for hits in (rows, columns))
        part = logits[top : rows[-1] + 3, left : columns[-1] + 3].copy()
        return cls(part, top, left, len(logits), level)

    def whole(self) -> NDArray[np.float32]:
        """Return (side, side) logits that exceed the level, and higher ones, where these do."""
        # Clearly below the level: of numbers that equal it, a mean may be rounded to above it.
        whole = np.full((self.side, self.side), self.level - 1, np.float32)
        height, width = self.part.shape
        whole[self.row : self.row + height, self.column : self.column + width] = self.part
        return whole

"""How a mask is drawn: a contour, and a tint inside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINT, CONTOUR = 1, 2


def contour_width(shape: tuple[int, int]) -> int:
    """Return a width in pixels that can be seen when a plane of this shape fills a window."""
    return max(1, round(max(shape) / 400))


def outline(mask: NDArray[np.bool_], width: int) -> NDArray[np.uint8]:
    """Draw a mask as `CONTOUR` pixels along its inner border and `TINT` pixels inside.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object, or the part of a plane that holds all of it: the contour closes along the
        border of the array.
    width : int
        Width of the contour in pixels.

    Returns
    -------
    ndarray of uint8, shape (h, w)
    """
    drawing = np.zeros(mask.shape, dtype=np.uint8)
    inner = np.pad(mask, 1)
    for _ in range(width):
        core = inner.copy()
        core[1:] &= inner[:-1]
        core[:-1] &= inner[1:]
        core[:, 1:] &= inner[:, :-1]
        core[:, :-1] &= inner[:, 1:]
        inner = core
    drawing[mask] = CONTOUR
    drawing[inner[1:-1, 1:-1]] = TINT
    return drawing

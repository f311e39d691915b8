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


def outline(
    mask: NDArray[np.bool_],
    shape: tuple[int, int],
    corner: tuple[int, int] = (0, 0),
    width: int | None = None,
) -> NDArray[np.uint8]:
    """Draw a mask as `CONTOUR` pixels along its inner border and `TINT` pixels inside.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object, or the part of the plane that holds all of it.
    shape : tuple of int
        (H, W) of the plane.
    corner : tuple of int
        Row and column of the mask's first pixel in the plane.
    width : int, optional
        Width of the contour in pixels, by default `contour_width` of the plane.

    Returns
    -------
    ndarray of uint8, shape (H, W)
    """
    plane = np.zeros(shape, dtype=np.uint8)
    row, column = corner
    height, length = mask.shape
    if not mask.any():
        return plane
    # Padded, so that the contour closes along the border of the patch and of the plane.
    inner = np.pad(mask, 1)
    for _ in range(contour_width(shape) if width is None else width):
        core = inner.copy()
        core[1:] &= inner[:-1]
        core[:-1] &= inner[1:]
        core[:, 1:] &= inner[:, :-1]
        core[:, :-1] &= inner[:, 1:]
        inner = core
    patch = plane[row : row + height, column : column + length]
    patch[mask] = CONTOUR
    patch[inner[1:-1, 1:-1]] = TINT
    return plane

"""Thumbnails: an object and what surrounds it, a few pixels large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MARGIN = 0.25
"""How much of the surroundings belongs to a thumbnail, in parts of the object's longer side."""


def thumbnail(
    mask: NDArray[np.bool_],
    pixels: NDArray[Any] | None,
    colour: tuple[int, int, int],
    side: int = 48,
) -> NDArray[np.uint8]:
    """Draw an object in a square.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object, with as much of its surroundings as is to be seen.
    pixels : ndarray of shape (h, w) or (h, w, 3 or 4), optional
        The picture there, of any dtype. Without it the mask alone is drawn.
    colour : tuple of int
        Red, green and blue of the outline, 0 to 255.
    side : int
        Rows and columns of the thumbnail.

    Returns
    -------
    ndarray of uint8, shape (side, side, 3)
    """
    height, width = mask.shape
    longer = max(height, width, 1)
    # Where each pixel of the thumbnail lies in the mask; the shorter side is centred.
    step = longer / side
    rows = np.floor((np.arange(side) + 0.5) * step - (longer - height) / 2).astype(int)
    columns = np.floor((np.arange(side) + 0.5) * step - (longer - width) / 2).astype(int)
    inside = np.ix_(np.clip(rows, 0, max(height - 1, 0)), np.clip(columns, 0, max(width - 1, 0)))
    beside = ((rows < 0) | (rows >= height))[:, None] | ((columns < 0) | (columns >= width))[None]
    small = mask[inside] & ~beside if mask.size else np.zeros((side, side), bool)
    picture = np.zeros((side, side, 3), np.uint8)
    if pixels is None:
        picture[small] = 160
    elif mask.size:
        values = np.asarray(pixels[inside])
        values = np.where(np.isfinite(values), values, 0).astype(np.float64)
        low, high = np.percentile(values[~beside], (0.5, 99.5))
        grey = np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255
        picture[...] = grey[..., :3] if grey.ndim == 3 else grey[..., None]
        picture[beside] = 0
    padded = np.pad(small, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    picture[small & ~core] = colour
    return picture

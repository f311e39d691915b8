"""Square pixels: pictures of anisotropic voxels, stretched before a model sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Pixels that are square up to this are left as they are, to the last bit.
_SQUARE = 0.02


def square_pixels(
    picture: NDArray[np.uint8], spacing: tuple[float, float], side: int
) -> NDArray[np.uint8]:
    """Stretch a picture until its pixels are square.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        The picture.
    spacing : tuple of (float, float)
        Size of a pixel along rows and columns, in one unit.
    side : int
        What the model sees: a picture is not stretched beyond it, or its own longer side.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        The picture itself where its pixels are square already.
    """
    finest = min(spacing)
    if max(spacing) <= finest * (1 + _SQUARE):
        return picture
    height, width = (
        pixels * size / finest for pixels, size in zip(picture.shape[:2], spacing, strict=True)
    )
    shrink = min(1.0, max(side, *picture.shape[:2]) / max(height, width))
    from PIL import Image

    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    stretched = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(stretched)

"""A picture with objects in it: what a model is sure of decides how much there is to draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.data import coins
from skimage.transform import resize

#: Row and column of a coin, in parts of the sides.
COIN = (200 / 1024, 150 / 1024)


def coin_picture(side: int = 1024) -> NDArray[np.uint8]:
    """Return a photograph of coins, (side, side, 3)."""
    grey = resize(coins()[:, :303], (side, side), preserve_range=True).round().astype(np.uint8)
    return np.stack([grey] * 3, axis=-1)

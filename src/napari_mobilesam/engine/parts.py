"""Connected parts of a mask: which of them the prompts speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .geometry import round_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .prompts import Prompts


def prompted_parts(
    mask: NDArray[np.bool_], prompts: Prompts, corner: tuple[int, int] = (0, 0)
) -> NDArray[np.bool_]:
    """Keep the connected parts of a mask that the prompts speak of.

    These are the parts under positive points, and those that lie in the box with more than half of
    their pixels. A mask without such a part is kept whole, so that there is always something to
    correct.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object, or the part of the plane that holds all of it.
    prompts : Prompts
        In (row, column) pixels of the plane.
    corner : tuple of int
        Row and column of the mask's first pixel in the plane.

    Returns
    -------
    ndarray of bool, shape (h, w)
        Parts are connected along rows and columns.
    """
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    wanted = np.zeros(count + 1, bool)
    for point, positive in zip(prompts.points, prompts.positive, strict=True):
        row, column = np.subtract(round_index(point), corner)
        if positive and 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
            wanted[parts[row, column]] = True
    if prompts.box is not None:
        first = np.maximum(np.subtract(round_index(prompts.box[:2]), corner), 0)
        last = np.maximum(np.subtract(round_index(prompts.box[2:]), corner) + 1, 0)
        inside = parts[first[0] : last[0], first[1] : last[1]]
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        wanted |= 2 * np.bincount(inside.ravel(), minlength=count + 1) > sizes
    wanted[0] = False
    kept: NDArray[np.bool_] = wanted[parts] if wanted.any() else mask
    return kept

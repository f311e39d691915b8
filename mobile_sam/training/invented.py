"""Invented objects: ellipses that nothing in the picture hints at, for boxes alone to tell.

Where objects are a few model pixels large, blurred, or pressed together, the corners of a box say
more about an outline than the picture does. Pictures teach that slowly: most boxes hold a bright
thing whose outline can be seen. So now and then the answer wanted is an ellipse that touches all
four sides of a box drawn anywhere; whoever answers that has learnt what the corners mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST, LARGEST = 8.0, 72.0
"""Lengths of axes, model pixels; at most 0.8 of the view they are answered in."""

NOBODY = -1
"""Label of an object that is not among those of the window."""


def draw_invented(
    tokens: int, step: float, view_side: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw an ellipse in a window, small ones as often as large ones.

    Parameters
    ----------
    tokens : int
        Target pixels along the window's side.
    step : float
        Model pixels per target pixel.
    view_side : int
        Model pixels of the view that it has to fit into.

    Returns
    -------
    ndarray, bool, (tokens, tokens)
        Nowhere empty, and wholly inside.
    """
    longest = min(LARGEST, 0.8 * view_side)
    long = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(longest))))
    short = max(SMALLEST / 2, long * rng.uniform(0.35, 1.0))
    angle = rng.uniform(0, np.pi)
    side = tokens * step
    row, col = rng.uniform(long / 2 + step, side - long / 2 - step, 2)
    middles = (np.arange(tokens) + 0.5) * step
    down, right = middles[:, None] - row, middles[None, :] - col
    along = np.cos(angle) * right + np.sin(angle) * down
    across = np.cos(angle) * down - np.sin(angle) * right
    mask: NDArray[np.bool_] = (2 * along / long) ** 2 + (2 * across / short) ** 2 <= 1
    mask[int(row / step), int(col / step)] = True
    return mask

"""Non-maximum suppression of boxes, in numpy.

torchvision has one too, but importing ``torchvision.ops`` brings triton with it, whose LLVM crashes
a process that draws with Mesa's (see `mobile_sam.modeling.common.StochasticDepth`); and for the few
thousand boxes of one picture this one is as fast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def non_maximum_suppression(
    boxes: NDArray[np.number], scores: NDArray[np.number], threshold: float
) -> NDArray[np.intp]:
    """Keep the boxes that no better one overlaps by more than a threshold.

    Parameters
    ----------
    boxes : ndarray, shape (N, 4)
        x0, y0, x1, y1 (or rows and columns instead); the area is (x1 - x0) · (y1 - y0).
    scores : ndarray, shape (N,)
        Higher is better; of equals, the first is the better one.
    threshold : float
        Of intersection over union.

    Returns
    -------
    ndarray of int
        Indices of those kept, the best first.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    order = np.argsort(-np.asarray(scores, np.float64), kind='stable')
    low, high = corners[order, :2], corners[order, 2:]
    areas = (high - low).prod(axis=1)
    waiting = np.arange(len(order))
    kept = []
    while waiting.size:
        best, waiting = waiting[0], waiting[1:]
        kept.append(order[best])
        sides = np.minimum(high[best], high[waiting]) - np.maximum(low[best], low[waiting])
        shared = np.maximum(sides, 0).prod(axis=1)
        union = areas[best] + areas[waiting] - shared
        # Two boxes without area share all of nothing: neither suppresses the other.
        waiting = waiting[shared <= threshold * union]
    return np.array(kept, np.intp)

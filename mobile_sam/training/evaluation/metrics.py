"""Numbers that compare masks and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""IoU from which a found object counts as the true one: 0.5, 0.55 … 0.95."""


def iou(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union of masks (N, H, W) with their targets; 0 where both are empty."""
    overlap = (found & wanted).sum((1, 2))
    union = (found | wanted).sum((1, 2))
    ratio: NDArray[np.float64] = overlap / np.maximum(union, 1)
    return ratio


def clicks_until(ious: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """Clicks until a threshold is reached.

    Parameters
    ----------
    ious : ndarray, (N, K)
        IoU after 1 … K clicks.
    threshold : float

    Returns
    -------
    ndarray, int64, (N,)
        1 … K; K + 1 where K clicks were not enough.
    """
    reached = ious >= threshold
    clicks: NDArray[np.int64] = np.where(
        reached.any(1), reached.argmax(1) + 1, ious.shape[1] + 1
    ).astype(np.int64)
    return clicks


def precision(
    found: NDArray[np.int32], wanted: NDArray[np.int32], thresholds: Sequence[float] = THRESHOLDS
) -> NDArray[np.float64]:
    """Average precision of a segmentation at IoU thresholds of at least 0.5.

    As in the 2018 Data Science Bowl (Caicedo et al. 2019) and in Cellpose: true positives divided
    by true positives, false positives and false negatives. Its mean over 0.5, 0.55 … 0.95 is
    called mSA.

    Parameters
    ----------
    found, wanted : ndarray, int, (H, W)
        Labels, 0 for background.

    Returns
    -------
    ndarray, (len(thresholds),)
        1 where there is nothing to find and nothing was found.
    """
    # Imported here, as it adds a warning filter to the process.
    from scipy.optimize import linear_sum_assignment

    first, second = _numbered(wanted), _numbered(found)
    rows, cols = (int(labels.max(initial=0)) + 1 for labels in (first, second))
    table = np.bincount(first * cols + second, minlength=rows * cols).reshape(rows, cols)
    union = table.sum(1)[:, None] + table.sum(0)[None] - table
    ratio = (table / np.maximum(union, 1))[1:, 1:]
    # Pairs below the lowest threshold must not keep better ones from each other.
    ratio = np.where(ratio >= min(thresholds), ratio, 0)
    pairs = ratio[linear_sum_assignment(-ratio)]
    total = rows - 1 + cols - 1
    if not total:
        return np.ones(len(thresholds))
    hits = np.array([(pairs >= t).sum() for t in thresholds])
    values: NDArray[np.float64] = hits / (total - hits)
    return values


def _numbered(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return flat labels renumbered 1 … n without gaps; background stays 0."""
    # The zero that is appended makes background the first value even where there is none.
    _, numbers = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    return np.asarray(numbers[:-1], np.int64)

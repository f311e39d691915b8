"""Measures of segmented volumes: overlap with the truth, average precision, drift of areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def overlap_table(truth: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """Return the intersection over union of all pairs of labels.

    Parameters
    ----------
    truth, found : ndarray of int
        Labels of one shape, 0 being the background.

    Returns
    -------
    ndarray of float64, shape (N, M)
        Rows: labels of `truth` in ascending order, columns: those of `found`.
    """
    if truth.shape != found.shape:
        raise ValueError(f'expected labels of one shape; got {truth.shape} and {found.shape}')
    true_ids, true_index = np.unique(truth, return_inverse=True)
    found_ids, found_index = np.unique(found, return_inverse=True)
    counts = np.bincount(
        true_index.ravel() * len(found_ids) + found_index.ravel(),
        minlength=len(true_ids) * len(found_ids),
    ).reshape(len(true_ids), len(found_ids))
    union = counts.sum(axis=1)[:, None] + counts.sum(axis=0)[None] - counts
    table: NDArray[np.float64] = (counts / union)[true_ids != 0][:, found_ids != 0]
    return table


def average_precision(truth: NDArray[Any], found: NDArray[Any], threshold: float = 0.5) -> float:
    """Return TP / (TP + FP + FN), objects being matched one to one at an overlap of `threshold`.

    Notes
    -----
    The measure of the 2018 Data Science Bowl; J. C. Caicedo et al., Nature Methods 16 (2019)
    1247-1253. 1 where there is nothing and nothing was found.
    """
    from scipy.optimize import linear_sum_assignment

    table = overlap_table(truth, found)
    if 0 in table.shape:
        return 1.0 if max(table.shape) == 0 else 0.0
    rows, columns = linear_sum_assignment(np.where(table >= threshold, table, 0), maximize=True)
    hits = int(np.count_nonzero(table[rows, columns] >= threshold))
    return hits / (table.shape[0] + table.shape[1] - hits)


@dataclass(frozen=True, slots=True)
class Drift:
    """How areas change towards the ends of an object, compared with the truth.

    Parameters
    ----------
    near, far : float
        Found over true area, summed over the third of the true slices that is nearest to, and
        farthest from, the slice that was given. 1 is right.
    overshoot : float
        Slices with a mask beyond the true ones, as a part of the number of true slices.
    """

    near: float
    far: float
    overshoot: float

    @property
    def growth(self) -> float:
        """How much masks grow on the way out: `far` over `near`, minus 1."""
        return self.far / self.near - 1 if self.near else 0.0


def area_drift(truth: NDArray[Any], found: NDArray[Any], given: int) -> Drift:
    """Measure whether an object grows or shrinks on its way through a stack.

    Parameters
    ----------
    truth, found : ndarray of bool, shape (slices, H, W)
        One object.
    given : int
        The slice from which it was followed; one of the true ones.
    """
    true_areas = truth.reshape(len(truth), -1).sum(axis=1)
    found_areas = found.reshape(len(found), -1).sum(axis=1)
    slices = np.flatnonzero(true_areas)
    order = slices[np.argsort(np.abs(slices - given), kind='stable')]
    third = max(1, len(order) // 3)
    near, far = order[:third], order[-third:]
    return Drift(
        near=float(found_areas[near].sum() / true_areas[near].sum()),
        far=float(found_areas[far].sum() / true_areas[far].sum()),
        overshoot=float(np.count_nonzero(found_areas * (true_areas == 0)) / len(slices)),
    )

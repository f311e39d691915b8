"""Overlap rules, free ids, and many masks painted into one plane."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import DTypeLike, NDArray


class LabelOverflowError(OverflowError):
    """A labels image has no room for another id."""


class OverlapRule(Enum):
    """Who owns the pixels that two objects claim."""

    KEEP = 'keep'
    """The object that is there keeps them."""
    REPLACE = 'replace'
    """The new object takes them."""
    ASK = 'ask'
    """Nobody, before the user said who."""


def paint_masks(
    masks: Sequence[NDArray[np.bool_]],
    scores: Sequence[float] | NDArray[np.floating],
    shape: tuple[int, int],
    rule: OverlapRule = OverlapRule.REPLACE,
) -> NDArray[np.int32]:
    """Paint many masks into one labels plane; ``masks[i]`` gets the id ``i + 1``.

    Parameters
    ----------
    masks : sequence of ndarray of bool, shape (H, W)
        None, one or many.
    scores : sequence of float
        One for each mask. NaN counts as the worst.
    shape : tuple of (int, int)
        Rows and columns of the plane.
    rule : OverlapRule
        ``REPLACE``: painted by ascending score, so the better one owns an overlap (the later of
        equals). ``KEEP``: painted in the given order, and what is painted stays.

    Returns
    -------
    ndarray of int32, shape (H, W)
        0 where no mask is. A mask that is covered entirely does not appear.

    Raises
    ------
    ValueError
        If numbers or shapes do not fit.
    """
    if len(masks) != len(scores):
        raise ValueError(f'each mask needs a score; got {len(masks)} masks, {len(scores)} scores')
    labels = np.zeros(shape, np.int32)
    values = np.asarray(scores, np.float64)
    order = np.argsort(np.where(np.isnan(values), -np.inf, values), kind='stable')
    if rule is OverlapRule.KEEP:
        order = np.arange(len(masks))
    for i in order:
        mask = np.asarray(masks[i], bool)
        if mask.shape != labels.shape:
            raise ValueError(f'expected masks of {labels.shape}; mask {i} has {mask.shape}')
        labels[mask & (labels == 0) if rule is OverlapRule.KEEP else mask] = i + 1
    return labels


def next_label(maximum: int, dtype: DTypeLike) -> int:
    """Return the id after `maximum`, the largest one used so far (0 for none).

    Raises
    ------
    LabelOverflowError
        If an image of `dtype` cannot hold it.
    TypeError
        If `dtype` is not an integer type.
    """
    kind = np.dtype(dtype)
    if kind.kind not in 'iu':
        raise TypeError(f'labels are integers; got an image of dtype {kind}')
    label = max(int(maximum), 0) + 1
    limit = int(np.iinfo(kind).max)
    if label > limit:
        raise LabelOverflowError(
            f'id {label} does not fit into labels of dtype {kind}, which end at {limit}; '
            'convert the labels layer to int32 (Layers > Convert data type)'
        )
    return label

"""Commits: which pixels of a labels plane an accepted mask gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

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


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """A change to a labels plane: ``plane[rows, columns][mask] = label``.

    Parameters
    ----------
    rows, columns : slice
        The bounding box of the change, tight; empty slices where there is nothing to do.
    mask : ndarray of bool
        The pixels to write, of the bounding box's shape.
    label : int
        The id to write.
    n_pixels : int
        How many pixels are written.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.bool_]
    label: int
    n_pixels: int

    def __bool__(self) -> bool:
        return self.n_pixels > 0

    def pixels(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows and columns, in the plane, of all pixels to write."""
        rows, columns = np.nonzero(self.mask)
        return rows + int(self.rows.start), columns + int(self.columns.start)


def plan_commit(
    mask: NDArray[np.bool_],
    existing: Any,
    label: int,
    rule: OverlapRule = OverlapRule.KEEP,
    *,
    replaceable: int = 0,
) -> Edit:
    """Plan the writing of a mask into a labels plane; nothing is written.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        The accepted mask.
    existing : array-like of int, shape (H, W)
        The labels plane; lazy arrays will do, as only the mask's bounding box is read.
    label : int
        Id of the object, 1 or more.
    rule : OverlapRule
        What happens where other objects are.
    replaceable : int
        An id whose pixels count as free under ``KEEP`` (background always does): that of the object
        being edited.

    Returns
    -------
    Edit
        Falsy if no pixel is to be written.

    Raises
    ------
    ValueError
        If the shapes differ or the label is not positive.
    LabelOverflowError
        If the plane's dtype cannot hold the label.
    """
    mask = np.asarray(mask, bool)
    shape = tuple(existing.shape)
    if mask.ndim != 2 or mask.shape != shape:
        raise ValueError(f'mask and labels plane have one shape (H, W); got {mask.shape}, {shape}')
    if label < 1:
        raise ValueError(f'ids of objects start at 1, 0 being the background; got {label}')
    next_label(label - 1, existing.dtype)
    rows, columns = _bounding_box(mask)
    inside = mask[rows, columns]
    if rule is OverlapRule.KEEP and inside.size:
        present = np.asarray(existing[rows, columns])
        free = (present == 0) | (present == label)
        if replaceable:
            free |= present == replaceable
        inside = inside & free
        tight_rows, tight_columns = _bounding_box(inside)
        inside = inside[tight_rows, tight_columns]
        rows, columns = _shifted(tight_rows, rows.start), _shifted(tight_columns, columns.start)
    inside = inside.copy()
    return Edit(rows, columns, inside, int(label), int(np.count_nonzero(inside)))


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


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    first, last = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[first:last].any(axis=0))
    return slice(first, last), slice(int(columns[0]), int(columns[-1]) + 1)


def _shifted(box: slice, by: int) -> slice:
    return slice(box.start + by, box.stop + by) if box.stop > box.start else slice(0, 0)

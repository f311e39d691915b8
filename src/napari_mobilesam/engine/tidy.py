"""Tidy masks: smoothed, holes filled, specks and lesser parts removed. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TidyOptions:
    """What is done to a mask, in this order, before it is shown and committed.

    Parameters
    ----------
    remove_specks : int
        Connected parts with fewer pixels go, unless that is all there is; 0 removes none.
    largest_part : bool
        Only the largest connected part stays.
    fill_holes : bool
        Background that does not reach the outside becomes object.
    smooth : int
        Radius in pixels within which the outline is smoothed; 0 leaves it as it is.

    Raises
    ------
    ValueError
        If a number is negative.
    """

    remove_specks: int = 0
    largest_part: bool = False
    fill_holes: bool = False
    smooth: int = 0

    def __post_init__(self) -> None:
        if self.remove_specks < 0 or self.smooth < 0:
            raise ValueError(f'sizes are 0 or more; got {self}')

    def __bool__(self) -> bool:
        return bool(self.remove_specks or self.largest_part or self.fill_holes or self.smooth)


def tidy(mask: NDArray[np.bool_], options: TidyOptions) -> NDArray[np.bool_]:
    """Return a tidied mask.

    Parameters
    ----------
    mask : ndarray of bool, any number of axes
        What lies beyond its border is taken for background. It is not changed.
    options : TidyOptions
        What to do.

    Returns
    -------
    ndarray of bool
        Of the same shape. Never empty if `mask` was not: where smoothing would erase everything,
        it is left out.
    """
    from scipy import ndimage

    mask = np.asarray(mask, bool)
    if not options or not mask.any():
        return mask
    if options.largest_part or options.remove_specks:
        parts, count = ndimage.label(mask)
        if count > 1:
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            wanted = sizes >= options.remove_specks
            if options.largest_part or not wanted[1:].any():
                wanted = np.arange(count + 1) == sizes.argmax()
            wanted[0] = False
            mask = wanted[parts]
    if options.fill_holes:
        mask = ndimage.binary_fill_holes(mask)
    if options.smooth:
        smoothed = _smoothed(mask, options.smooth)
        mask = smoothed if smoothed.any() else mask
    return mask


def tidy_patch(
    rows: slice,
    columns: slice,
    mask: NDArray[np.bool_],
    shape: tuple[int, int],
    options: TidyOptions,
) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Tidy the part of a plane that holds a mask; it grows where smoothing needs room.

    Parameters
    ----------
    rows, columns : slice
        Where in the plane.
    mask : ndarray of bool, (h, w)
        The mask there.
    shape : tuple of int
        Rows and columns of the plane.
    options : TidyOptions
        What to do.
    """
    if not options or not mask.any():
        return rows, columns, mask
    room = options.smooth
    parts = []
    margins = []
    for part, side, limit in zip((rows, columns), mask.shape, shape, strict=True):
        start = part.start or 0
        before, after = min(room, start), min(room, limit - start - side)
        margins.append((before, after))
        parts.append(slice(start - before, start + side + after))
    return parts[0], parts[1], tidy(np.pad(mask, margins), options)


def _smoothed(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Let the majority within a Gaussian neighbourhood decide.

    The border of the array is no edge of the object: an object cut by the border of the picture
    stays cut there.
    """
    from scipy import ndimage

    weight = ndimage.gaussian_filter(
        mask.astype(np.float32), radius / 2, mode='nearest', truncate=3.0
    )
    result: NDArray[np.bool_] = weight > 0.5
    return result

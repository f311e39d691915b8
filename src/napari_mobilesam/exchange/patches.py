"""Patches: the parts of labels that hold the pixels of one object on one plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The pixels of an object on one plane.

    Parameters
    ----------
    label : int
        Id of the object.
    index : tuple of int
        Position of the plane on the leading axes, all but the last two.
    row, column : int
        Where the mask's first pixel lies in the plane.
    mask : ndarray of bool, shape (h, w)
        The pixels, within a tight box.
    """

    label: int
    index: tuple[int, ...]
    row: int
    column: int
    mask: NDArray[np.bool_]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))


def patches(labels: NDArray[Any]) -> Iterator[Patch]:
    """Give all objects of labels (..., H, W), plane by plane and by ascending id."""
    for index in np.ndindex(labels.shape[:-2]):
        yield from patches_of_plane(labels[index], index)


def patches_of_plane(plane: NDArray[Any], index: tuple[int, ...]) -> Iterator[Patch]:
    """Give the objects of one plane (H, W) at a position, by ascending id."""
    from scipy import ndimage

    ids, compact = np.unique(plane, return_inverse=True)
    if not len(ids):
        return
    first = int(ids[0] == 0)  # so that the background, where there is any, becomes 0
    numbers = compact.reshape(plane.shape).astype(np.int32) + (1 - first)
    boxes = ndimage.find_objects(numbers)
    for number, (label, box) in enumerate(zip(ids[first:], boxes, strict=True), 1):
        assert box is not None
        mask = numbers[box] == number
        yield Patch(int(label), index, int(box[0].start), int(box[1].start), mask)

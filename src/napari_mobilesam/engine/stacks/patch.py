"""Mask patches: a mask of one plane, kept as its bounding box only, one bit a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine.prompts import Box


@dataclass(frozen=True, slots=True, eq=False)
class MaskPatch:
    """The pixels of one object on one plane. Make one with `cut`.

    Parameters
    ----------
    row, column : int
        The upper left pixel of the bounding box, in the plane.
    height, width : int
        Rows and columns of the bounding box; 0 for an empty mask.
    bits : ndarray of uint8
        The box, packed by `numpy.packbits`: a stack of thousands of objects stays small.
    area : int
        Number of pixels.
    """

    row: int
    column: int
    height: int
    width: int
    bits: NDArray[np.uint8]
    area: int

    @classmethod
    def cut(cls, mask: NDArray[np.bool_], row: int = 0, column: int = 0) -> MaskPatch:
        """Cut the bounding box out of a mask.

        Parameters
        ----------
        mask : ndarray of bool, shape (h, w)
            A plane, or a part of it.
        row, column : int
            Where the part begins in the plane; may be negative if no pixel there is set.
        """
        mask = np.asarray(mask, bool)
        rows = np.flatnonzero(mask.any(axis=1))
        if not rows.size:
            return cls(0, 0, 0, 0, np.zeros(0, np.uint8), 0)
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[top:bottom].any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        box = mask[top:bottom, left:right]
        bits = np.packbits(box)
        bits.flags.writeable = False
        return cls(
            row + top,
            column + left,
            bottom - top,
            right - left,
            bits,
            int(np.count_nonzero(box)),
        )

    def __bool__(self) -> bool:
        return self.area > 0

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask within the bounding box; a new array of shape (height, width)."""
        count = self.height * self.width
        return np.unpackbits(self.bits, count=count).reshape(self.height, self.width).astype(bool)

    @property
    def rows(self) -> slice:
        """Which rows of the plane."""
        return slice(self.row, self.row + self.height)

    @property
    def columns(self) -> slice:
        """Which columns of the plane."""
        return slice(self.column, self.column + self.width)

    @property
    def box(self) -> Box:
        """First and last row and column as a prompt: (row0, column0, row1, column1)."""
        return (
            float(self.row),
            float(self.column),
            float(self.row + self.height - 1),
            float(self.column + self.width - 1),
        )

    @property
    def centroid(self) -> tuple[float, float]:
        """Mean row and column of the pixels."""
        rows, columns = np.nonzero(self.mask)
        return float(rows.mean()) + self.row, float(columns.mean()) + self.column

    @property
    def radius(self) -> float:
        """Radius of the disc of the same area, in pixels."""
        return float(np.sqrt(self.area / np.pi))

    def touches_border(self, shape: tuple[int, int]) -> bool:
        """Whether a pixel lies on the outermost rows or columns of a plane."""
        return bool(self) and (
            self.row <= 0
            or self.column <= 0
            or self.row + self.height >= shape[0]
            or self.column + self.width >= shape[1]
        )

    def within(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Return the mask on another part of the plane, which may lie partly beside the plane."""
        part = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        top, bottom = max(rows.start, self.row), min(rows.stop, self.row + self.height)
        left = max(columns.start, self.column)
        right = min(columns.stop, self.column + self.width)
        if top < bottom and left < right:
            own = self.mask[
                top - self.row : bottom - self.row, left - self.column : right - self.column
            ]
            part[
                top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
            ] = own
        return part

    def full(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the mask on the whole plane."""
        return self.within(slice(0, shape[0]), slice(0, shape[1]))

    def clipped(self, shape: tuple[int, int]) -> MaskPatch:
        """Return what of it lies on a plane of that shape."""
        if (
            self.row >= 0
            and self.column >= 0
            and self.row + self.height <= shape[0]
            and self.column + self.width <= shape[1]
        ):
            return self
        return MaskPatch.cut(self.full(shape))

    def shifted(self, rows: int, columns: int) -> MaskPatch:
        """Return it moved by whole pixels."""
        return MaskPatch(
            self.row + rows, self.column + columns, self.height, self.width, self.bits, self.area
        )


def union_box(patches: list[MaskPatch], margin: int = 0) -> tuple[slice, slice]:
    """Return the rows and columns that hold all of some patches, with a margin round them."""
    present = [patch for patch in patches if patch]
    if not present:
        return slice(0, 0), slice(0, 0)
    return (
        slice(
            min(patch.row for patch in present) - margin,
            max(patch.row + patch.height for patch in present) + margin,
        ),
        slice(
            min(patch.column for patch in present) - margin,
            max(patch.column + patch.width for patch in present) + margin,
        ),
    )


def common_area(one: MaskPatch, other: MaskPatch) -> int:
    """Count the pixels that two masks of one plane share."""
    if (
        not one
        or not other
        or one.row >= other.row + other.height
        or other.row >= one.row + one.height
        or one.column >= other.column + other.width
        or other.column >= one.column + one.width
    ):
        return 0
    return int(np.count_nonzero(one.mask & other.within(one.rows, one.columns)))


def overlap(one: MaskPatch, other: MaskPatch) -> float:
    """Return the intersection over union of two masks of one plane; 0 where both are empty."""
    common = common_area(one, other)
    return common / (one.area + other.area - common) if common else 0.0

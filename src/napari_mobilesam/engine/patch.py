"""Patches: masks cut down to the part of a plane that holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A mask of a plane, stored as the rows and columns that hold all of its pixels.

    Whatever is done to an object (cleaning, drawing, writing) costs what the object is large, not
    what the plane is. This is the only place where a mask is pasted into a whole plane.

    Parameters
    ----------
    rows, columns : slice
        Where in the plane; not necessarily tight. Empty slices where nothing is object.
    mask : ndarray of bool
        The mask there.
    shape : tuple of (int, int)
        Rows and columns of the plane.

    Raises
    ------
    ValueError
        If the mask does not fill the rows and columns, or they lie beside the plane.
    """

    rows: slice
    columns: slice
    mask: NDArray[np.bool_]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        sides = tuple(part.stop - part.start for part in (self.rows, self.columns))
        ends = (self.rows.stop, self.columns.stop)
        if self.mask.shape != sides or min(self.corner) < 0 or np.greater(ends, self.shape).any():
            raise ValueError(
                f'expected a mask that fills rows {self.rows} and columns {self.columns} of a '
                f'plane of {self.shape}; got one of {self.mask.shape}'
            )

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Patch:
        """Cut a mask of a whole plane, (H, W), to its bounding box."""
        sides = []
        for axis in (1, 0):
            found = np.flatnonzero(mask.any(axis=axis))
            sides.append(slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0))
        return cls(sides[0], sides[1], mask[sides[0], sides[1]], (mask.shape[0], mask.shape[1]))

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the mask's first pixel in the plane."""
        return int(self.rows.start), int(self.columns.start)

    @property
    def n_pixels(self) -> int:
        """Size of the object."""
        return int(np.count_nonzero(self.mask))

    def with_mask(self, mask: NDArray[np.bool_]) -> Patch:
        """Return another mask in the same place."""
        return replace(self, mask=mask)

    def full(self) -> NDArray[np.bool_]:
        """Return the mask of the whole plane, bool (H, W)."""
        plane = np.zeros(self.shape, bool)
        plane[self.rows, self.columns] = self.mask
        return plane

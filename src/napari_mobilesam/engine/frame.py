"""Frames: the region of a plane that one embedding covers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .prompts import Prompts


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle of whole pixels on a plane.

    Between plane and frame everything is translated here: prompts on their way in, masks on
    their way out.

    Parameters
    ----------
    row, column : int
        The frame's upper left pixel, in (row, column) of the plane.
    height, width : int
        Its pixels along rows and columns; at least one.

    Raises
    ------
    ValueError
        If it begins beside the plane or has no pixels.
    """

    row: int
    column: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, int(getattr(self, name)))
        if min(self.row, self.column) < 0 or min(self.height, self.width) < 1:
            raise ValueError(f'a frame starts at 0 or later and has pixels; got {self}')

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Frame:
        """Return the frame that is the whole plane."""
        return cls(0, 0, *shape)

    @classmethod
    def around(
        cls, row0: float, column0: float, row1: float, column1: float, shape: tuple[int, int]
    ) -> Frame:
        """Return the smallest frame that holds a rectangle, cut at the plane's border.

        Parameters
        ----------
        row0, column0, row1, column1 : float
            Opposite corners in coordinates of the plane, in any order.
        shape : tuple of (int, int)
            Rows and columns of the plane.

        Raises
        ------
        ValueError
            If no pixel of the plane lies in the rectangle.
        """
        edges = []
        for first, second, size in ((row0, row1, shape[0]), (column0, column1, shape[1])):
            low, high = sorted((first, second))
            # pixel i reaches from i - 0.5 to i + 0.5
            start, stop = max(0, floor(low + 0.5)), min(size, ceil(high + 0.5))
            if start >= stop:
                raise ValueError(
                    f'expected a rectangle that meets the plane of {shape} pixels; got rows '
                    f'{row0:g}..{row1:g}, columns {column0:g}..{column1:g}'
                )
            edges.append((start, stop))
        (top, bottom), (left, right) = edges
        return cls(top, left, bottom - top, right - left)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def rows(self) -> slice:
        """Which rows of the plane."""
        return slice(self.row, self.row + self.height)

    @property
    def columns(self) -> slice:
        """Which columns of the plane."""
        return slice(self.column, self.column + self.width)

    def holds(self, prompts: Prompts) -> bool:
        """Whether all points, the whole box and what a mask has inside lie within the frame."""
        corners = list(prompts.points)
        if prompts.box is not None:
            corners += [prompts.box[:2], prompts.box[2:]]
        if prompts.mask is not None:
            corners += prompts.mask.extent
        return all(
            self.row - 0.5 <= row <= self.row + self.height - 0.5
            and self.column - 0.5 <= column <= self.column + self.width - 0.5
            for row, column in corners
        )

    def localised(self, prompts: Prompts, size: tuple[int, int]) -> Prompts:
        """Turn prompts from pixels of the plane into those of the frame's picture.

        Parameters
        ----------
        prompts : Prompts
            In (row, column) pixels of the plane.
        size : tuple of (int, int)
            Rows and columns of the picture that was encoded: smaller than the frame where it was
            read from a coarser level.
        """
        if self.row == self.column == 0 and size == self.shape:
            return prompts
        rows, columns = size[0] / self.height, size[1] / self.width

        def local(row: float, column: float) -> tuple[float, float]:
            return (
                (row - self.row + 0.5) * rows - 0.5,
                (column - self.column + 0.5) * columns - 0.5,
            )

        box, mask = prompts.box, prompts.mask
        return replace(
            prompts,
            points=tuple(local(*point) for point in prompts.points),
            box=None if box is None else (*local(*box[:2]), *local(*box[2:])),
            mask=None if mask is None else mask.cropped(self.rows, self.columns, size),
            drawn=(),
        )

    def on_plane(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Turn rows and columns of the frame into those of the plane; empty slices stay empty."""
        return (
            slice((rows.start or 0) + self.row, (rows.stop or 0) + self.row),
            slice((columns.start or 0) + self.column, (columns.stop or 0) + self.column),
        )

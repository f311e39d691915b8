"""Series: all planes along one axis of an image, none of them read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from napari_mobilesam.engine.plane import PlaneSource


class PlaneSeries(Sequence[PlaneSource]):
    """The planes that a slider goes through: z, t, or the y of an XZ view.

    Asked twice for a position it gives the same object, so that an `Annotator` knows it again.

    Parameters
    ----------
    source : PlaneSource
        One of the planes; the others are alike in all but the position.
    axis : int
        The axis of the image to go along; one that the plane does not display.

    Raises
    ------
    ValueError
        If that axis is displayed or does not exist.
    """

    def __init__(self, source: PlaneSource, axis: int) -> None:
        if axis not in source.key.indexed:
            raise ValueError(
                f'a series runs along an axis that is not displayed, one of {source.key.indexed}; '
                f'got axis {axis}'
            )
        self._source = source
        self._axis = axis
        self._place = source.key.indexed.index(axis)
        self._made: dict[int, PlaneSource] = {source.key.index[self._place]: source}

    @property
    def axis(self) -> int:
        """The axis of the image that it runs along."""
        return self._axis

    @property
    def position(self) -> int:
        """Where the plane lies that the series was made of."""
        return self._source.key.index[self._place]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of each plane."""
        return self._source.shape

    def __len__(self) -> int:
        return int(self._source.array.shape[self._axis])

    @overload
    def __getitem__(self, index: int) -> PlaneSource: ...

    @overload
    def __getitem__(self, index: slice) -> list[PlaneSource]: ...

    def __getitem__(self, index: int | slice) -> PlaneSource | list[PlaneSource]:
        if isinstance(index, slice):
            return [self[position] for position in range(len(self))[index]]
        position = range(len(self))[index]
        if position not in self._made:
            places = list(self._source.key.index)
            places[self._place] = position
            key = replace(self._source.key, index=tuple(places))
            whole = replace(self._source.whole, key=key)
            frame = self._source.frame
            self._made[position] = whole if frame is None else whole.framed(frame)
        return self._made[position]

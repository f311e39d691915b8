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
        If that axis is displayed or does not exist, or the picture is blended from images that
        have other slices.
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
        for channel in source.whole.channels:
            own = channel.source
            own_axis = axis - source.key.ndim + own.key.ndim
            if (
                own_axis not in own.key.indexed
                or own.array.shape[own_axis] != source.array.shape[axis]
                or own.key.index[own.key.indexed.index(own_axis)] != self.position
            ):
                raise ValueError(
                    'a picture made of several layers can be followed only where all of them have '
                    'the same slices; choose "this layer" as the picture'
                )

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

    def place_of(self, source: PlaneSource) -> int | None:
        """Return at which position a plane lies; None where the series has no such picture."""
        if source.key.displayed != self._source.key.displayed:
            return None
        position = source.key.index[self._place] if len(source.key.index) > self._place else -1
        if not 0 <= position < len(self):
            return None
        return position if self[position].same_picture(source) else None

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
            whole = self._at(position)
            frame = self._source.frame
            self._made[position] = whole if frame is None else whole.framed(frame)
        return self._made[position]

    def _at(self, position: int) -> PlaneSource:
        """Return the whole plane at a position, with all that its picture is blended from."""
        whole, axis = self._source.whole, self._axis
        channels = tuple(
            replace(
                channel,
                source=_moved(channel.source, axis - whole.key.ndim, position),
            )
            for channel in whole.channels
        )
        return replace(_moved(whole, axis - whole.key.ndim, position), channels=channels)


def _moved(source: PlaneSource, axis: int, position: int) -> PlaneSource:
    """Return a source at another position along an axis, counted from the last one."""
    axis += source.key.ndim
    places = list(source.key.index)
    places[source.key.indexed.index(axis)] = position
    return replace(source, key=replace(source.key, index=tuple(places)))

"""Edits of one object along a slider: cut it above or below, delete it, fill it in.

Nothing is written here: each function returns `LabelEdit` values, which are applied, undone and
recorded as one step. Slices are read one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine.edits import LabelEdit
from napari_mobilesam.engine.plane import PlaneKey
from napari_mobilesam.engine.regions import Region

from .patch import MaskPatch, union_box
from .shapes import between


@dataclass(frozen=True, slots=True)
class LabelSlices:
    """The slices of a labels array that a slider of the image goes through.

    All places are those of the image's planes, rows and columns as displayed: labels may be
    turned, cropped or moved against the image. Make one for labels of the image's own pixels with
    `of`.

    Parameters
    ----------
    labels : array-like of int
        The labels, with any number of axes; read by basic indexing.
    axes : tuple of (int, int)
        The labels' axes along rows and columns of the image's planes.
    index : tuple of int
        The labels' indices; those at `axes` and `axis` mean nothing.
    axis : int
        The labels' axis along the slider.
    offset : tuple of (int, int, int)
        The labels pixel under row 0 and column 0 of the image's plane at position 0.
    shape : tuple of (int, int)
        Rows and columns of the image's planes.
    count : int
        How many planes the image has along the slider.

    Raises
    ------
    ValueError
        If the slider's axis is displayed, or the labels have another number of axes.
    """

    labels: Any
    axes: tuple[int, int]
    index: tuple[int, ...]
    axis: int
    offset: tuple[int, int, int]
    shape: tuple[int, int]
    count: int

    def __post_init__(self) -> None:
        ndim = len(self.labels.shape)
        if len(self.index) != ndim:
            raise ValueError(
                f'expected labels of {len(self.index)} axes; got {tuple(self.labels.shape)}'
            )
        if self.axis in self.axes or not 0 <= self.axis < ndim:
            raise ValueError(
                f'a slider goes along an axis that is not displayed; axes {self.axes} of {ndim} '
                f'are, and the slider is on {self.axis}'
            )

    @classmethod
    def of(cls, labels: Any, key: PlaneKey, axis: int) -> LabelSlices:
        """Return the slices of labels that have the image's own pixels.

        Parameters
        ----------
        labels : array-like of int
            The labels.
        key : PlaneKey
            The plane on display.
        axis : int
            The axis of the slider.
        """
        if len(labels.shape) != key.ndim:
            raise ValueError(f'expected labels of {key.ndim} axes; got {tuple(labels.shape)}')
        index = [0] * key.ndim
        for indexed, place in zip(key.indexed, key.index, strict=True):
            index[indexed] = place
        rows, columns = (int(labels.shape[shown]) for shown in key.displayed)
        count = int(labels.shape[axis]) if 0 <= axis < key.ndim else 0
        return cls(labels, key.displayed, tuple(index), axis, (0, 0, 0), (rows, columns), count)

    def __len__(self) -> int:
        return self.count

    def read(self, position: int) -> NDArray[Any]:
        """Read one slice: (H, W) as displayed, 0 beside the labels."""
        return self.part(position, slice(0, self.shape[0]), slice(0, self.shape[1]))

    def part(self, position: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a part of a slice into a new array, as `read` does the whole."""
        part = np.zeros((rows.stop - rows.start, columns.stop - columns.start), self.labels.dtype)
        where, within = self._place(position, rows, columns)
        if where is not None:
            values = np.asarray(self.labels[where])
            part[within] = values if self.axes[0] < self.axes[1] else values.T
        return part

    def mask(self, position: int, label: int) -> MaskPatch:
        """Return an object on one slice."""
        return MaskPatch.cut(self.read(position) == label)

    def span(self, bounds: Region) -> range:
        """Return on which slices something within a region of the labels can be."""
        if len(bounds) != len(self.index):
            return range(self.count)
        first, last = (place - self.offset[2] for place in bounds[self.axis])
        return range(max(first, 0), min(last, self.count))

    def meets(self, bounds: Region) -> bool:
        """Whether something within a region of the labels can be on these slices."""
        return all(
            first <= self.index[axis] < last
            for axis, (first, last) in enumerate(bounds)
            if axis != self.axis and axis not in self.axes
        )

    def window(self, bounds: Region) -> tuple[slice, slice]:
        """Return the rows and columns of the planes on which that can be."""
        if len(bounds) != len(self.index):
            return slice(0, self.shape[0]), slice(0, self.shape[1])
        rows, columns = (
            slice(max(bounds[axis][0] - offset, 0), min(bounds[axis][1] - offset, side))
            for axis, offset, side in zip(self.axes, self.offset, self.shape, strict=False)
        )
        return rows, columns

    def region(self, position: int, patch: MaskPatch) -> Region:
        """Return where in the labels the bounding box of a mask on a slice is."""
        return self.place(position, patch.rows, patch.columns)

    def place(self, position: int, rows: slice, columns: slice) -> Region:
        """Return where in the labels rows and columns of a slice are."""
        region = [(place, place + 1) for place in self.index]
        region[self.axis] = (position + self.offset[2], position + self.offset[2] + 1)
        for axis, part, offset in zip(self.axes, (rows, columns), self.offset, strict=False):
            region[axis] = (part.start + offset, part.stop + offset)
        return tuple(region)

    def edit(
        self, position: int, rows: slice, columns: slice, after: NDArray[Any]
    ) -> LabelEdit | None:
        """Return the edit that gives a part of a slice new values; None if it changes nothing."""
        where, within = self._place(position, rows, columns)
        if where is None:
            return None
        start = [part.start if isinstance(part, slice) else part for part in where]
        shape = [part.stop - part.start if isinstance(part, slice) else 1 for part in where]
        values = after[within] if self.axes[0] < self.axes[1] else after[within].T
        before = np.asarray(self.labels[where])
        return LabelEdit.between(
            tuple(start), before.reshape(shape), values.astype(before.dtype).reshape(shape)
        )

    def _place(
        self, position: int, rows: slice, columns: slice
    ) -> tuple[tuple[Any, ...] | None, tuple[slice, slice]]:
        """Return where a part of a slice is in the labels, and where that is in the part."""
        index: list[Any] = list(self.index)
        index[self.axis] = position + self.offset[2]
        within = []
        for axis, part, offset in zip(self.axes, (rows, columns), self.offset, strict=False):
            low = max(part.start + offset, 0)
            high = max(min(part.stop + offset, int(self.labels.shape[axis])), low)
            index[axis] = slice(low, high)
            within.append(slice(low - offset - part.start, high - offset - part.start))
        inside = 0 <= index[self.axis] < int(self.labels.shape[self.axis])
        empty = any(index[axis].start == index[axis].stop for axis in self.axes)
        return (None if empty or not inside else tuple(index)), (within[0], within[1])


def delete_on(slices: LabelSlices, label: int, positions: Iterable[int]) -> list[LabelEdit]:
    """Delete an object on some slices.

    Parameters
    ----------
    slices : LabelSlices
        The labels.
    label : int
        The object.
    positions : iterable of int
        The slices; where it is not, nothing happens.

    Returns
    -------
    list of LabelEdit
        One for each slice that changes.
    """
    edits = []
    for position in positions:
        patch = slices.mask(position, label)
        if patch:
            values = slices.part(position, patch.rows, patch.columns)
            values[patch.mask] = 0
            edit = slices.edit(position, patch.rows, patch.columns, values)
            if edit is not None:
                edits.append(edit)
    return edits


def cut_above(slices: LabelSlices, label: int, position: int) -> list[LabelEdit]:
    """Delete an object on all slices after a position, on which it stays."""
    return delete_on(slices, label, range(position + 1, len(slices)))


def cut_below(slices: LabelSlices, label: int, position: int) -> list[LabelEdit]:
    """Delete an object on all slices before a position, on which it stays."""
    return delete_on(slices, label, range(position))


def ends_around(
    slices: LabelSlices, label: int, position: int, span: Iterable[int]
) -> tuple[int, int]:
    """Return the nearest slices before and after a position that have an object.

    Parameters
    ----------
    slices : LabelSlices
        The labels.
    label : int
        The object.
    position : int
        A slice; whether it has the object does not matter.
    span : iterable of int
        Where to look.

    Raises
    ------
    ValueError
        If it is not on both sides.
    """
    places = sorted(set(span))
    below = (place for place in reversed(places) if place < position)
    above = (place for place in places if place > position)
    before = next((place for place in below if slices.mask(place, label)), None)
    after = next((place for place in above if slices.mask(place, label)), None)
    if before is None or after is None:
        raise ValueError(
            f'object {label} is not on both sides of slice {position}: to fill between two slices '
            'it has to be on one before and on one after'
        )
    return before, after


def fill_between(slices: LabelSlices, label: int, first: int, last: int) -> list[LabelEdit]:
    """Give an object the shapes between those on two slices, by their signed distances.

    What it had in between is replaced. Other objects keep their pixels.

    Parameters
    ----------
    slices : LabelSlices
        The labels.
    label : int
        The object.
    first, last : int
        Two slices that have it, in any order.

    Returns
    -------
    list of LabelEdit
        One for each slice that changes.

    Raises
    ------
    ValueError
        If the object is missing on one of the two.
    """
    first, last = min(first, last), max(first, last)
    ends = {position: slices.mask(position, label) for position in (first, last)}
    for position, patch in ends.items():
        if not patch:
            raise ValueError(
                f'object {label} is not on slice {position}: to fill between two slices it has to '
                'be on both, so paint it there first'
            )
    edits = []
    for position in range(first + 1, last):
        plane = slices.read(position)
        part = (position - first) / (last - first)
        shape = between(ends[first], ends[last], part).clipped(slices.shape)
        rows, columns = union_box([shape, MaskPatch.cut(plane == label)])
        values = plane[rows, columns].copy()
        values[values == label] = 0
        values[shape.within(rows, columns) & (values == 0)] = label
        edit = slices.edit(position, rows, columns, values)
        if edit is not None:
            edits.append(edit)
    return edits

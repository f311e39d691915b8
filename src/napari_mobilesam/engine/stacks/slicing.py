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

from .patch import MaskPatch, union_box
from .shapes import between


@dataclass(frozen=True, slots=True)
class LabelSlices:
    """The slices of a labels array that a slider goes through.

    Parameters
    ----------
    labels : array-like of int
        The labels, with any number of axes; read by basic indexing.
    key : PlaneKey
        The plane on display: says which axes are displayed, and where on the others.
    axis : int
        The axis of the slider.

    Raises
    ------
    ValueError
        If the slider's axis is displayed, or the labels have another number of axes.
    """

    labels: Any
    key: PlaneKey
    axis: int

    def __post_init__(self) -> None:
        if self.axis not in self.key.indexed:
            raise ValueError(
                f'a slider goes along an axis that is not displayed, one of {self.key.indexed}; '
                f'got axis {self.axis}'
            )
        if len(self.labels.shape) != self.key.ndim:
            raise ValueError(
                f'expected labels of {self.key.ndim} axes; got {tuple(self.labels.shape)}'
            )

    def __len__(self) -> int:
        return int(self.labels.shape[self.axis])

    def read(self, position: int) -> NDArray[Any]:
        """Read one slice: (H, W), the axes in the order of the array, not of the display."""
        return np.asarray(self.labels[self._index(position)])

    def mask(self, position: int, label: int) -> MaskPatch:
        """Return an object on one slice."""
        return MaskPatch.cut(self.read(position) == label)

    def edit(
        self, position: int, rows: slice, columns: slice, after: NDArray[Any]
    ) -> LabelEdit | None:
        """Return the edit that gives a part of a slice new values; None if it changes nothing."""
        start = [0] * self.key.ndim
        shape = [1] * self.key.ndim
        for axis, place in zip(self.key.indexed, self.key.index, strict=True):
            start[axis] = position if axis == self.axis else place
        for axis, part in zip(sorted(self.key.displayed), (rows, columns), strict=True):
            start[axis], shape[axis] = part.start, part.stop - part.start
        before = self.read(position)[rows, columns]
        return LabelEdit.between(
            tuple(start), before.reshape(shape), after.astype(before.dtype).reshape(shape)
        )

    def _index(self, position: int) -> tuple[Any, ...]:
        index: list[Any] = [slice(None)] * self.key.ndim
        for axis, place in zip(self.key.indexed, self.key.index, strict=True):
            index[axis] = position if axis == self.axis else place
        return tuple(index)


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
            values = slices.read(position)[patch.rows, patch.columns].copy()
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
        shape = between(ends[first], ends[last], part).clipped((plane.shape[0], plane.shape[1]))
        rows, columns = union_box([shape, MaskPatch.cut(plane == label)])
        values = plane[rows, columns].copy()
        values[values == label] = 0
        values[shape.within(rows, columns) & (values == 0)] = label
        edit = slices.edit(position, rows, columns, values)
        if edit is not None:
            edits.append(edit)
    return edits

"""Linking: the objects found on each slice for itself become objects of the whole stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .patch import MaskPatch, overlap
from .shapes import between

# A link over a gap has to be so much better than one to the next slice, for each slice left out.
_GAP_FACTOR = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class SliceObject:
    """An object that was found on one slice.

    Parameters
    ----------
    index : int
        The slice.
    patch : MaskPatch
        Its pixels.
    score : float
        How sure the model is of it.
    """

    index: int
    patch: MaskPatch
    score: float


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Which objects of neighbouring slices are one, and which are kept.

    Parameters
    ----------
    min_score : float
        Objects of a slice below it are left out.
    min_area : int
        Likewise, in pixels.
    min_overlap : float
        Intersection over union from slice to slice, at least.
    max_gap : int
        An object may be missing on so many slices; its shape is filled in there.
    min_slices : int
        Objects of the stack with fewer slices are left out.

    Raises
    ------
    ValueError
        If a limit is negative, or an overlap of 0 would link what does not touch.
    """

    min_score: float = 0.0
    min_area: int = 1
    min_overlap: float = 0.25
    max_gap: int = 1
    min_slices: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.min_overlap <= 1:
            raise ValueError(f'min_overlap is more than 0 and at most 1; got {self.min_overlap}')
        if min(self.min_area, self.max_gap, self.min_slices) < 0:
            raise ValueError(f'areas, gaps and numbers of slices are not negative; got {self}')


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """An object of the stack.

    Parameters
    ----------
    members : tuple of SliceObject
        What it was linked from, by ascending slice.
    filled : bool
        Whether it is interpolated on slices between them; what is missing for a time is not.
    """

    members: tuple[SliceObject, ...]
    filled: bool = True

    @property
    def score(self) -> float:
        """Mean score of its slices, the larger ones counting for more."""
        areas = [member.patch.area for member in self.members]
        return float(np.average([member.score for member in self.members], weights=areas))

    @property
    def first(self) -> int:
        """Its lowest slice."""
        return self.members[0].index

    @property
    def last(self) -> int:
        """Its highest slice."""
        return self.members[-1].index

    def at(self, index: int) -> MaskPatch | None:
        """Return its mask on a slice, filled in where it is missing between two others."""
        for before, after in zip(self.members, self.members[1:], strict=False):
            if self.filled and before.index < index < after.index:
                part = (index - before.index) / (after.index - before.index)
                return between(before.patch, after.patch, part)
        for member in self.members:
            if member.index == index:
                return member.patch
        return None

    def masks(self) -> dict[int, MaskPatch]:
        """Return its masks by slice, the ones filled in included."""
        masks = {self.first: self.members[0].patch}
        for before, after in zip(self.members, self.members[1:], strict=False):
            gap = after.index - before.index
            for index in range(before.index + 1, after.index) if self.filled else ():
                masks[index] = between(before.patch, after.patch, (index - before.index) / gap)
            masks[after.index] = after.patch
        return masks


def link(
    slices: Mapping[int, Sequence[SliceObject]], options: LinkOptions | None = None
) -> list[Linked]:
    """Link the objects of slices to objects of the stack.

    From slice to slice the pairs with the largest sum of overlaps are linked, each object at most
    once, chains that paused for up to `max_gap` slices included.

    Parameters
    ----------
    slices : mapping of int to sequence of SliceObject
        By slice.
    options : LinkOptions, optional
        The limits.

    Returns
    -------
    list of Linked
        By their first slice.
    """
    from scipy.optimize import linear_sum_assignment

    options = LinkOptions() if options is None else options
    chains: list[list[SliceObject]] = []
    for index in sorted(slices):
        found = [
            one
            for one in slices[index]
            if one.score >= options.min_score and one.patch.area >= max(options.min_area, 1)
        ]
        ends = [chain for chain in chains if index - chain[-1].index <= options.max_gap + 1]
        likeness = _likeness([chain[-1] for chain in ends], found)
        rows, columns = linear_sum_assignment(likeness, maximize=True)
        linked = set()
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            gap = index - ends[row][-1].index - 1
            if likeness[row, column] >= options.min_overlap * _GAP_FACTOR**gap:
                ends[row].append(found[column])
                linked.add(column)
        chains += [[one] for number, one in enumerate(found) if number not in linked]
    return [Linked(tuple(chain)) for chain in chains if len(chain) >= options.min_slices]


def paint_linked(
    objects: Sequence[Linked], index: int, shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Return the labels of a slice; ``objects[i]`` has the id ``i + 1``, better ones lie on top."""
    labels = np.zeros(shape, np.int32)
    for number in sorted(range(len(objects)), key=lambda number: objects[number].score):
        one = objects[number]
        if one.first <= index <= one.last and (patch := one.at(index)) is not None:
            clipped = patch.clipped(shape)
            labels[clipped.rows, clipped.columns][clipped.mask] = number + 1
    return labels


def _likeness(ends: Sequence[SliceObject], found: Sequence[SliceObject]) -> NDArray[np.float64]:
    """Return the overlap of all pairs, less over gaps; most are told apart by their boxes."""
    likeness = np.zeros((len(ends), len(found)))
    if not ends or not found:
        return likeness
    first, second = (
        np.array(
            [
                (p.row, p.row + p.height, p.column, p.column + p.width)
                for p in (one.patch for one in group)
            ]
        )
        for group in (ends, found)
    )
    meet = (
        (first[:, None, 0] < second[None, :, 1])
        & (second[None, :, 0] < first[:, None, 1])
        & (first[:, None, 2] < second[None, :, 3])
        & (second[None, :, 2] < first[:, None, 3])
    )
    for row, column in np.argwhere(meet).tolist():
        gap = found[column].index - ends[row].index - 1
        value = overlap(ends[row].patch, found[column].patch)
        likeness[row, column] = value * _GAP_FACTOR**gap
    return likeness

"""Drafts: changes to a labels array that are planned and not written yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .edits import LabelEdit
from .regions import Region, disjoint, intersection, slices, within


@dataclass(frozen=True, slots=True, eq=False)
class _Page:
    region: Region
    before: NDArray[Any]
    after: NDArray[np.int64]


class Draft:
    """A labels array as it will be.

    Only the given regions are read, each pixel once.

    Parameters
    ----------
    labels : array-like of int
        Any number of axes; whatever has ``shape``, ``dtype`` and basic indexing.
    regions : sequence of Region
        Where changes will be written.
    """

    def __init__(self, labels: Any, regions: Sequence[Region]) -> None:
        self._labels = labels
        joined, member = disjoint(regions)
        self._pages = []
        for region in joined:
            before = np.asarray(labels[slices(region)])
            self._pages.append(_Page(region, before, before.astype(np.int64)))
        self._page_of = {
            region: self._pages[page] for region, page in zip(regions, member, strict=True)
        }

    def view(self, region: Region) -> NDArray[np.int64]:
        """Return one of the given regions, to be read and written in place."""
        page = self._page_of[region]
        return page.after[within(region, page.region)]

    def read(self, region: Region) -> NDArray[np.int64]:
        """Return a copy of any region, with the changes so far."""
        content = np.asarray(self._labels[slices(region)]).astype(np.int64)
        for page in self._pages:
            shared = intersection(region, page.region)
            if shared is not None:
                content[within(shared, region)] = page.after[within(shared, page.region)]
        return content

    def renumber(self, first: int, numbers: NDArray[np.int64]) -> None:
        """Replace each id ``first + i`` by ``numbers[i]``."""
        for page in self._pages:
            if len(numbers) == 1:
                np.copyto(page.after, numbers[0], where=page.after == first)
                continue
            named = (page.after >= first) & (page.after < first + len(numbers))
            page.after[named] = numbers[page.after[named] - first]

    def edits(self) -> tuple[LabelEdit, ...]:
        """Return the changes; no pixel occurs twice."""
        found = (
            LabelEdit.between(
                tuple(start for start, _ in page.region),
                page.before,
                page.after.astype(page.before.dtype),
            )
            for page in self._pages
        )
        return tuple(edit for edit in found if edit is not None)

    def lost(self) -> dict[int, int]:
        """Return how many pixels each id lost, background apart."""
        lost: dict[int, int] = {}
        for page in self._pages:
            gone = page.before[(page.before != 0) & (page.before != page.after)]
            for label, count in zip(*np.unique(gone, return_counts=True), strict=True):
                lost[int(label)] = lost.get(int(label), 0) + int(count)
        return lost

"""Surveys: which objects a labels array contains, found a slab at a time."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cancel import CancelToken
from .objects import SegmentedObject
from .regions import Region, union

# Above this an id is looked up in a sorted list instead of counted in a table.
_TABLE = 2**22


def list_objects(labels: Any) -> dict[int, SegmentedObject]:
    """Find every object of labels at once, with its area and bounds; see `Survey`."""
    whole = Survey(labels)
    while not whole.advance(CancelToken()):
        pass
    return whole.found


class Survey:
    """Find every object, with its area and bounds.

    For the worker, in portions: a click must not wait until a large volume has been read.

    Parameters
    ----------
    labels : array-like of int
        Any number of axes; read along the first one, or at once where there are but two.
    """

    def __init__(self, labels: Any) -> None:
        self._labels = labels
        self._next = 0
        self._areas: dict[int, int] = {}
        self._bounds: dict[int, Region] = {}

    @property
    def found(self) -> dict[int, SegmentedObject]:
        """The objects found so far, by id."""
        return {
            label: SegmentedObject(label, area=area, bounds=self._bounds[label])
            for label, area in self._areas.items()
        }

    def advance(self, cancel: CancelToken, seconds: float = 0.1) -> bool:
        """Read on for a while; return whether that was all.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        """
        started = perf_counter()
        flat = len(self._labels.shape) <= 2
        slabs = 1 if flat else int(self._labels.shape[0])
        while self._next < slabs:
            cancel.check()
            slab = np.asarray(self._labels if flat else self._labels[self._next])
            self._take(slab, () if flat else ((self._next, self._next + 1),))
            self._next += 1
            if perf_counter() - started > seconds:
                break
        return self._next >= slabs

    def _take(self, slab: NDArray[Any], leading: Region) -> None:
        from scipy import ndimage

        if not slab.size or slab.max() <= 0:
            return
        positive = np.where(slab > 0, slab, 0) if slab.min() < 0 else slab
        ids: NDArray[Any] = np.arange(min(int(positive.max()) + 1, _TABLE))
        if int(positive.max()) >= _TABLE:
            ids, positive = np.unique(positive, return_inverse=True)
            positive = positive.reshape(slab.shape)
        areas = np.bincount(positive.ravel().astype(np.intp))
        boxes = ndimage.find_objects(positive.astype(np.intp, copy=False))
        first = 1 if ids[0] == 0 else 0
        if first == 0:  # no background in this slab: the first id is 0 in `positive`
            areas = np.concatenate(([0], areas))
            boxes = ndimage.find_objects(positive.astype(np.intp) + 1)
            ids = np.concatenate(([0], ids))
        for number in np.flatnonzero(areas[1:]) + 1:
            label = int(ids[number])
            box = boxes[number - 1]
            region = (*leading, *((int(part.start), int(part.stop)) for part in box))
            self._areas[label] = self._areas.get(label, 0) + int(areas[number])
            known = self._bounds.get(label)
            self._bounds[label] = region if known is None else union(known, region)

"""Painting: from the masks or polygons of a file to labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ExchangeError
from .files import check_voxels
from .segmentation import MAX_LABEL, Colour, ObjectInfo, Segmentation, check_axes

_DEFAULT_AXES = {2: 'yx', 3: 'zyx', 4: 'tzyx', 5: 'tczyx'}


class Canvas:
    """Labels that objects of a file are painted into, one after the other.

    Parameters
    ----------
    shape : tuple of int
        Of the labels.
    axes : str
        Letters of ``tczyx``; by default the usual ones.
    """

    def __init__(self, shape: Sequence[int], axes: str = '') -> None:
        self.shape = tuple(int(n) for n in shape)
        self.axes = axes or _DEFAULT_AXES.get(len(self.shape), '')
        check_axes(self.axes, len(self.shape))
        check_voxels(self.shape)
        self.labels: NDArray[np.int32] = np.zeros(self.shape, np.int32)
        self.objects: dict[int, ObjectInfo] = {}
        self.colours: dict[str, Colour] = {}
        self.notices: list[str] = []
        self._overlapped: set[int] = set()
        self._empty = 0

    @classmethod
    def like(cls, path: Path, shape: Sequence[int] | None, axes: str) -> Canvas:
        """Return the canvas for a file that does not tell the size of its image.

        Raises
        ------
        ExchangeError
            If `shape` is missing.
        """
        if shape is None:
            raise ExchangeError(
                f'"{path}" does not tell the size of its image: name the image, or give the shape'
            )
        return cls(shape, axes)

    def index(self, position: Mapping[str, int]) -> tuple[int, ...]:
        """Return the index of the plane at a position; axes without one are at 0.

        Raises
        ------
        ExchangeError
            If there is no such plane.
        """
        leading = self.axes[:-2]
        for axis, value in position.items():
            if axis not in leading and value:
                raise ExchangeError(
                    f'an object lies at {axis} = {value}, and the image has the axes "{self.axes}" '
                    'only: choose the stack that it belongs to'
                )
        index = tuple(position.get(axis, 0) for axis in leading)
        if any(not 0 <= i < n for i, n in zip(index, self.shape, strict=False)):
            raise ExchangeError(
                f'an object lies on the plane {dict(zip(leading, index, strict=True))}, and the '
                f'image has the shape {self.shape}: choose the image that it belongs to'
            )
        return index

    def paint(self, label: int, index: tuple[int, ...], row: int, column: int, mask: Any) -> None:
        """Give pixels of a plane to an object; from others, if need be.

        Parameters
        ----------
        label : int
        index : tuple of int
            The plane.
        row, column : int
            Where the mask begins; not negative.
        mask : ndarray of bool
            What of it lies beside the plane is cut.
        """
        if not 1 <= label <= MAX_LABEL:
            raise ExchangeError(
                f'ids of objects go from 1 to {MAX_LABEL} (2^31 - 1); the file has {label}'
            )
        height, width = mask.shape
        view = self.labels[index][row : row + height, column : column + width]
        mask = mask[: view.shape[0], : view.shape[1]]
        if not mask.any():
            self._empty += 1
            return
        taken = view[mask]
        if taken.any():
            self._overlapped.update(np.unique(taken[(taken != 0) & (taken != label)]).tolist())
        view[mask] = label

    def finished(
        self, scale: tuple[float, ...] = (), unit: str = 'pixel', name: str = 'image'
    ) -> Segmentation:
        """Return what was painted."""
        if self._overlapped:
            self.notices.append(
                f'{len(self._overlapped)} objects overlap later ones, which own the pixels that '
                'both claim: labels have room for one object per pixel'
            )
        if self._empty:
            self.notices.append(f'{self._empty} outlines have no pixel on the image')
        return Segmentation(
            self.labels,
            self.axes,
            scale,
            unit,
            self.objects,
            self.colours,
            name,
            notices=tuple(self.notices),
        )


class Numbers:
    """Ids for objects of a file: its own where they are good, else the next free ones."""

    def __init__(self) -> None:
        self._next = 1

    def give(self, wanted: Any) -> int:
        """Return `wanted` if it is an id; else one larger than all before."""
        label = wanted
        if not isinstance(label, int) or isinstance(label, bool) or label < 1:
            label = self._next
        self._next = max(self._next, label + 1)
        return label

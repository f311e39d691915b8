"""Labels layers: new ones, and which of their pixels lie on a plane of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine import CancelToken, PlaneKey

from .planes import NotAnnotatable, image_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import Dims
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

# A labels grid may lie this far (in pixels, at the far corner) from the image's before it is
# called another grid: room for the rounding of affine chains, none for a half-pixel shift.
GRID_TOLERANCE = 0.25


def new_labels_array(shape: Sequence[int]) -> Any:
    """Return empty int32 labels whose memory is taken as they are written, not before.

    numpy's zeros are lazy on every system that we know. Where even the address space is refused
    (a terabyte on Windows), an in-memory zarr array holds the chunks that were written to.

    Raises
    ------
    NotAnnotatable
        If neither is to be had.
    """
    shape = tuple(shape)
    try:
        return np.zeros(shape, dtype=np.int32)
    except MemoryError as error:
        try:
            import zarr
        except ImportError:
            raise NotAnnotatable(
                f'Labels of shape {shape} do not fit into memory: install zarr, or choose a '
                'Labels layer of your own.'
            ) from error
    chunks = (1,) * (len(shape) - 2) + tuple(min(side, 1024) for side in shape[-2:])
    return zarr.create_array({}, shape=shape, chunks=chunks, dtype='int32', fill_value=0)


def largest_label(data: Any, cancel: CancelToken) -> int:
    """Return the largest id in labels of any size, one slab after another: for the worker."""
    if len(data.shape) <= 2:
        return int(np.asarray(data).max(initial=0))
    largest = 0
    for index in range(data.shape[0]):
        cancel.check()
        largest = max(largest, int(np.asarray(data[index]).max(initial=0)))
    return largest


@dataclass(frozen=True, slots=True)
class LabelsPlane:
    """The plane of a Labels layer that lies on a plane of the image.

    Attributes
    ----------
    axes
        The labels' axes along the image plane's rows and columns.
    index
        The labels' indices; those at `axes` mean nothing.
    offset
        The labels pixel (row, column) under the image plane's pixel (0, 0).
    shape
        Rows and columns of the labels plane.
    """

    axes: tuple[int, int]
    index: tuple[int, ...]
    offset: tuple[int, int]
    shape: tuple[int, int]

    def read(
        self, layer: Labels, rows: slice = slice(None), columns: slice = slice(None)
    ) -> NDArray[Any]:
        """Return the labels of the plane or of a part of it, in rows and columns of their grid."""
        selection: list[Any] = list(self.index)
        selection[self.axes[0]], selection[self.axes[1]] = rows, columns
        plane = np.asarray(layer.data[tuple(selection)])
        return plane if self.axes[0] < self.axes[1] else plane.T

    def place(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Move an (H, W) mask of the image plane onto the labels grid, cut at its edges."""
        if self.offset == (0, 0) and mask.shape == self.shape:
            return mask
        placed = np.zeros(self.shape, dtype=bool)
        target, source = [], []
        for offset, side, limit in zip(self.offset, mask.shape, self.shape, strict=True):
            start, stop = max(0, offset), min(limit, offset + side)
            if start >= stop:
                return placed
            target.append(slice(start, stop))
            source.append(slice(start - offset, stop - offset))
        placed[tuple(target)] = mask[tuple(source)]
        return placed

    def indices(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Any, ...]:
        """Return a fancy index into the labels' data for pixels of the plane.

        napari keeps these arrays for undo: the smallest integer type makes an object of 500,000
        pixels 4 MB there instead of 13.
        """
        largest = max(*self.shape, *self.index, 1)
        kind = np.min_scalar_type(int(largest))
        full = [np.full(rows.shape, place, dtype=kind) for place in self.index]
        full[self.axes[0]] = rows.astype(kind)
        full[self.axes[1]] = columns.astype(kind)
        return tuple(full)


def labels_plane(labels: Labels, image: Image, key: PlaneKey, dims: Dims) -> LabelsPlane:
    """Find the plane of a Labels layer that lies on a plane of the image.

    Raises
    ------
    NotAnnotatable
        If the layer cannot be edited, or its pixels are not the image's.
    """
    if labels.multiscale:
        raise NotAnnotatable(
            f'"{labels.name}" is multiscale; napari cannot edit it: choose another.'
        )
    if not labels.editable or not hasattr(labels.data, '__setitem__') or _is_dask(labels.data):
        raise NotAnnotatable(f'"{labels.name}" cannot be written to: choose other labels.')
    height, width = (image_shape(image)[axis] for axis in key.displayed)

    def locate(row: float, column: float) -> NDArray[np.float64]:
        world = np.asarray(dims.point, dtype=float)
        world[-image.ndim :] = image.data_to_world(engine.embed_points((row, column), key)[0])
        return np.asarray(labels.world_to_data(world[-labels.ndim :]), dtype=float)

    if labels.ndim < image.ndim and any(side > 1 for side in image_shape(image)[: -labels.ndim]):
        raise NotAnnotatable(
            f'"{labels.name}" has {labels.ndim} axes and "{image.name}" {image.ndim}: '
            'all planes would write over each other. Choose another Labels layer.'
        )
    origin = locate(0, 0)
    axes = []
    corners = ((locate(height - 1, 0), height - 1), (locate(0, width - 1), width - 1))
    for own, (far, length) in zip(key.displayed, corners, strict=True):
        step = far - origin
        # A plane one pixel high or wide says nothing about the axis: then it is the image's own.
        axis = int(np.argmax(np.abs(step))) if length else own - image.ndim + labels.ndim
        expected = np.zeros_like(step)
        expected[axis] = length
        if np.abs(step - expected).max() > GRID_TOLERANCE:
            raise NotAnnotatable(
                f'The pixels of "{labels.name}" are not those of "{image.name}" '
                '(another scale or rotation): choose another Labels layer.'
            )
        axes.append(axis)
    place = engine.round_index(origin)
    shape = tuple(int(side) for side in labels.data.shape)
    for axis in range(labels.ndim):
        if axis not in axes and not 0 <= place[axis] < shape[axis]:
            raise NotAnnotatable(f'"{labels.name}" has no plane here: choose another Labels layer.')
    return LabelsPlane(
        axes=(axes[0], axes[1]),
        index=tuple(0 if axis in axes else int(place[axis]) for axis in range(labels.ndim)),
        offset=(int(place[axes[0]]), int(place[axes[1]])),
        shape=(shape[axes[0]], shape[axes[1]]),
    )


def _is_dask(data: Any) -> bool:
    # Only a dask array has a dask graph; importing dask to ask would cost half a second.
    return hasattr(data, '__dask_graph__')

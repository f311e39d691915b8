"""Labels layers: new ones, and which of their pixels lie on a plane of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine import CancelToken, PlaneKey
from napari_mobilesam.engine.regions import Region

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

    @property
    def region(self) -> Region:
        """The plane as a region of the labels' data."""
        region = [(place, place + 1) for place in self.index]
        for axis, side in zip(self.axes, self.shape, strict=True):
            region[axis] = (0, side)
        return tuple(region)

    def placed(
        self, rows: slice, columns: slice, patch: NDArray[np.bool_]
    ) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
        """Move a part of an image plane onto the labels grid, cut at its edges.

        Parameters
        ----------
        rows, columns
            Where in the image plane the part begins.
        patch
            (h, w) mask.

        Returns
        -------
        start, mask
            Where in the labels' data, and the mask with the axes of the data. It has no pixels
            where the part lies beside the labels.
        """
        start = list(self.index)
        source = []
        corner = (rows.start or 0, columns.start or 0)
        for axis, first, side, offset, limit in zip(
            self.axes, corner, patch.shape, self.offset, self.shape, strict=True
        ):
            begin = first + offset
            low = min(max(0, begin), limit)
            high = max(low, min(limit, begin + side))
            start[axis] = low
            source.append(slice(low - begin, high - begin) if high > low else slice(0, 0))
        part = patch[tuple(source)]
        shape = [1] * len(self.index)
        shape[self.axes[0]], shape[self.axes[1]] = part.shape
        part = part if self.axes[0] < self.axes[1] else part.T
        return tuple(start), part.reshape(shape)

    def values(self, data: Any, shape: tuple[int, int]) -> NDArray[Any]:
        """Read the labels under an image plane of a shape, (H, W); 0 beside them. For the worker.

        Parameters
        ----------
        data
            The layer's data.
        shape
            Rows and columns of the image plane.
        """
        index: list[Any] = list(self.index)
        target = []
        for axis, side, offset, limit in zip(
            self.axes, shape, self.offset, self.shape, strict=True
        ):
            low, high = max(0, offset), max(0, min(limit, offset + side))
            index[axis] = slice(low, max(low, high))
            target.append(slice(low - offset, max(low, high) - offset))
        part = np.asarray(data[tuple(index)])
        part = part if self.axes[0] < self.axes[1] else part.T
        plane = np.zeros(shape, part.dtype)
        plane[tuple(target)] = part
        return plane

    def pixel(self, row: float, column: float) -> tuple[int, ...] | None:
        """Return the index in the labels' data under a position of the image plane, if any."""
        index = list(self.index)
        for axis, place, offset, limit in zip(
            self.axes, (row, column), self.offset, self.shape, strict=True
        ):
            index[axis] = int(engine.round_index(np.array([place]))[0]) + offset
            if not 0 <= index[axis] < limit:
                return None
        return tuple(index)


def labels_plane(
    labels: Labels, image: Image, key: PlaneKey, dims: Dims, *, writable: bool = True
) -> LabelsPlane:
    """Find the plane of a Labels layer that lies on a plane of the image.

    Parameters
    ----------
    labels, image, key, dims
        The layers, the plane, the viewer's dims.
    writable
        Whether it is to be written to, and not only read.

    Raises
    ------
    NotAnnotatable
        If the layer cannot be edited, or its pixels are not the image's.
    """
    if labels.multiscale:
        raise NotAnnotatable(
            f'"{labels.name}" is multiscale; napari cannot edit it: choose another.'
        )
    if writable and not (labels.editable and _is_writable(labels.data)):
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


def _is_writable(data: Any) -> bool:
    # Only a dask array has a dask graph; importing dask to ask would cost half a second.
    if not hasattr(data, '__setitem__') or hasattr(data, '__dask_graph__'):
        return False
    flags = getattr(data, 'flags', None)
    return bool(getattr(flags, 'writeable', True)) and not getattr(data, 'read_only', False)

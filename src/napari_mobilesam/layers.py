"""The only module that turns napari layers and dims into engine values, and back.

Everything here goes through world coordinates and the layers' own methods (`data_to_world`,
`world_to_data`), so scale, translate, rotate, shear, affine, `dims.order` and layers with fewer
axes than the viewer need no case of their own. No Qt, no model: it runs on a `ViewerModel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine import (
    CancelToken,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
    Prompts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import Dims
    from napari.layers import Image, Labels, Layer, Points, Shapes
    from numpy.typing import NDArray

POLARITY = 'polarity'
POSITIVE, NEGATIVE = 'positive', 'negative'

# A labels grid may lie this far (in pixels, at the far corner) from the image's before it is
# called another grid: room for the rounding of affine chains, none for a half-pixel shift.
GRID_TOLERANCE = 0.25


class NotAnnotatable(ValueError):
    """What the viewer shows now cannot be annotated; the message tells the user why."""


def unwrap(thing: Any) -> Any:
    """Take napari's plugin proxy off a viewer or layer, where there is one.

    Every access through the proxy makes a new wrapper: nothing may be keyed by one.
    """
    return getattr(thing, '__wrapped__', thing)


def spatial_keywords(layer: Layer) -> dict[str, Any]:
    """Return the keywords that give a new layer the same place in the world as `layer`."""
    return {
        'scale': layer.scale,
        'translate': layer.translate,
        'rotate': layer.rotate,
        'shear': layer.shear,
        'affine': layer.affine.affine_matrix,
        'units': layer.units,
        'axis_labels': layer.axis_labels,
    }


def copy_transform(source: Layer, target: Layer) -> None:
    """Move `target`, a layer of ours, to where `source` lies in the world."""
    for name, value in spatial_keywords(source).items():
        setattr(target, name, value)


def image_shape(image: Image) -> tuple[int, ...]:
    """Return the shape of the image's axes at full resolution, without the colour axis."""
    data = image.data[0] if image.multiscale else image.data
    return tuple(int(side) for side in data.shape[: image.ndim])


def first_image(viewer: Any) -> Image | None:
    """Return the image that the user is looking at: the active one, else the topmost visible."""
    from napari.layers import Image

    active = viewer.layers.selection.active
    if isinstance(active, Image):
        return active
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    visible = [layer for layer in images if layer.visible]
    return (visible or images or [None])[-1]


def plane_key(image: Image, dims: Dims) -> PlaneKey:
    """Say which plane of `image` the viewer shows.

    Parameters
    ----------
    image
        The image layer; its last axis is the viewer's last axis, as everywhere in napari.
    dims
        The viewer's dims.

    Returns
    -------
    PlaneKey
        The image's axes drawn as rows and columns, and the indices on its other axes.

    Raises
    ------
    NotAnnotatable
        In 3D, where a displayed axis is not the image's, or outside of the image.
    """
    if dims.ndisplay != 2:
        raise NotAnnotatable('3D view: switch back to 2D to annotate.')
    missing = dims.ndim - image.ndim
    rows, columns = (int(axis) - missing for axis in dims.displayed)
    if min(rows, columns) < 0:
        raise NotAnnotatable(f'"{image.name}" has no extent along a displayed axis: roll the axes.')
    position = np.round(image.world_to_data(dims.point[-image.ndim :])).astype(int)
    shape = image_shape(image)
    index = []
    for axis in range(image.ndim):
        if axis in (rows, columns):
            continue
        if not 0 <= position[axis] < shape[axis]:
            raise NotAnnotatable(f'"{image.name}" has no plane here: move the slider back to it.')
        index.append(int(position[axis]))
    return PlaneKey(source=str(image.unique_id), displayed=(rows, columns), index=tuple(index))


def plane_source(image: Image, dims: Dims, mapping: IntensityMapping) -> PlaneSource:
    """Return what the worker needs to read the visible plane of `image`: no pixel is read here.

    Raises
    ------
    NotAnnotatable
        As `plane_key`.
    """
    array = image.data[0] if image.multiscale else image.data
    return PlaneSource(
        key=plane_key(image, dims), array=array, mapping=mapping, rgb=bool(image.rgb)
    )


def mapping_as_displayed(image: Image) -> IntensityMapping:
    """Return the intensity mapping that the image layer is drawn with."""
    low, high = (float(limit) for limit in image.contrast_limits)
    return IntensityMapping(mode='displayed', limits=(low, high), gamma=float(image.gamma))


def image_coordinates(layer: Layer, image: Image, positions: Any) -> NDArray[np.float64]:
    """Turn data coordinates of a prompt layer into data coordinates of the image.

    Parameters
    ----------
    layer
        The layer that the positions belong to, with as many axes as the image.
    image
        The image layer.
    positions
        (N, ndim) coordinates in the layer's data.

    Returns
    -------
    ndarray
        (N, ndim) coordinates in the image's data, by way of the world.
    """
    positions = np.asarray(positions, dtype=float).reshape(-1, layer.ndim)
    moved = [image.world_to_data(layer.data_to_world(position)) for position in positions]
    return np.asarray(moved, dtype=float).reshape(-1, image.ndim)


def points_on_plane(points: Points, image: Image, key: PlaneKey) -> NDArray[np.intp]:
    """Return the indices of the points that lie on the plane."""
    belongs, _ = engine.points_on_plane(image_coordinates(points, image, points.data), key)
    return np.flatnonzero(belongs)


def boxes_on_plane(boxes: Shapes, image: Image, key: PlaneKey) -> NDArray[np.intp]:
    """Return the indices of the boxes whose corners all lie on the plane."""
    belongs, _ = engine.boxes_on_plane(_corners(boxes, image), key)
    return np.flatnonzero(belongs)


def _corners(boxes: Shapes, image: Image) -> list[NDArray[np.float64]]:
    return [image_coordinates(boxes, image, vertices) for vertices in boxes.data]


def prompts_on_plane(
    points: Points | None, boxes: Shapes | None, image: Image, key: PlaneKey
) -> Prompts:
    """Read the prompts of one plane from the prompt layers.

    Polarity comes from the points' feature, never from their colour. Of several boxes the last
    one counts, by its extent along the displayed axes.
    """
    places: list[tuple[float, float]] = []
    positive: list[bool] = []
    box = None
    if points is not None and len(points.data):
        coordinates = image_coordinates(points, image, points.data)
        belongs, flat = engine.points_on_plane(coordinates, key)
        places = [(float(row), float(column)) for row, column in flat]
        positive = list(points.features[POLARITY].to_numpy()[belongs] != NEGATIVE)
    if boxes is not None and len(boxes.data):
        _, found = engine.boxes_on_plane(_corners(boxes, image), key)
        box = found[-1] if found else None
    return Prompts(points=tuple(places), positive=tuple(positive), box=box)


def preview_geometry(image: Image, key: PlaneKey) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Return shape and translate of a layer that covers one plane of the image and no more.

    A preview as large as the image would be an allocation as large as the image; one plane with
    thickness 1, moved to its place, costs the same for 1 and for 10,000 slices, and cannot be
    seen on any other.
    """
    shape = [1] * image.ndim
    for axis in key.displayed:
        shape[axis] = image_shape(image)[axis]
    corner = image.data_to_world(engine.embed_points((0, 0), key)[0])
    return tuple(shape), np.asarray(image.affine.inverse(corner), dtype=float)


def write_preview(preview: Labels, key: PlaneKey, plane: NDArray[np.uint8] | None) -> None:
    """Draw an (H, W) plane into the preview layer in place, or wipe it: never undoable."""
    if plane is None:
        if not preview.data.any():
            return
        preview.data[...] = 0
    else:
        rows, columns = key.displayed
        preview.data[...] = (plane if rows < columns else plane.T).reshape(preview.data.shape)
    preview.refresh()


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


def area_text(image: Image, key: PlaneKey, pixels: int) -> str:
    """Say how large an object is: in pixels, and in the image's units where it has some."""
    text = f'{pixels:,} px'
    scale = np.asarray(image.scale, dtype=float)[list(key.displayed)]
    units = {str(image.units[axis]) for axis in key.displayed}
    if len(units) == 1 and 'pixel' not in units:
        unit = f'{image.units[key.displayed[0]]:~P}'
        area = pixels * abs(float(scale.prod()))
        text += f' · {area:,.0f} {unit}²' if area >= 100 else f' · {area:.3g} {unit}²'
    return text


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
    place = np.round(origin).astype(int)
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

"""Image layers and dims: which plane the viewer shows, and where it lies in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine import Frame, IntensityMapping, PlaneIndexError, PlaneKey

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray


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
    position = image.world_to_data(dims.point[-image.ndim :])
    try:
        index = engine.plane_index(position, image_shape(image), (rows, columns))
    except PlaneIndexError:
        raise NotAnnotatable(
            f'"{image.name}" has no plane here: move the slider back to it.'
        ) from None
    return PlaneKey(source=str(image.unique_id), displayed=(rows, columns), index=index)


def mapping_as_displayed(image: Image) -> IntensityMapping:
    """Return the intensity mapping that the image layer is drawn with."""
    low, high = (float(limit) for limit in image.contrast_limits)
    return IntensityMapping(mode='displayed', limits=(low, high), gamma=float(image.gamma))


def plane_position(image: Image, key: PlaneKey, world: Any) -> tuple[float, float]:
    """Return the (row, column) of the plane under a world position, such as the mouse's."""
    position = image.world_to_data(tuple(world)[-image.ndim :])
    rows, columns = key.displayed
    return float(position[rows]), float(position[columns])


def overlay_geometry(
    image: Image, key: PlaneKey, frame: Frame, grid: tuple[int, int]
) -> tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Return shape, scale and translate of a layer that covers part of one plane and no more.

    A layer as large as the image would be an allocation as large as the image; one plane with
    thickness 1, moved to its place, costs the same for 1 and for 10,000 slices, and cannot be
    seen on any other.

    Parameters
    ----------
    image
        The image.
    key
        The plane.
    frame
        The part of the plane.
    grid
        Rows and columns of the layer, over the area of the frame.
    """
    shape = [1] * image.ndim
    scale = np.array(image.scale, dtype=float)
    corner = []
    firsts = (frame.row, frame.column)
    for axis, first, side, count in zip(key.displayed, firsts, frame.shape, grid, strict=True):
        step = side / count
        shape[axis] = count
        scale[axis] *= step
        corner.append(first + step / 2 - 0.5)  # where the centre of its first pixel lies
    world = image.data_to_world(engine.embed_points(corner, key)[0])
    return tuple(shape), scale, np.asarray(image.affine.inverse(world), dtype=float)


def draw_overlay(
    layer: Labels, key: PlaneKey, corner: tuple[int, int], values: NDArray[np.uint8]
) -> None:
    """Write (h, w) values into a layer made by `overlay_geometry`, in place; never undoable."""
    rows, columns = key.displayed
    index: list[Any] = [0] * layer.ndim
    for axis, first, count in zip((rows, columns), corner, values.shape, strict=True):
        index[axis] = slice(first, first + count)
    layer.data[tuple(index)] = values if rows < columns else values.T


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

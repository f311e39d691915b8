"""Sliders: along which axes of an image they go, and the slices of labels that lie on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine.stacks.slicing import LabelSlices

from .labels import GRID_TOLERANCE, labels_plane
from .planes import NotAnnotatable, image_shape

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Labels

    from napari_mobilesam.engine import PlaneKey


def slider_axes(image: Image, key: PlaneKey) -> list[tuple[int, str, int]]:
    """Return the axes of an image that have a slider: axis, name, number of slices."""
    shape = image_shape(image)
    return [(axis, _name(image, axis), shape[axis]) for axis in key.indexed if shape[axis] > 1]


def go_to_slice(viewer: Any, image: Image, key: PlaneKey, axis: int, position: int) -> None:
    """Move the slider of an axis of an image to a slice, which is shown in 2D."""
    viewer.dims.ndisplay = 2
    place = np.zeros(image.ndim)
    for indexed, index in zip(key.indexed, key.index, strict=True):
        place[indexed] = index
    place[axis] = position
    world = np.asarray(image.data_to_world(place), dtype=float)
    missing = viewer.dims.ndim - image.ndim
    viewer.dims.set_point(axis + missing, world[axis])


def slice_distance(image: Image, axis: int) -> float:
    """Return how far apart two slices are, in the unit of the layer's pixels; 1 if unknown."""
    distance = abs(float(image.scale[axis]))
    return distance if 0 < distance < np.inf else 1.0


def label_slices(
    labels: Labels, image: Image, key: PlaneKey, axis: int, dims: Dims, *, writable: bool = True
) -> LabelSlices:
    """Return the slices of a Labels layer that lie on those of an image.

    Parameters
    ----------
    labels, image, key, dims
        The layers, the plane on display, the viewer's dims.
    axis
        The image's axis along the slider.
    writable
        Whether they are to be written to.

    Raises
    ------
    NotAnnotatable
        As `labels_plane`; or if the labels have no such axis, or other slices along it.
    """
    place = labels_plane(labels, image, key, dims, writable=writable)
    own = axis - image.ndim + labels.ndim
    if own < 0 or own in place.axes:
        raise NotAnnotatable(f'"{labels.name}" has no slices along this slider: choose another.')
    count = image_shape(image)[axis]
    world = np.asarray(dims.point, dtype=float)
    ends = []
    for position in (0, count - 1):
        data = engine.embed_points((0, 0), key)[0]
        data[axis] = position
        world[-image.ndim :] = image.data_to_world(data)
        ends.append(np.asarray(labels.world_to_data(world[-labels.ndim :]), dtype=float))
    step = np.zeros(labels.ndim)
    step[own] = count - 1
    if np.abs(ends[1] - ends[0] - step).max() > GRID_TOLERANCE:
        raise NotAnnotatable(
            f'The slices of "{labels.name}" are not those of "{image.name}": choose another.'
        )
    first = int(engine.round_index(ends[0][own : own + 1])[0])
    rows, columns = (image_shape(image)[shown] for shown in key.displayed)
    return LabelSlices(
        labels=labels.data,
        axes=place.axes,
        index=place.index,
        axis=own,
        offset=(*place.offset, first),
        shape=(rows, columns),
        count=count,
    )


def _name(image: Image, axis: int) -> str:
    """Return what the user calls an axis: its label, or its number where it has none."""
    label = str(image.axis_labels[axis]).strip()
    return label if label and not label.lstrip('-').isdigit() else f'axis {axis}'

"""Objects in a Labels layer: where they are, how large, going there, and their pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam.engine import SegmentedObject
from napari_mobilesam.engine.thumbnail import MARGIN

from .planes import image_shape

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from numpy.typing import NDArray


def displayed_axes(labels: Labels, dims: Any) -> tuple[int, int]:
    """Return the axes of the labels that are drawn as rows and columns, or would be in 2D."""
    missing = dims.ndim - labels.ndim
    shown = [int(axis) - missing for axis in dims.order if axis >= missing]
    return shown[-2], shown[-1]


def where_text(labels: Labels, record: SegmentedObject, dims: Any) -> str:
    """Say on which slices an object is: ``'7'``, or ``'3–9'``; nothing where there is but one."""
    if len(record.bounds) != labels.ndim:
        return ''
    shown = displayed_axes(labels, dims)
    parts = []
    for axis, (start, stop) in enumerate(record.bounds):
        if axis not in shown and labels.data.shape[axis] > 1:
            parts.append(str(start) if stop - start == 1 else f'{start}–{stop - 1}')
    return ', '.join(parts)


def size_text(labels: Labels, record: SegmentedObject, dims: Any) -> str:
    """Say how large an object is: in the units of the layer, where it has some.

    An area; of an object on several slices a volume.
    """
    axes = list(displayed_axes(labels, dims))
    axes += [
        axis
        for axis, (start, stop) in enumerate(record.bounds)
        if axis not in axes and stop - start > 1
    ]
    units = {str(labels.units[axis]) for axis in axes}
    if len(units) != 1 or 'pixel' in units:
        return f'{record.area:,}'
    size = record.area * abs(float(np.prod(np.asarray(labels.scale, dtype=float)[axes])))
    number = f'{size:,.0f}' if size >= 100 else f'{size:.3g}'
    return f'{number} {labels.units[axes[0]]:~P}{"²" if len(axes) == 2 else "³"}'


def go_to(viewer: Any, labels: Labels, record: SegmentedObject) -> None:
    """Show an object: move the sliders to it, and the camera where it is out of view."""
    if len(record.bounds) != labels.ndim:
        return
    dims = viewer.dims
    missing = dims.ndim - labels.ndim
    here = np.asarray(labels.world_to_data(np.asarray(dims.point)[missing:]), dtype=float)
    place = np.array([(start + stop - 1) / 2 for start, stop in record.bounds])
    for axis, (start, stop) in enumerate(record.bounds):
        hidden = axis + missing not in dims.displayed
        if hidden:
            inside = start - 0.5 <= here[axis] <= stop - 0.5
            place[axis] = here[axis] if inside else float(int(place[axis]))
    world = np.asarray(labels.data_to_world(place), dtype=float)
    for axis in range(missing, dims.ndim):
        if axis not in dims.displayed:
            dims.set_point(axis, world[axis - missing])
    shown = [int(axis) - missing for axis in dims.displayed[-2:]]
    if min(shown) < 0:
        return
    camera = viewer.scene.camera
    half = np.asarray(viewer.canvas.size, dtype=float) / 2 / camera.zoom
    target = world[shown]
    if (np.abs(target - np.asarray(camera.center, dtype=float)[-2:]) > 0.95 * half).any():
        camera.center = (*camera.center[:-2], *target)


def crop_reader(
    labels: Labels, image: Image | None, record: SegmentedObject, dims: Any
) -> Callable[[], tuple[NDArray[np.bool_], NDArray[Any] | None]] | None:
    """Return what reads an object and its surroundings, for a worker: nothing is read here.

    The mask is that of the middle slice. The picture comes with it where image and labels have the
    same pixels. None where the labels have other axes by now.
    """
    data = labels.data[0] if labels.multiscale else labels.data
    shape = tuple(int(side) for side in data.shape)
    if len(record.bounds) != len(shape):
        return None
    rows, columns = displayed_axes(labels, dims)
    longer = max(stop - start for start, stop in (record.bounds[rows], record.bounds[columns]))
    margin = max(2, round(longer * MARGIN))
    index: list[Any] = [(start + stop - 1) // 2 for start, stop in record.bounds]
    for axis in (rows, columns):
        start, stop = record.bounds[axis]
        index[axis] = slice(max(0, start - margin), min(shape[axis], stop + margin))
    where = tuple(index)
    pixels: Any = None
    if image is not None and image_shape(image) == shape:
        pixels = image.data[0] if image.multiscale else image.data
    label, turned = record.label, rows > columns

    def read() -> tuple[NDArray[np.bool_], NDArray[Any] | None]:
        mask = np.asarray(data[where]) == label
        picture = None if pixels is None else np.asarray(pixels[where])
        if turned:
            mask = mask.T
            picture = None if picture is None else np.swapaxes(picture, 0, 1)
        return mask, picture

    return read

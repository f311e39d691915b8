"""Prompt layers: what the user pointed at, in pixels of one plane of the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine import PlaneKey, Prompts
from napari_mobilesam.engine.prompts import Drawn
from napari_mobilesam.engine.strokes import ellipse_outline, region_prompt, sample_stroke

from .planes import image_shape

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points, Shapes
    from numpy.typing import NDArray

POLARITY = 'polarity'
POSITIVE, NEGATIVE = 'positive', 'negative'
# Shapes that enclose the object, and shapes that are drawn on or beside it.
AREAS = ('rectangle', 'ellipse', 'polygon')
STROKES = ('path', 'line')

# Beyond so many positions they are moved by one matrix, and not one by one.
_MANY = 16


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

    def move(places: Any) -> NDArray[np.float64]:
        moved = [image.world_to_data(layer.data_to_world(place)) for place in places]
        return np.asarray(moved, dtype=float).reshape(-1, image.ndim)

    if len(positions) <= _MANY:
        return move(positions)
    # All transforms of layers are affine: the corners of the unit cube tell all.
    origin, *tips = move(np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)]))
    moved: NDArray[np.float64] = origin + positions @ (np.array(tips) - origin)
    # Exact where it matters, between two slices: rounding must not depend on the arithmetic.
    return np.round(moved, 9)


def points_on_plane(points: Points, image: Image, key: PlaneKey) -> NDArray[np.intp]:
    """Return the indices of the points that lie on the plane."""
    belongs, _ = engine.points_on_plane(image_coordinates(points, image, points.data), key)
    return np.flatnonzero(belongs)


def shapes_on_plane(shapes: Shapes, image: Image, key: PlaneKey) -> NDArray[np.intp]:
    """Return the indices of the shapes that lie on the plane with all of their vertices."""
    return np.array([number for number, _ in _flat_shapes(shapes, image, key)], dtype=np.intp)


def _flat_shapes(
    shapes: Shapes, image: Image, key: PlaneKey
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    if not len(shapes.data):
        return
    # All at once: a thousand shapes take no longer than one with a thousand vertices.
    places = image_coordinates(shapes, image, np.concatenate(list(shapes.data)))
    ends = np.cumsum([len(vertices) for vertices in shapes.data])
    for number, part in enumerate(np.split(places, ends[:-1])):
        belongs, flat = engine.points_on_plane(part, key)
        if len(belongs) and belongs.all():
            yield number, flat


def _area(kind: str, outline: NDArray[np.float64], image: Image, key: PlaneKey) -> Prompts:
    """Return the box round an area and, unless it is a box itself, its inside."""
    (top, left), (bottom, right) = outline.min(axis=0), outline.max(axis=0)
    mask, drawn = None, tuple[Drawn, ...]()
    if kind != 'rectangle':
        drawn = (_drawn(kind, outline),)
        inside = ellipse_outline(outline) if kind == 'ellipse' else outline
        sides = image_shape(image)
        rows, columns = (sides[axis] for axis in key.displayed)
        mask = region_prompt(inside, (rows, columns))
    box = (float(top), float(left), float(bottom), float(right))
    return Prompts(box=box, mask=mask, drawn=drawn)


def _drawn(kind: str, flat: NDArray[np.float64], positive: bool = True) -> Drawn:
    return Drawn(kind, tuple((float(row), float(column)) for row, column in flat), positive)


def _polarities(layer: Points | Shapes) -> NDArray[np.bool_]:
    """Return which points or shapes are not negative; all, in a layer that knows no polarity."""
    features = layer.features
    if POLARITY not in features:
        return np.ones(len(layer.data), bool)
    return np.asarray(features[POLARITY].to_numpy() != NEGATIVE, dtype=bool)


def objects_on_plane(layer: Points | Shapes, image: Image, key: PlaneKey) -> list[Prompts]:
    """Read each point, area or stroke of a plane as an object of its own.

    The layer may be any of the user's with as many axes as the image; negative ones are left out.
    """
    positive = _polarities(layer)
    if hasattr(layer, 'shape_type'):
        objects = []
        for number, flat in _flat_shapes(layer, image, key):
            kind = str(layer.shape_type[number])
            if kind not in STROKES:
                objects.append(_area(kind, flat, image, key))
            elif positive[number]:
                sampled = sample_stroke(flat)
                drawn = (_drawn(kind, flat),)
                objects.append(Prompts(sampled, (True,) * len(sampled), drawn=drawn))
        return objects
    if not len(layer.data):
        return []
    belongs, flat = engine.points_on_plane(image_coordinates(layer, image, layer.data), key)
    chosen = flat[positive[belongs]]
    return [Prompts(((float(row), float(column)),), (True,)) for row, column in chosen]


def prompts_on_plane(
    points: Points | None, shapes: Shapes | None, image: Image, key: PlaneKey
) -> Prompts:
    """Read the prompts of one plane from the prompt layers.

    Polarity comes from the features, never from colours. Points are points, and so are strokes,
    sampled. Of several areas the last one counts: a rectangle as the upright box round it, an
    ellipse or polygon as that box and its inside as a mask.
    """
    places: list[tuple[float, float]] = []
    positive: list[bool] = []
    strokes: list[Drawn] = []
    area = Prompts()
    if points is not None and len(points.data):
        coordinates = image_coordinates(points, image, points.data)
        belongs, flat = engine.points_on_plane(coordinates, key)
        places = [(float(row), float(column)) for row, column in flat]
        positive = list(_polarities(points)[belongs])
    if shapes is not None:
        signs = _polarities(shapes)
        last = None
        for number, flat in _flat_shapes(shapes, image, key):
            kind = str(shapes.shape_type[number])
            if kind in STROKES:
                sampled = sample_stroke(flat)
                places.extend(sampled)
                positive.extend([bool(signs[number])] * len(sampled))
                strokes.append(_drawn(kind, flat, bool(signs[number])))
            else:
                last = (kind, flat)
        if last is not None:
            area = _area(*last, image, key)
    drawn = (*area.drawn, *strokes)
    return Prompts(tuple(places), tuple(positive), area.box, area.mask, drawn)


def prompted_slices(layers: tuple[Any, ...], image: Image, key: PlaneKey, axis: int) -> set[int]:
    """Return on which slices along an axis there are prompts, at the place of the other sliders.

    Parameters
    ----------
    layers
        Prompt layers: points and shapes.
    image, key
        The image, and its plane on display.
    axis
        The axis of the slider.
    """
    found: set[int] = set()
    others = [(n, place) for n, place in zip(key.indexed, key.index, strict=True) if n != axis]
    for layer in layers:
        if not len(layer.data):
            continue
        data = layer.data
        places = np.concatenate(list(data)) if hasattr(layer, 'shape_type') else data
        rounded = engine.round_index(image_coordinates(layer, image, places))
        here = np.ones(len(rounded), bool)
        for other, place in others:
            here &= rounded[:, other] == place
        found.update(np.unique(rounded[here, axis]).tolist())
    return found

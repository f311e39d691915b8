"""Prompt layers: what the user pointed at, in pixels of one plane of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine import PlaneKey, Prompts

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points, Shapes
    from numpy.typing import NDArray

POLARITY = 'polarity'
POSITIVE, NEGATIVE = 'positive', 'negative'


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

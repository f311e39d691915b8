"""Tracks: objects followed through time, and their lineage, as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.exchange.track_graph import TrackGrid

from .planes import image_shape, spatial_keywords

if TYPE_CHECKING:
    from napari.layers import Image, Tracks

    from napari_mobilesam.engine import PlaneKey
    from napari_mobilesam.engine.stacks.tracking import Tracking


def add_tracks(
    viewer: Any, image: Image, key: PlaneKey, axis: int, tracking: Tracking
) -> Tracks | None:
    """Add a Tracks layer over an image.

    Parameters
    ----------
    viewer, image, key
        The viewer, the image, one of the planes that the tracks go through.
    axis
        The image's axis along which they go.
    tracking
        Ids of tracks are those of the layer.

    Returns
    -------
    Tracks or None
        None where there is no track, or that axis is not the first: layers of napari have time
        there.
    """
    data, graph = tracking.napari()
    if axis or not len(data):
        return None
    places = np.asarray(engine.embed_points(data[:, 2:], key), dtype=float)
    places[:, axis] = data[:, 1]
    return viewer.add_tracks(
        np.column_stack([data[:, 0], places]),
        graph=graph,
        name=f'{image.name} tracks',
        **spatial_keywords(image),
    )


def track_grid(image: Image, key: PlaneKey, axis: int) -> TrackGrid:
    """Say on what tracks through an image lie, in its units."""
    shape, scale = image_shape(image), np.abs(np.asarray(image.scale, dtype=float))
    rows, columns = key.displayed
    units = [str(image.units[one]) for one in (axis, rows)]
    timed = units[0] not in ('pixel', units[1])
    return TrackGrid(
        shape[axis],
        (shape[rows], shape[columns]),
        (float(scale[rows]), float(scale[columns])),
        units[1],
        float(scale[axis]) if timed else 1.0,
        units[0] if timed else 'frame',
        image.name,
    )

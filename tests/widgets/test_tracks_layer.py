"""Tracks as a layer of napari, without Qt."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_mobilesam.engine.stacks import MaskPatch
from napari_mobilesam.engine.stacks.linking import SliceObject
from napari_mobilesam.engine.stacks.tracking import Tracking
from napari_mobilesam.layers import add_tracks, plane_key, track_grid


def dot(t: int, row: int, column: int) -> SliceObject:
    return SliceObject(t, MaskPatch.cut(np.ones((3, 3), bool), row - 1, column - 1), 0.9)


LINEAGE = Tracking(
    {1: (dot(0, 10, 20), dot(1, 11, 20)), 2: (dot(2, 6, 20),), 3: (dot(2, 16, 20),)},
    {2: 1, 3: 1},
)


@pytest.mark.parametrize('units', [('second', 'um', 'um', 'um'), ('pixel',) * 4])
def test_a_lineage_lies_on_its_plane_of_the_image(units: tuple[str, ...]) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros((4, 5, 30, 40), np.uint8), scale=(10, 2, 0.5, 0.25), units=units, name='movie'
    )
    viewer.dims.set_current_step(1, 3)
    key = plane_key(image, viewer.dims)
    layer = add_tracks(viewer, image, key, 0, LINEAGE)
    assert layer is not None
    assert layer.data[:, 1:].tolist() == [
        [0, 3, 10, 20],
        [1, 3, 11, 20],
        [2, 3, 6, 20],
        [2, 3, 16, 20],
    ]
    assert {child: list(parents) for child, parents in layer.graph.items()} == {2: [1], 3: [1]}
    assert np.allclose(layer.scale, image.scale)
    grid = track_grid(image, key, 0)
    assert (grid.count, grid.shape, grid.pixel, grid.name) == (4, (30, 40), (0.5, 0.25), 'movie')
    timed = (10.0, 'second') if units[0] == 'second' else (1.0, 'frame')
    assert (grid.interval, grid.time_unit) == timed


def test_where_napari_has_no_such_layer() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 5, 30, 40), np.uint8))
    key = plane_key(image, viewer.dims)
    assert add_tracks(viewer, image, key, 1, LINEAGE) is None
    assert add_tracks(viewer, image, key, 0, Tracking({}, {})) is None
    assert len(viewer.layers) == 1

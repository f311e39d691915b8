from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from napari_mobilesam.exchange import ExchangeError
from napari_mobilesam.exchange.patches import patches
from napari_mobilesam.exchange.polygons import Polygon, fill, fill_patch, keyhole, trace

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16))


def all_rings(polygons: list[Polygon]) -> list[NDArray[np.float64]]:
    return [ring for polygon in polygons for ring in polygon.rings]


@given(MASKS)
def test_filling_gives_the_traced_mask_back(mask: NDArray[np.bool_]) -> None:
    polygons = trace(mask)
    assert np.array_equal(fill(all_rings(polygons), mask.shape), mask)
    joined = [keyhole(polygon) for polygon in polygons]
    assert np.array_equal(fill(joined, mask.shape), mask)


@given(MASKS)
def test_polygons_are_valid_and_as_large_as_the_mask(mask: NDArray[np.bool_]) -> None:
    shapely = pytest.importorskip('shapely')
    polygons = [shapely.Polygon(p.shell, p.holes) for p in trace(mask)]
    assert all(polygon.is_valid for polygon in polygons)
    assert shapely.MultiPolygon(polygons).is_valid
    assert sum(polygon.area for polygon in polygons) == np.count_nonzero(mask)


def test_parts_and_holes() -> None:
    mask = np.zeros((9, 12), bool)
    mask[1:8, 1:8] = True
    mask[3:6, 3:6] = False
    mask[4, 4] = True  # an island in the hole
    mask[8, 8] = True  # touches at a corner
    polygons = trace(mask, corner=(100, 200))
    assert [len(polygon.holes) for polygon in polygons] == [1, 0, 0]
    assert polygons[0].shell.tolist() == [
        [100.5, 200.5],
        [100.5, 207.5],
        [107.5, 207.5],
        [107.5, 200.5],
    ]
    assert trace(np.zeros((3, 3), bool)) == []


def test_a_hole_that_opens_at_a_corner_makes_a_ring_of_its_own() -> None:
    mask = np.ones((3, 3), bool)
    mask[1, 1] = mask[0, 0] = False
    (polygon,) = trace(mask)
    assert len(polygon.holes) == 1


@given(
    st.lists(
        st.tuples(st.floats(-20, 40, width=32), st.floats(-20, 40, width=32)),
        min_size=3,
        max_size=9,
    )
)
def test_any_polygon_is_filled_within_half_a_pixel(vertices: list[tuple[float, float]]) -> None:
    shapely = pytest.importorskip('shapely')
    filled = fill([vertices], (24, 20))
    row, column, mask = fill_patch([vertices], (24, 20))
    pasted = np.zeros_like(filled)
    pasted[row : row + mask.shape[0], column : column + mask.shape[1]] = mask
    assert np.array_equal(pasted, filled)
    line = shapely.LinearRing(vertices) if len(set(vertices)) > 1 else shapely.Point(vertices[0])
    polygon = shapely.Polygon(vertices).buffer(0) if len(set(vertices)) > 2 else shapely.Polygon()
    if not shapely.Polygon(vertices).is_valid:
        return  # even-odd and buffer(0) differ where lines cross
    for r, c in np.ndindex(filled.shape):
        centre = shapely.Point(r, c)
        if line.distance(centre) > 1e-6:
            assert filled[r, c] == polygon.contains(centre)


def test_neighbours_that_share_an_edge_share_no_pixel() -> None:
    left = fill([[(0, 0), (0, 4), (8, 4), (8, 0)]], (8, 8))
    right = fill([[(0, 4), (0, 8), (8, 8), (8, 4)]], (8, 8))
    assert not (left & right).any()
    assert (left | right).all()


@pytest.mark.parametrize(
    'ring', [[], [(1, 2)], [(1, 2, 3)] * 4, [(0, 0), (1, float('nan')), (2, 2)], 'abc', [[1], [2]]]
)
def test_what_is_no_polygon_is_told(ring: object) -> None:
    with pytest.raises(ExchangeError, match='polygon'):
        fill([ring], (5, 5))  # type: ignore[list-item]


def test_huge_coordinates_are_cut() -> None:
    assert fill(
        [[(-1e300, -1e300), (-1e300, 1e300), (1e300, 1e300), (1e300, -1e300)]], (4, 5)
    ).all()


def test_patches_are_all_of_the_labels() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, (3, 2, 20, 30)).astype(np.int32) * 2**28
    labels[1, 1] = 7  # a plane without background
    again = np.zeros_like(labels)
    for patch in patches(labels):
        height, width = patch.mask.shape
        view = again[patch.index][patch.row : patch.row + height, patch.column :][:, :width]
        view[patch.mask] = patch.label
        assert patch.area == np.count_nonzero(patch.mask)
    assert np.array_equal(again, labels)

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mobilesam.engine import (
    PlaneIndexError,
    PlaneKey,
    PlaneSource,
    boxes_on_plane,
    embed_points,
    plane_index,
    points_on_plane,
    round_index,
)


@st.composite
def keys(draw: st.DrawFn) -> PlaneKey:
    ndim = draw(st.integers(2, 5))
    axes = draw(st.permutations(range(ndim)))
    index = draw(st.lists(st.integers(0, 9), min_size=ndim - 2, max_size=ndim - 2))
    return PlaneKey('i', (axes[0], axes[1]), tuple(index))


POINTS = st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), max_size=6)


def test_T4_only_the_points_of_this_slice() -> None:
    coordinates = np.array([[3, 10, 20], [7, 11, 21], [3.4, 12, 22], [2.6, 13, 23], [3.6, 1, 1]])
    belongs, points = points_on_plane(coordinates, PlaneKey('i', (1, 2), (3,)))
    assert belongs.tolist() == [True, False, True, True, False]
    assert points.tolist() == [[10, 20], [12, 22], [13, 23]]


def test_T4_only_the_boxes_of_this_slice() -> None:
    def rectangle(z: float) -> np.ndarray:
        return np.array([[z, 9, 20], [z, 9, 4], [z, 2, 4], [z, 2, 20]])

    tilted = rectangle(3) + np.array([[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]])
    belongs, boxes = boxes_on_plane(
        [rectangle(7), rectangle(3), tilted], PlaneKey('i', (1, 2), (3,))
    )
    assert belongs.tolist() == [False, True, False]
    assert boxes == [(2, 4, 9, 20)]


@pytest.mark.parametrize('order', list(permutations(range(4))))
def test_T3_points_follow_the_displayed_axes(order: tuple[int, ...]) -> None:
    displayed = (order[2], order[3])
    position = np.array([1.2, 2.0, 3.3, 4.0])
    shape = (5, 6, 7, 8)
    key = PlaneKey('i', displayed, plane_index(position, shape, displayed))
    belongs, points = points_on_plane(position[None], key)
    assert belongs.all()
    assert points[0].tolist() == position[list(displayed)].tolist()
    # the pixel under the point is the same one that the plane shows there
    data = np.arange(np.prod(shape)).reshape(shape)
    row, column = round_index(points[0])
    assert PlaneSource(key, data).read()[row, column] == data[tuple(round_index(position))]


def test_T3_layers_with_fewer_axes_are_aligned_to_the_last() -> None:
    key = PlaneKey('i', (2, 3), (1, 5))
    belongs, points = points_on_plane([[4, 4], [6, 6]], key)  # in every plane
    assert belongs.all()
    assert points.tolist() == [[4, 4], [6, 6]]
    belongs, _ = points_on_plane([[5, 4, 4], [1, 4, 4]], key)  # its first axis is axis 1
    assert belongs.tolist() == [True, False]
    with pytest.raises(ValueError, match='do not fit'):
        points_on_plane([[4, 4]], PlaneKey('i', (1, 3), (1, 5)))
    with pytest.raises(ValueError, match='do not fit'):
        points_on_plane([[1, 1, 1, 4, 4]], key)


def test_T4_halves_go_to_even_numbers_everywhere() -> None:
    """The slice that is shown, the prompts on it, and the pixel under a position."""
    halves = [-1.5, -0.5, 0.5, 1.5, 2.5, 3.5]
    assert round_index(halves).tolist() == [-2, 0, 0, 2, 2, 4]
    for half in halves[1:]:
        (index,) = plane_index((half, 0, 0), (9, 9, 9), (1, 2))
        belongs, _ = points_on_plane([[half, 0, 0]], PlaneKey('i', (1, 2), (index,)))
        assert belongs.all(), half


@pytest.mark.parametrize('z', [-0.6, 4.6, 1e30, float('nan'), float('inf')])
def test_position_beside_the_image(z: float) -> None:
    with pytest.raises(PlaneIndexError, match='axis 0'):
        plane_index((z, 1, 1), (5, 9, 9), (1, 2))
    assert plane_index((2, float('nan'), -99), (5, 9, 9), (1, 2)) == (2,)


def test_coordinates_that_are_no_numbers_belong_nowhere() -> None:
    belongs, points = points_on_plane([[np.nan, 1, 1], [0, np.nan, 1]], PlaneKey('i', (1, 2), (0,)))
    assert not belongs.any()
    assert points.shape == (0, 2)


@pytest.mark.parametrize('empty', [np.zeros((0, 3)), []])
def test_no_points(empty: object) -> None:
    belongs, points = points_on_plane(empty, PlaneKey('i', (1, 2), (0,)))
    assert belongs.shape == (0,)
    assert points.shape == (0, 2)
    assert boxes_on_plane([], PlaneKey('i', (1, 2), (0,)))[1] == []


def test_rotated_rectangles_and_transposed_planes() -> None:
    diamond = np.array([[0, 5, 3], [0, 8, 6], [0, 5, 9], [0, 2, 6]])
    assert boxes_on_plane([diamond], PlaneKey('i', (1, 2), (0,)))[1] == [(2, 3, 8, 9)]
    assert boxes_on_plane([diamond], PlaneKey('i', (2, 1), (0,)))[1] == [(3, 2, 9, 8)]


@given(keys(), POINTS)
def test_points_put_into_a_plane_are_found_on_it(key: PlaneKey, points: list) -> None:
    coordinates = embed_points(points, key)
    assert coordinates.shape == (len(points), key.ndim)
    belongs, found = points_on_plane(coordinates, key)
    assert belongs.all()
    np.testing.assert_array_equal(found, np.reshape(points, (-1, 2)))


@given(keys(), POINTS.filter(bool), st.data())
def test_and_on_no_other(key: PlaneKey, points: list, data: st.DataObject) -> None:
    if not key.index:
        return
    axis = data.draw(st.sampled_from(key.indexed))
    coordinates = embed_points(points, key)
    coordinates[:, axis] += data.draw(st.sampled_from([-1.0, 0.6, 2.0]))
    assert not points_on_plane(coordinates, key)[0].any()

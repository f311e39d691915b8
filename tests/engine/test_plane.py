from __future__ import annotations

from itertools import permutations
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_mobilesam.engine import IntensityMapping, PlaneIndexError, PlaneKey, PlaneSource


class Recorder:
    """An array that remembers how it was indexed."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.shape = data.shape
        self.dtype = data.dtype
        self.requests: list[Any] = []

    def __getitem__(self, index: Any) -> np.ndarray:
        self.requests.append(index)
        return self.data[index]


@pytest.fixture
def stack() -> np.ndarray:
    return np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)


@pytest.mark.parametrize('order', list(permutations(range(4))))
def test_T3_every_order_of_axes(stack: np.ndarray, order: tuple[int, ...]) -> None:
    displayed = order[2], order[3]
    indexed = sorted(order[:2])
    position = tuple(stack.shape[axis] - 1 for axis in indexed)
    source = PlaneSource(PlaneKey('i', displayed, position), stack)
    # moveaxis is a second, independent way to the same picture
    expected = np.moveaxis(stack, (*indexed, *displayed), range(4))[position]
    assert source.shape == expected.shape
    np.testing.assert_array_equal(source.read(), expected)


@pytest.mark.parametrize('displayed', [(2, 3), (3, 2), (1, 3), (0, 2)])
@pytest.mark.parametrize('kind', ['dask', 'zarr'])
def test_lazy_arrays_give_the_same_pixels(
    stack: np.ndarray, displayed: tuple[int, int], kind: str
) -> None:
    lazy = (
        da.from_array(stack, chunks=2) if kind == 'dask' else zarr.array(stack, chunks=(1, 1, 2, 2))
    )
    key = PlaneKey('i', displayed, (1, 0))
    pixels = PlaneSource(key, lazy).read()
    assert type(pixels) is np.ndarray
    assert pixels.dtype == stack.dtype
    np.testing.assert_array_equal(pixels, PlaneSource(key, stack).read())


def test_only_the_needed_plane_is_read(stack: np.ndarray) -> None:
    recorder = Recorder(stack)
    source = PlaneSource(PlaneKey('i', (2, 3), (1, 2)), recorder)
    assert source.shape == (4, 5)
    assert recorder.requests == []
    source.read()
    assert recorder.requests == [(1, 2, slice(None), slice(None))]


def test_only_the_needed_dask_chunks_are_computed() -> None:
    computed = []

    def block(block_id: Any = None) -> np.ndarray:
        computed.append(block_id)
        return np.ones((1, 8, 8))

    lazy = da.map_blocks(
        block, chunks=((1,) * 50, (8,), (8,)), dtype=float, meta=np.zeros((0, 0, 0))
    )
    computed.clear()
    PlaneSource(PlaneKey('i', (1, 2), (7,)), lazy).read()
    assert computed == [(7, 0, 0)]


def test_T24_four_slices_are_no_colours() -> None:
    stack = np.zeros((4, 16, 16), np.uint8)
    stack[2] = 200
    source = PlaneSource(PlaneKey('i', (1, 2), (2,)), stack, IntensityMapping('full'))
    assert source.shape == (16, 16)
    assert source.read().min() == 200

    last = np.zeros((16, 16, 4), np.uint8)
    assert PlaneSource(PlaneKey('i', (0, 1), (3,)), last).shape == (16, 16)
    assert PlaneSource(PlaneKey('i', (0, 1)), last, rgb=True).image().shape == (16, 16, 3)
    with pytest.raises(ValueError, match='one index for each axis'):
        PlaneSource(PlaneKey('i', (0, 1)), last)
    with pytest.raises(ValueError, match='one index for each axis'):
        PlaneSource(PlaneKey('i', (1, 2), (0,)), last, rgb=True)


@pytest.mark.parametrize('channels', [3, 4])
def test_colour_stack_transposed(channels: int) -> None:
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 255, (3, 6, 7, channels), dtype=np.uint8)
    source = PlaneSource(PlaneKey('i', (2, 1), (1,)), stack, rgb=True)
    assert source.shape == (7, 6)
    np.testing.assert_array_equal(source.image(), stack[1].swapaxes(0, 1)[..., :3])


def test_colour_needs_three_or_four_channels() -> None:
    with pytest.raises(ValueError, match='3 or 4 channels'):
        PlaneSource(PlaneKey('i', (0, 1)), np.zeros((8, 8, 2)), rgb=True)


@pytest.mark.parametrize('index', [(3, 0), (0, 5), (99, 0)])
def test_index_beside_the_image(index: tuple[int, int]) -> None:
    with pytest.raises(PlaneIndexError, match='outside of axis'):
        PlaneSource(PlaneKey('i', (2, 3), index), np.zeros((3, 5, 4, 4)))


@pytest.mark.parametrize(
    ('displayed', 'index', 'level'), [((1, 2), (-1,), 0), ((-2, -1), (0,), 0), ((0, 1), (0,), -1)]
)
def test_nothing_counts_from_the_end(
    displayed: tuple[int, int], index: tuple[int, ...], level: int
) -> None:
    with pytest.raises(PlaneIndexError, match='never negative'):
        PlaneKey('i', displayed, index, level)


@pytest.mark.parametrize('displayed', [(1, 1), (1, 3), (0,), (0, 1, 2)])
def test_impossible_axes(displayed: Any) -> None:
    with pytest.raises(ValueError, match='displayed axes'):
        PlaneKey('i', displayed, (0,))


def test_empty_plane() -> None:
    with pytest.raises(ValueError, match='no pixels'):
        PlaneSource(PlaneKey('i', (0, 1)), np.zeros((0, 5)))


def test_keys_of_numpy_integers_equal_plain_ones() -> None:
    key = PlaneKey('i', (np.int64(1), np.int64(2)), (np.int32(4),))
    assert key == PlaneKey('i', (1, 2), (4,))
    assert len({key, PlaneKey('i', (1, 2), (4,)), PlaneKey('i', (2, 1), (4,))}) == 2
    assert repr(key.index) == '(4,)'
    assert key.indexed == (0,)
    assert key.ndim == 3

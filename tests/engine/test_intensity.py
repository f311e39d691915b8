from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_mobilesam.engine import IntensityMapping, to_rgb8, window
from napari_mobilesam.engine import intensity as module

MODES = [
    IntensityMapping(),
    IntensityMapping('full'),
    IntensityMapping('displayed', limits=(10, 100), gamma=0.5),
]


def ramp(dtype: str) -> NDArray:
    return np.linspace(0, 100, 64 * 64).reshape(64, 64).astype(dtype)


@pytest.mark.parametrize(
    'dtype',
    [
        *('u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f2', 'f4', 'f8', 'g'),
        *('>u2', '>i2', '>i4', '>f4', '>f8'),
    ],
)
@pytest.mark.parametrize('mode', ['percentile', 'full'])
def test_T23_every_dtype_gives_the_same_picture(dtype: str, mode: str) -> None:
    image = to_rgb8(ramp(dtype), IntensityMapping(mode))
    expected = np.clip(ramp(dtype).astype(float) / 100 * 255, 0, 255)
    assert image.dtype == np.uint8
    assert image.shape == (64, 64, 3)
    # of whole numbers the percentiles leave out the one largest value
    np.testing.assert_allclose(image[..., 0], expected, atol=1 if mode == 'full' else 4)
    assert (image == image[..., :1]).all()


@pytest.mark.parametrize('mapping', MODES)
@pytest.mark.parametrize('dtype', ['u1', '>i2', 'i8', 'f4', '?'])
@pytest.mark.parametrize('value', [0, 1, 77])
def test_T23_constant(mapping: IntensityMapping, dtype: str, value: int) -> None:
    image = to_rgb8(np.full((9, 11), value, dtype), mapping)
    assert image.shape == (9, 11, 3)
    assert np.ptp(image) == 0


def test_T23_bool() -> None:
    mask = np.zeros((8, 8), bool)
    mask[2:4] = True
    image = to_rgb8(mask, IntensityMapping())
    assert (image[2:4] == 255).all()
    assert image.sum() == 2 * 8 * 3 * 255


@pytest.mark.parametrize('dtype', ['u2', 'f4'])
@pytest.mark.parametrize('side', [10, 100])
def test_T23_hot_pixel_does_not_blacken(dtype: str, side: int) -> None:
    pixels = np.linspace(100, 200, side * side).reshape(side, side).astype(dtype)
    clean = to_rgb8(pixels, IntensityMapping())
    pixels[side // 2, side // 2] = 65535
    image = to_rgb8(pixels, IntensityMapping())
    assert image[side // 2, side // 2, 0] == 255
    assert np.median(image) == pytest.approx(np.median(clean), abs=4)
    # what the trap is about: the plain maximum would do it
    assert np.median(to_rgb8(pixels, IntensityMapping('full'))) < 2


def test_T23_twelve_bits_in_uint16_fill_the_range() -> None:
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    image = to_rgb8(pixels)
    assert image.min() == 0
    assert image.max() == 255
    assert len(np.unique(image)) == 256
    assert (np.diff(image[..., 0].ravel().astype(int)) >= 0).all()  # nothing wraps round


def test_T23_negative_numbers_do_not_wrap() -> None:
    image = to_rgb8(np.array([[-30000, 0, 30000]], np.int16), IntensityMapping('full'))
    assert image[0, :, 0].tolist() == [0, 128, 255]


def test_T23_a_window_wider_than_the_largest_number() -> None:
    image = to_rgb8(np.array([[-1.7e308, 0, 1.7e308]]), IntensityMapping('full'))
    assert image[0, :, 0].tolist() == [0, 128, 255]


def test_T23_not_finite() -> None:
    pixels = ramp('f4')
    pixels[0, 0], pixels[0, 1], pixels[0, 2] = np.nan, np.inf, -np.inf
    for mapping in MODES:
        image = to_rgb8(pixels, mapping)
        assert image[0, :3, 0].tolist() == [0, 255, 0]
        assert image[-1, -1, 0] == 255
    assert not to_rgb8(np.full((4, 4), np.nan)).any()


def test_T23_empty() -> None:
    assert to_rgb8(np.zeros((0, 7))).shape == (0, 7, 3)
    assert to_rgb8(np.zeros((7, 0, 3), np.float32)).shape == (7, 0, 3)


def test_rare_bright_spots_on_flat_ground_stay_visible() -> None:
    pixels = np.zeros((100, 100), np.uint16)
    pixels[50, 50] = 1000
    assert to_rgb8(pixels)[50, 50, 0] == 255


def test_displayed_limits_and_gamma() -> None:
    pixels = np.array([[0, 10, 55, 100, 200]], np.uint8)
    linear = IntensityMapping('displayed', limits=(10, 100))
    assert to_rgb8(pixels, linear)[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    curved = IntensityMapping('displayed', limits=(10, 100), gamma=2)
    assert to_rgb8(pixels, curved)[0, 2, 0] == round(0.25 * 255)


def test_colour_passes_through_unchanged() -> None:
    picture = np.random.default_rng(0).integers(0, 99, (5, 6, 4), dtype=np.uint8)
    image = to_rgb8(picture)
    np.testing.assert_array_equal(image, picture[..., :3])
    image[:] = 0
    assert picture.any()  # a new array, not a view


def test_unit_float_colour_is_scaled_as_shown() -> None:
    picture = np.zeros((2, 2, 3), np.float32)
    picture[0, 0] = 0.2, 0.4, 0.6
    assert to_rgb8(picture)[0, 0].tolist() == [51, 102, 153]


def test_deep_colour_keeps_its_hue() -> None:
    picture = np.zeros((32, 32, 3), np.uint16)
    picture[..., 0] = np.linspace(0, 4000, 1024).reshape(32, 32)
    picture[..., 1] = picture[..., 0] // 2
    image = to_rgb8(picture, IntensityMapping('full'))
    assert image[-1, -1].tolist() == [255, 128, 0]


@pytest.mark.parametrize('shape', [(3,), (4, 4, 2), (2, 4, 4, 3)])
def test_not_a_plane(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='a plane has the shape'):
        to_rgb8(np.zeros(shape))


def test_complex_numbers() -> None:
    with pytest.raises(TypeError, match='real numbers'):
        to_rgb8(np.zeros((2, 2), complex))


@pytest.mark.parametrize(
    'arguments',
    [
        {'mode': 'minmax'},
        {'low': 50, 'high': 50},
        {'low': -1},
        {'high': 101},
        {'gamma': 0},
        {'gamma': float('nan')},
        {'mode': 'displayed'},
        {'limits': (2, 1)},
        {'limits': (0, float('inf'))},
    ],
)
def test_impossible_mappings(arguments: dict) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ
        IntensityMapping(**arguments)


def test_large_planes_are_sampled_with_nearly_the_same_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.random.default_rng(0).normal(1000, 100, (600, 700))
    exact = window(pixels, IntensityMapping())
    monkeypatch.setattr(module, '_SAMPLE_PIXELS', 50_000)
    assert window(pixels, IntensityMapping()) != exact
    assert window(pixels, IntensityMapping()) == pytest.approx(exact, rel=0.1)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = to_rgb8(ramp('f8'))
    monkeypatch.setattr(module, '_BLOCK_VALUES', 100)
    np.testing.assert_array_equal(to_rgb8(ramp('f8')), whole)


REAL = st.one_of(
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    st.just(np.dtype('?')),
)


@settings(max_examples=150, deadline=None)
@given(
    pixels=REAL.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=2, max_dims=2))),
    mapping=st.sampled_from(MODES),
)
def test_T23_anything_maps_without_a_warning_and_in_order(
    pixels: NDArray, mapping: IntensityMapping
) -> None:
    image = to_rgb8(pixels, mapping)
    assert image.shape == (*pixels.shape, 3)
    values, mapped = pixels.ravel(), image[..., 0].ravel().astype(int)
    known = ~np.isnan(values) if values.dtype.kind == 'f' else np.ones(values.size, bool)
    order = np.argsort(values[known], kind='stable')
    assert (np.diff(mapped[known][order]) >= 0).all()

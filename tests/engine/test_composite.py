from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_mobilesam.engine import (
    Cancelled,
    CancelToken,
    Channel,
    Frame,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
)

KEY = PlaneKey('i', (0, 1))
UNIT = IntensityMapping('displayed', limits=(0, 255))
RED, GREEN, BLUE = (np.outer(np.linspace(0, 1, 256), colour) for colour in np.eye(3))


def source(pixels: Any, mapping: IntensityMapping = UNIT, **keywords: Any) -> PlaneSource:
    return PlaneSource(KEY, np.asarray(pixels), mapping, **keywords)


def picture(*channels: Channel, frame: Frame | None = None) -> np.ndarray:
    return PlaneSource(KEY, channels[0].source.array, frame=frame, channels=tuple(channels)).image()


def flat(value: int) -> PlaneSource:
    return source(np.full((4, 6), value, np.uint8))


def test_three_images_as_red_green_blue() -> None:
    red, green, blue = (
        np.random.default_rng(seed).integers(0, 255, (4, 6), np.uint8) for seed in range(3)
    )
    channels = [
        Channel(source(pixels), colours)
        for pixels, colours in ((red, RED), (green, GREEN), (blue, BLUE))
    ]
    np.testing.assert_array_equal(picture(*channels), np.stack([red, green, blue], axis=-1))


@pytest.mark.parametrize(
    ('blending', 'opacity', 'expected'),
    [
        ('translucent', 0.5, 150),
        ('translucent_no_depth', 1.0, 200),
        ('opaque', 0.1, 200),
        ('additive', 0.5, 200),
        ('additive', 1.0, 255),
        ('minimum', 1.0, 100),
        ('multiplicative', 1.0, round(100 * 200 / 255)),
    ],
)
def test_blending_over_another(blending: Any, opacity: float, expected: int) -> None:
    below = Channel(flat(100))
    above = Channel(flat(200), opacity=opacity, blending=blending)
    assert np.unique(picture(below, above)).tolist() == [expected]


@pytest.mark.parametrize(
    ('blending', 'expected'),
    [('minimum', 200), ('opaque', 100), ('multiplicative', 100), ('additive', 100)],
)
def test_the_lowest_lies_on_black(blending: Any, expected: int) -> None:
    alone = Channel(flat(200), opacity=0.5, blending=blending)
    assert np.unique(picture(alone)).tolist() == [expected]


def test_colours_may_be_transparent() -> None:
    colours = np.column_stack([np.ones((256, 3)), np.linspace(0, 1, 256)])
    above = Channel(source(np.array([[0, 51, 255]], np.uint8)), colours, blending='translucent')
    below = Channel(source(np.zeros((1, 3), np.uint8)))
    assert picture(below, above)[0, :, 0].tolist() == [0, 51, 255]


def test_colour_images_keep_their_colours() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    channels = (Channel(source(pixels, rgb=True)),)
    result = PlaneSource(KEY, pixels[..., 0], channels=channels).image()
    np.testing.assert_array_equal(result, pixels)


def test_another_grid_is_met_where_it_lies() -> None:
    below = np.zeros((8, 8), np.uint8)
    above = np.array([[250, 0], [0, 120]], np.uint8)
    # pixels of `above` are 2 x 2 of `below`, and its corner lies at (2, 4)
    matrix = [[0.5, 0, -1.25], [0, 0.5, -2.25]]
    result = picture(Channel(source(below)), Channel(source(above), matrix=np.array(matrix)))
    expected = np.zeros((8, 8), np.uint8)
    expected[2:4, 4:6], expected[4:6, 6:8] = 250, 120
    np.testing.assert_array_equal(result[..., 0], expected)


def test_a_rotated_grid() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 6), np.uint8)
    below = Channel(source(np.zeros((6, 6), np.uint8)))
    turned = Channel(source(pixels), matrix=np.array([[0, 1, 0], [-1, 0, 5]]))
    np.testing.assert_array_equal(picture(below, turned)[..., 0], np.rot90(pixels))


def test_only_what_the_frame_needs_is_read() -> None:
    asked = []

    class Recorder:
        shape, dtype = (100, 100), np.dtype(np.uint8)

        def __getitem__(self, index: Any) -> np.ndarray:
            asked.append(index)
            return np.zeros(self.shape, np.uint8)[index]

    recorder = PlaneSource(KEY, Recorder(), UNIT)
    matrix = np.array([[1, 0, 40], [0, 1, -30.0]])
    far = np.array([[1, 0, 400], [0, 1, 400.0]])
    channels = tuple(Channel(recorder, matrix=place) for place in (matrix, far))
    frame = Frame(10, 35, 20, 20)
    result = PlaneSource(KEY, np.zeros((90, 90)), frame=frame, channels=channels).image()
    assert result.shape == (20, 20, 3)
    assert asked == [(slice(50, 70), slice(5, 25))]


def test_large_ones_go_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_mobilesam.engine import composite

    rng = np.random.default_rng(0)
    first, second = (source(rng.integers(0, 255, (40, 30), np.uint8)) for _ in range(2))
    channels = (Channel(first, RED), Channel(second, matrix=np.array([[0.9, 0, 1], [0, 1, 2]])))
    at_once = picture(*channels)
    monkeypatch.setattr(composite, '_BLOCK_PIXELS', 90)
    np.testing.assert_array_equal(picture(*channels), at_once)


def test_cancelled_between_channels() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        PlaneSource(KEY, np.zeros((4, 6)), channels=(Channel(flat(1)),)).image(token)


def test_the_same_picture_is_known() -> None:
    pixels = source(np.zeros((4, 6), np.uint8))
    one = PlaneSource(KEY, pixels.array, channels=(Channel(pixels, RED),))
    assert one.same_picture(PlaneSource(KEY, pixels.array, channels=(Channel(pixels, RED),)))
    for other in (
        Channel(pixels, GREEN),
        Channel(pixels),
        Channel(pixels, RED, opacity=0.5),
        Channel(pixels, RED, matrix=np.array([[1, 0, 1], [0, 1, 0]])),
        Channel(source(np.zeros((4, 6), np.uint8)), RED),
    ):
        assert not one.same_picture(PlaneSource(KEY, pixels.array, channels=(other,)))
    assert not one.same_picture(None)


@pytest.mark.parametrize(
    'keywords',
    [{'blending': 'screen'}, {'opacity': 2}, {'colours': np.ones((4, 3))}, {'matrix': np.eye(3)}],
)
def test_bad_values_are_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r'blending|opacity|colours|matrix'):
        Channel(flat(0), **keywords)

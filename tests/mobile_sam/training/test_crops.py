from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from mobile_sam.training.augment import augment
from mobile_sam.training.crops import (
    SMALL,
    Window,
    beside,
    cut,
    draw_kin,
    draw_window,
    true_window,
    typical_size,
)
from mobile_sam.training.data import Sample

from .conftest import discs


def sample(shape: tuple[int, int] = (64, 80)) -> Sample:
    image, labels = discs(0, shape)
    return Sample(np.repeat(image[..., None], 3, 2), labels.astype(np.int32), True)


def test_a_true_window_shows_what_inference_sees_there():
    whole = sample((256, 320))
    resized = np.asarray(Image.fromarray(whole.image).resize((1024, 819), Image.BILINEAR))
    crop = cut(whole, true_window((256, 320), 160, 416, 224))
    # The frame's 819 rows are 819.2 by the scale, so resampling differs by a trace.
    difference = np.abs(crop.image.astype(int) - resized[160:384, 416:640])
    assert difference.mean() < 1
    assert crop.inside.all()


def test_outside_of_the_image_the_frame_is_padding():
    whole = sample((256, 320))
    crop = cut(whole, true_window((256, 320), 704, 0, 224))
    rows = round(256 * 3.2) - 704
    assert crop.inside[:rows].all()
    assert not crop.inside[rows:].any()
    assert not crop.labels[rows // 2 + 1 :].any()


def test_labels_lie_where_the_image_shows_them():
    whole = sample()
    crop = cut(whole, true_window((64, 80), 128, 96, 448))
    bright = crop.image[::2, ::2, 0] > 105
    assert (bright == (crop.labels > 0)).mean() > 0.97


def test_windows_set_aside_show_typical_objects_small():
    rng = np.random.default_rng(0)
    whole = sample((128, 160))
    diameter = typical_size(whole)
    assert diameter > 2 * SMALL[1]
    usual = 1024 / 160
    for jitter in (True, False):
        shown = [
            diameter * draw_window(whole, 224, rng, jitter=jitter, small=1.0).scale / usual
            for _ in range(50)
        ]
        least = max(SMALL[0], diameter * 0.8 * 224 / 1024)
        assert least - 1 <= min(shown)
        assert max(shown) <= SMALL[1] + 1
    few = [draw_window(whole, 224, rng, jitter=False, small=0.3).scale for _ in range(200)]
    assert 0.2 < np.mean(np.array(few) < 0.9 * usual) < 0.4


@pytest.mark.parametrize('side', [192, 224, 448])
def test_drawn_windows_lie_in_the_frame_on_the_token_grid(side: int):
    rng = np.random.default_rng(0)
    whole = sample()
    for _ in range(100):
        window = draw_window(whole, side, rng)
        assert window.top % 16 == window.left % 16 == 0
        assert 0 <= window.top <= 1024 - side
        assert 0 <= window.left <= 1024 - side
        assert cut(whole, window).inside.any()


def test_objects_that_would_fill_a_window_are_shown_smaller():
    labels = np.zeros((100, 100), np.int32)
    labels[20:80, 20:80] = 1
    large = Sample(np.zeros((100, 100, 3), np.uint8), labels, True)
    rng = np.random.default_rng(0)
    scales = [draw_window(large, 224, rng).scale for _ in range(20)]
    assert max(scales) * 60 < 224


def test_augmenting_keeps_image_and_labels_together_and_padding_in_place():
    crop = cut(sample(), true_window((64, 80), 0, 0, 448))
    rng = np.random.default_rng(1)
    for _ in range(30):
        changed = augment(crop, rng)
        levels = changed.image[::2, ::2].mean(2)
        inside, outside = levels[changed.labels > 0], levels[changed.labels == 0]
        assert abs(inside.mean() - outside.mean()) > 3
        assert changed.image.dtype == np.uint8
    padded = cut(sample(), true_window((64, 80), 704, 0, 224))
    changed = augment(padded, rng)
    np.testing.assert_array_equal(changed.inside, padded.inside)
    np.testing.assert_array_equal(changed.labels, padded.labels)


def test_a_window_beyond_the_image_is_all_padding():
    crop = cut(sample(), dataclasses.replace(Window(0, 0, 224, 2.0, 0.0, 0.0), row=500.0))
    assert not crop.inside.any()
    assert not crop.labels.any()


def test_kin_are_other_places_of_the_same_frame():
    rng = np.random.default_rng(0)
    whole = sample((64, 80))
    for _ in range(20):
        first = draw_window(whole, 224, rng)
        kin = draw_kin(whole, first, 3, rng)
        assert kin[0] == first
        for window in kin[1:]:
            assert window.scale == first.scale
            moved = np.array([window.top - first.top, window.left - first.left])
            shown = np.array([window.row - first.row, window.col - first.col])
            np.testing.assert_allclose(shown * first.scale, moved)
            assert np.abs(moved).max() >= 224
            assert cut(whole, window).inside.mean() >= 0.25


def test_a_picture_smaller_than_two_windows_has_no_kin():
    whole = sample((64, 80))
    first = Window(320, 320, 448, 1.0, 0.0, 0.0)
    assert draw_kin(whole, first, 2, np.random.default_rng(0)) == [first]


@pytest.mark.parametrize('side', [224, 448])
def test_windows_of_other_pictures_stand_beside_with_labels_of_their_own(side: int):
    rng = np.random.default_rng(0)
    mine, other = (cut(sample(), draw_window(sample(), side, rng)) for _ in range(2))
    for _ in range(20):
        placed = beside([mine], [other], rng)
        a, b = (crop.window for crop in placed)
        assert max(abs(a.top - b.top), abs(a.left - b.left)) >= side
        assert all(v % 16 == 0 and 0 <= v <= 1024 - side for w in (a, b) for v in (w.top, w.left))
        assert np.array_equal(placed[0].labels, mine.labels)
        assert not set(np.unique(placed[1].labels)) & set(np.unique(mine.labels)) - {0}
        assert np.array_equal(placed[1].labels > 0, other.labels > 0)


def test_a_frame_with_no_room_says_so():
    crop = cut(sample(), true_window((64, 80), 0, 0, 448))
    with pytest.raises(ValueError, match='5 windows of 448 model pixels do not fit'):
        beside([crop] * 4, [crop], np.random.default_rng(0))

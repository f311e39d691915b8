from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from mobile_sam.training.augment import augment
from mobile_sam.training.crops import Window, cut, draw_window, true_window
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

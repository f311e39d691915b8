"""Masks made tile by tile are those of the model's own two steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from mobile_sam.fast.masks import Upscaler, upscaler

GEOMETRIES = [
    ((1024, 1024), (1024, 1024)),
    ((256, 256), (1024, 1024)),
    ((300, 400), (768, 1024)),
    ((1533, 2048), (767, 1024)),
    ((2000, 1501), (1024, 769)),
    ((1300, 77), (1024, 61)),
    ((1, 1), (1024, 1024)),
    ((5, 3000), (2, 1024)),
]


def two_steps(logits: np.ndarray, input_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(logits)[None, None]
    tensor = functional.interpolate(tensor, (1024, 1024), mode='bilinear', align_corners=False)
    tensor = tensor[..., : input_size[0], : input_size[1]]
    return functional.interpolate(tensor, size, mode='bilinear', align_corners=False)[0, 0].numpy()


def blobs(seed: int) -> np.ndarray:
    """Logits like a decoder's: smooth, with objects of all sizes and holes in them."""
    noise = np.random.default_rng(seed).normal(size=(256, 256))
    smooth = sum(ndimage.gaussian_filter(noise, s) * s * w for s, w in ((2, 4), (8, 8), (30, 6)))
    return (smooth - 1).astype(np.float32)


@pytest.mark.parametrize(('original', 'resized'), GEOMETRIES)
@pytest.mark.parametrize('threshold', [0.0, -1.0])
def test_no_pixel_differs(
    original: tuple[int, int], resized: tuple[int, int], threshold: float
) -> None:
    for seed in range(2):
        logits = blobs(seed)
        expected = two_steps(logits, resized, original)
        rows, columns, patch = Upscaler(256, resized, original).above(logits, threshold)
        mask = np.zeros(original, bool)
        mask[rows, columns] = patch
        wrong = mask != (expected > threshold)
        # only where float32 sums in another order round to the other side
        assert np.abs(expected[wrong] - threshold).max(initial=0) < 2e-6
        assert wrong.sum() <= 2
        if mask.any():
            assert patch[0].any()
            assert patch[-1].any()
            assert patch[:, 0].any()
            assert patch[:, -1].any()


def test_the_geometry_of_a_picture_is_made_once() -> None:
    assert upscaler(256, (1024, 1024), (300, 300)) is upscaler(256, (1024, 1024), (300, 300))


def test_an_input_larger_than_the_square() -> None:
    with pytest.raises(ValueError, match='at most 256 pixels'):
        Upscaler(64, (300, 256), (10, 10))

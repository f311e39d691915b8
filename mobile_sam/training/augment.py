"""Random changes of crops that keep the objects recognisable."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .crops import Crop

Pixel = TypeVar('Pixel', bound=np.generic)

GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


def augment(crop: Crop, rng: np.random.Generator) -> Crop:
    """Return a crop turned, mirrored and with other intensities; padding stays padding.

    Windows with padding are not turned, because padding is always at the bottom and right.
    """
    image, inside, labels = crop.image, crop.inside, crop.labels
    if bool(inside.all()):
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        image, labels = _turn(image, turns, mirror), _turn(labels, turns, mirror)
    pixels = np.ascontiguousarray(image, np.float32) / np.float32(255)
    pixels = _grey(pixels, rng) if crop.grey else _colour(pixels, rng)
    pixels = _sharpness(pixels, rng)
    image = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return dataclasses.replace(crop, image=image, labels=np.ascontiguousarray(labels))


def _turn(array: NDArray[Pixel], turns: int, mirror: bool) -> NDArray[Pixel]:
    array = np.rot90(array, turns)
    return array[:, ::-1] if mirror else array


def _grey(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    plane = _levels(pixels[..., 0], rng)
    if rng.random() < 0.1:
        plane = 1 - plane
    if rng.random() < 0.15:
        plane = plane + _shading(plane.shape, rng)
    pixels = np.repeat(plane[..., None], 3, axis=2)
    if rng.random() < 0.05:
        # Pseudo-colour: one hue, as a merged channel is saved by many programs.
        pixels = pixels * rng.uniform(0, 1, 3).astype(np.float32)
    return pixels


def _colour(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    chance = rng.random()
    if chance < 0.15:
        plane = _levels(pixels @ GREY_WEIGHTS, rng)
        return np.repeat((1 - plane if rng.random() < 0.5 else plane)[..., None], 3, axis=2)
    if chance < 0.25:
        pixels = pixels[..., rng.permutation(3)]
    gain = rng.uniform(0.8, 1.2, 3).astype(np.float32)
    offset = rng.uniform(-0.1, 0.1, 3).astype(np.float32)
    pixels = np.clip(pixels * gain + offset, 0, 1)
    return _levels(pixels, rng)


def _levels(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gamma, contrast and brightness; also stands for other percentile mappings."""
    if rng.random() < 0.6:
        pixels = np.clip(pixels, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.35)))
    if rng.random() < 0.6:
        contrast, brightness = np.exp(rng.normal(0, 0.25)), rng.normal(0, 0.06)
        middle = pixels.mean()
        pixels = (pixels - middle) * np.float32(contrast) + middle + np.float32(brightness)
    return np.clip(pixels, 0, 1)


def _shading(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Uneven illumination: a plane with a random slope."""
    slope = rng.uniform(-0.25, 0.25, 2)
    r, c = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in shape)
    return np.asarray(slope[0] * r[:, None] + slope[1] * c, np.float32)


def _sharpness(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    chance = rng.random()
    if chance < 0.12:
        from PIL import Image, ImageFilter

        eight = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
        blurred = eight.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 2.5))))
        pixels = np.asarray(blurred, np.float32) / np.float32(255)
    elif chance < 0.4:
        # Noise of one, two or four model pixels: small images are magnified together with theirs.
        grain = int(rng.choice((1, 2, 4)))
        side = pixels.shape[0] // grain
        noise = rng.standard_normal((side, side, 1), np.float32) * np.float32(
            rng.uniform(0.01, 0.08)
        )
        pixels = pixels + noise.repeat(grain, 0).repeat(grain, 1)
    return pixels

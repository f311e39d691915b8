"""From light to grey values: illumination, blur, out-of-focus light, photons, camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mobile_sam.training.simulate._layout import Floats, smooth_noise
from mobile_sam.training.simulate._scene import Scene


def blur(image: Floats, sigma: float, spacing: tuple[float, ...], axial: float = 2.5) -> Floats:
    """Blur by `sigma` pixels of the last axis; a depth axis `axial` times as much, as a microscope
    does.
    """
    if sigma <= 0:
        return image
    sigmas = [sigma * axial / p for p in spacing[:-2]] + [sigma, sigma]
    return np.asarray(
        ndimage.gaussian_filter(image, sigmas, mode='nearest', truncate=3.0), dtype=np.float32
    )


def wide_blur(image: Floats, sigma: float) -> Floats:
    """Blur of a large `sigma` in rows and columns, computed on a reduced picture: fast, and as
    smooth.
    """
    step = max(1, int(sigma / 3))
    small = image[..., ::step, ::step]
    sigmas = [0.0] * (image.ndim - 2) + [sigma / step] * 2
    soft = ndimage.gaussian_filter(small, sigmas, mode='nearest', truncate=3.0)
    if step == 1:
        return np.asarray(soft, dtype=np.float32)
    scale = np.array([1.0] * (image.ndim - 2) + [1 / step] * 2)
    return np.asarray(
        ndimage.affine_transform(soft, scale, output_shape=image.shape, order=1, mode='nearest'),
        dtype=np.float32,
    )


def illumination(scene: Scene) -> Floats:
    """Multiplicative light field of mean 1: a tilted, off-centre bell, the same in every plane."""
    height, width = scene.shape[-2:]
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, height, dtype=np.float32),
        np.linspace(-1, 1, width, dtype=np.float32),
        indexing='ij',
    )
    centre = scene.rng.uniform(-0.6, 0.6, 2)
    fall = 0.35 * scene.illumination
    field = np.exp(-fall * ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2))
    field = field * (
        1 + 0.06 * scene.illumination * smooth_noise(scene.rng, (height, width), width / 3)
    )
    return np.asarray(field / field.mean(), dtype=np.float32)


def out_of_focus(scene: Scene, light: Floats) -> Floats:
    """Light of other planes: the picture's own glow and objects that lie above or below."""
    if scene.haze <= 0:
        return np.zeros_like(light)
    glow = wide_blur(light, 1.2 * scene.size)
    scale = [max(1.0, 2 * scene.size / p) for p in scene.spacing]
    others = np.maximum(smooth_noise(scene.rng, scene.shape, scale), 0) ** 2
    strength = float(np.percentile(light, 99)) or 1.0
    return np.asarray(
        scene.haze * (0.6 * glow + 0.13 * strength * scene.rng.uniform(0.2, 1) * others)
    )


def expose(scene: Scene, light: Floats) -> NDArray[Any]:
    """Take the picture of fluorescence: optics, photons, read noise, digits.

    Parameters
    ----------
    light
        Not negative, 0 = dark, about 1 = a bright object.
    """
    rng = scene.rng
    picture = blur(light, scene.blur, scene.spacing) + out_of_focus(scene, light)
    picture = np.maximum(picture * illumination(scene), 0)
    photons = 10 ** (3.4 - 2.3 * scene.noise)
    detected = rng.poisson(picture * photons).astype(np.float32) / photons
    read = rng.uniform(0.3, 1.5) / photons**0.8
    detected += rng.standard_normal(detected.shape, dtype=np.float32) * np.float32(read)
    # Cameras are seldom set so that the brightest pixel just fits: dim pictures and clipped ones
    # both occur.
    fill = float(rng.uniform(0.35, 1.15))
    top = float(np.percentile(detected[..., ::2, ::2], 99.8))
    offset = float(rng.uniform(0.01, 0.06))
    return digitise(offset + detected * (fill / max(top, 1e-6)), scene.dtype)


def develop(scene: Scene, transmitted: Floats, grain: float = 1.0) -> NDArray[Any]:
    """Take the picture in transmitted light or of an electron detector: a bright field of about
    0.5, noise on top.

    Parameters
    ----------
    transmitted
        0 = black, 1 = white; (Y, X).
    grain
        Factor of the noise: kinds of little contrast would drown in what others bear.
    """
    rng = scene.rng
    picture = blur(transmitted, 0.7 * scene.blur, scene.spacing)
    picture = picture * (1 + 0.5 * (illumination(scene) - 1))
    deviation = 0.006 + 0.06 * scene.noise**1.5
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(grain * deviation)
    if rng.random() < 0.5:  # scanned or compressed pictures have correlated grain
        noise = 1.6 * ndimage.gaussian_filter(noise, 0.7)
    return digitise(picture + noise, scene.dtype)


def digitise(values: Floats, dtype: str) -> NDArray[Any]:
    """Quantise 0…1 to 8 bits, or to the 12 bits of a camera in uint16."""
    if dtype == 'uint16':
        return np.asarray(np.clip(values * 4095 + 0.5, 0, 4095).astype(np.uint16))
    return np.asarray(np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8))

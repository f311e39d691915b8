"""Intensity mapping: from pixel values of any kind to the 8-bit RGB picture that the model sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Mode = Literal['percentile', 'stack', 'displayed', 'full']

# Percentiles of larger planes come from a regular sample: sorting 16k x 16k takes many seconds.
_SAMPLE_PIXELS = 2**22
# Mapped in float64, in blocks of this many values: a large plane is never held as float64.
_BLOCK_VALUES = 2**20


@dataclass(frozen=True, slots=True)
class IntensityMapping:
    """Which pixel values become black and white, and the curve between them.

    Parameters
    ----------
    mode : {'percentile', 'stack', 'displayed', 'full'}
        ``percentile``: the window runs between two percentiles of the plane, so that a hot pixel
        cannot blacken the picture. ``stack``: between those of a sample of the whole image, so
        that all planes are mapped alike; `limits`, where the sample was looked at, else those of
        the plane. ``displayed``: the window is `limits`, the contrast limits in
        the viewer. ``full``: from the smallest to the largest finite value.
    low, high : float
        The percentiles, ``0 <= low < high <= 100``. Used by ``percentile`` and ``stack``.
    limits : tuple of (float, float), optional
        Values that become black and white; needed by ``displayed``, used by ``stack``.
    gamma : float
        Exponent applied between black (0) and white (1); 1 is linear.

    Raises
    ------
    ValueError
        If a value is out of its range, or ``displayed`` has no limits.
    """

    mode: Mode = 'percentile'
    low: float = 0.1
    high: float = 99.9
    limits: tuple[float, float] | None = None
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f'mode is one of {get_args(Mode)}; got {self.mode!r}')
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(
                f'percentiles need 0 <= low < high <= 100; got low={self.low}, high={self.high}'
            )
        if not (np.isfinite(self.gamma) and self.gamma > 0):
            raise ValueError(f'gamma is a positive number; got {self.gamma}')
        if self.limits is not None:
            low, high = (float(limit) for limit in self.limits)
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ValueError(f'limits are two finite ascending numbers; got {self.limits}')
            object.__setattr__(self, 'limits', (low, high))
        elif self.mode == 'displayed':
            raise ValueError("mode 'displayed' needs the limits of the display; got none")


def window(pixels: NDArray[Any], mapping: IntensityMapping) -> tuple[float, float]:
    """Return the two values of `pixels` that become black and white.

    Parameters
    ----------
    pixels : ndarray
        Real numbers of any shape. NaN and infinities are left out.
    mapping : IntensityMapping
        How to choose.

    Returns
    -------
    tuple of (float, float)
        ``low <= high``; equal only where the finite pixels are all the same (or there are none).
    """
    if mapping.mode in ('displayed', 'stack') and mapping.limits is not None:
        return mapping.limits
    values = pixels
    if mapping.mode != 'full' and pixels.size > _SAMPLE_PIXELS:
        # One stride on both axes keeps the sample spread over the whole plane.
        step = int(np.ceil(np.sqrt(pixels.size / _SAMPLE_PIXELS)))
        values = pixels[::step, ::step]
    values = values.ravel()
    if values.dtype.kind == 'f':
        values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 0.0
    if mapping.mode != 'full':
        # Taking neighbours inwards, not interpolating: in a small plane an interpolated 99.9th
        # percentile would still be pulled up by the single hot pixel.
        last = values.size - 1
        first_rank = int(np.ceil(last * mapping.low / 100))
        last_rank = int(np.floor(last * mapping.high / 100))
        if first_rank < last_rank:
            ordered = np.partition(values, (first_rank, last_rank))
            low, high = float(ordered[first_rank]), float(ordered[last_rank])
            if low < high:
                return low, high
    # Also for nearly constant planes: a few bright spots on a flat ground must not vanish.
    return float(values.min()), float(values.max())


def to_rgb8(pixels: NDArray[Any], mapping: IntensityMapping | None = None) -> NDArray[np.uint8]:
    """Map the pixels of a plane to the picture that the model sees.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3 or 4)
        Bool, integers or floating point numbers of any size and byte order. Colour planes of
        uint8 pass through unchanged and floating point ones within 0..1 are scaled by 255, both as
        a viewer shows them; other colour planes share one window, which keeps their hue. A fourth
        (alpha) channel is dropped.
    mapping : IntensityMapping, optional
        Defaults to percentiles.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        A new array. NaN becomes black, infinities black and white; a constant plane black.

    Raises
    ------
    ValueError
        If the shape is not that of a plane.
    TypeError
        If the values are not real numbers.
    """
    grey = to_grey8(pixels, mapping)
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)


def to_grey8(pixels: NDArray[Any], mapping: IntensityMapping | None = None) -> NDArray[np.uint8]:
    """Map as `to_rgb8` does, but leave planes without colour as they are.

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, 3)
    """
    mapping = IntensityMapping() if mapping is None else mapping
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        pixels = pixels[..., :3]
    elif pixels.ndim != 2:
        raise ValueError(
            f'a plane has the shape (H, W), (H, W, 3) or (H, W, 4); got {pixels.shape}'
        )
    if pixels.dtype.kind not in 'buif':
        raise TypeError(f'pixels are real numbers (bool, integer, float); got dtype {pixels.dtype}')
    if pixels.dtype.kind == 'b':
        pixels = pixels.astype(np.uint8)
    colour = pixels.ndim == 3
    if colour and pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels).copy()
    if colour and pixels.dtype.kind == 'f' and _within_unit(pixels):
        return _stretch(pixels, 0.0, 1.0, 1.0)
    return _stretch(pixels, *window(pixels, mapping), mapping.gamma)


def _within_unit(pixels: NDArray[Any]) -> bool:
    finite = pixels[np.isfinite(pixels)]
    return finite.size == 0 or bool(finite.min() >= 0 and finite.max() <= 1)


def _stretch(pixels: NDArray[Any], low: float, high: float, gamma: float) -> NDArray[np.uint8]:
    """Scale ``low..high`` to 0..255 with rounding; block-wise, in float64."""
    result = np.zeros(pixels.shape, np.uint8)
    if pixels.size == 0 or not low < high:
        return result
    # Halving everything keeps the width of the largest possible window finite.
    unit = 1.0 if np.isfinite(high - low) else 0.5
    rows = max(1, _BLOCK_VALUES * len(pixels) // pixels.size)
    for start in range(0, len(pixels), rows):
        block = pixels[start : start + rows].astype(np.float64)
        # overflow to infinity far outside of the window is right: it is clipped to white
        with np.errstate(over='ignore', invalid='ignore'):
            block = (block * unit - low * unit) / (high * unit - low * unit)
        block = np.clip(np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
        if gamma != 1.0:
            block **= gamma
        result[start : start + rows] = (block * 255 + 0.5).astype(np.uint8)
    return result

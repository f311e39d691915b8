"""What a simulated field of view is asked for: options, and the scene they are resolved to."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray


class _Kind(NamedTuple):
    """Usual object diameters in pixels (least, most) and the real diameter in µm."""

    least: float
    most: float
    micrometres: float


_SIZES: dict[str, _Kind] = {
    'nuclei': _Kind(11, 64, 9.0),
    'cells': _Kind(18, 90, 15.0),
    'rods': _Kind(6, 16, 0.9),
    'yeast': _Kind(18, 60, 5.0),
    'worms': _Kind(9, 24, 50.0),
    'filaments': _Kind(2.5, 6, 0.4),
    'tissue': _Kind(11, 40, 8.0),
    'phase': _Kind(24, 80, 25.0),
    'em': _Kind(28, 120, 0.9),
    'mitochondria': _Kind(40, 140, 1.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """A simulated image and its truth.

    Attributes
    ----------
    image
        uint8 or uint16; (Y, X), (Z, Y, X), or (Y, X, 3) for the RGB kind.
    labels
        int32, the spatial shape of the image; 0 = background, objects 1…n.
    kind
        What was drawn.
    voxel_size
        µm per pixel of each spatial axis, in axis order.
    """

    image: NDArray[Any]
    labels: NDArray[np.int32]
    kind: str
    voxel_size: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """What may be fixed; None leaves it to the seed.

    Attributes
    ----------
    size
        Typical object diameter in pixels (width, for rods, worms and filaments); 2 or more.
    crowding
        0 (a few objects far apart) … 1 (packed, touching, overlapping a little).
    noise
        0 (thousands of photons in a bright pixel) … 1 (about ten).
    blur
        Standard deviation of the optics' blur in pixels, 0 or more.
    illumination
        0 (even) … 1 (the darkest corner gets about a third of the light).
    haze
        0 … 1: out-of-focus light, or for transmitted light the shadows of what lies out of focus.
    anisotropy
        Volumes only: plane distance in units of the pixel size, 1 or more.
    dtype
        ``'uint8'`` or ``'uint16'`` (a 12-bit camera). RGB is always uint8.
    """

    size: float | None = None
    crowding: float | None = None
    noise: float | None = None
    blur: float | None = None
    illumination: float | None = None
    haze: float | None = None
    anisotropy: float | None = None
    dtype: Literal['uint8', 'uint16'] = 'uint8'

    @classmethod
    def create(cls, options: dict[str, Any]) -> Options:
        """Make options from keywords; raises TypeError for an unknown name, ValueError for a bad
        value.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise TypeError(
                f'unknown option {", ".join(unknown)}; the options are {", ".join(known)}.'
            )
        return cls(**options)

    def __post_init__(self) -> None:
        """Check the ranges."""
        limits = {
            'size': (2, np.inf),
            'crowding': (0, 1),
            'noise': (0, 1),
            'blur': (0, np.inf),
            'illumination': (0, 1),
            'haze': (0, 1),
            'anisotropy': (1, np.inf),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f'{name} must be between {low} and {high}; got {value}.')
        if self.dtype not in ('uint8', 'uint16'):
            raise ValueError(f"dtype must be 'uint8' or 'uint16'; got {self.dtype!r}.")


@dataclass(frozen=True, slots=True)
class Scene:
    """Options with every value fixed, and the random numbers that everything else is drawn from."""

    rng: np.random.Generator
    shape: tuple[int, ...]
    size: float
    crowding: float
    noise: float
    blur: float
    illumination: float
    haze: float
    anisotropy: float
    dtype: str
    voxel_size: tuple[float, ...]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Pixel distance of each axis, in units of a pixel of the last axis."""
        return (self.anisotropy,) * (len(self.shape) - 2) + (1.0, 1.0)

    @classmethod
    def create(
        cls, kind: str, shape: tuple[int, ...], seed: tuple[int, int], options: Options
    ) -> Scene:
        """Fix whatever the options leave open.

        Every value is drawn whether or not it is given: fixing one option must not change the
        others.
        """
        # The kind takes part in the seed, so that seed 0 of two kinds doesn't lay out the same
        # field.
        rng = np.random.default_rng([*seed, *kind.encode()])
        usual = _SIZES[kind]
        # An object must have room: a third of the picture at most.
        most = min(usual.most, max(min(shape[-2:]) / 3, 1.2 * usual.least))
        drawn = {
            'size': float(np.exp(rng.uniform(np.log(usual.least), np.log(most)))),
            'crowding': float(rng.uniform(0.1, 0.95)),
            'noise': float(rng.beta(1.6, 2.2)),
            'blur': float(rng.uniform(0.4, 1.8)),
            'illumination': float(rng.uniform(0, 0.8)),
            'haze': float(rng.beta(1.2, 2.0)),
            'anisotropy': float(rng.uniform(1.0, 4.0)),
        }
        fixed = {
            name: value if getattr(options, name) is None else float(getattr(options, name))
            for name, value in drawn.items()
        }
        pixel = usual.micrometres / fixed['size']
        depth = (round(pixel * fixed['anisotropy'], 4),) * (len(shape) - 2)
        voxel_size = (*depth, round(pixel, 4), round(pixel, 4))
        return cls(rng=rng, shape=shape, dtype=options.dtype, voxel_size=voxel_size, **fixed)

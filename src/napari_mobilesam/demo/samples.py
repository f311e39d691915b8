"""What the demo segments: pictures, and where it clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import PlaneKey, PlaneSource

SAMPLES = ('nuclei', 'cell', 'coins')
"""Names for `load_sample`, the stack first."""

_MOST_CLICKS = 16

# Prompts placed by hand, (row, column): the middle of what a person would click. Not results.
_CELL_CLICKS = ((375, 428),)
_COIN_CLICKS = (
    *((54, 45), (56, 100), (51, 155), (51, 215), (52, 276), (43, 335)),
    *((124, 45), (126, 102), (127, 154), (124, 205), (119, 271), (125, 336)),
    *((197, 43), (196, 102), (198, 154), (193, 212), (194, 274), (186, 347)),
    *((260, 46), (266, 114), (261, 172), (263, 244), (263, 301), (268, 358)),
)


class UnknownSampleError(ValueError):
    """There is no sample of this name."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture or a stack, the plane the demo works on, and its clicks.

    Attributes
    ----------
    name
        One of `SAMPLES`.
    image
        (Y, X) or (Z, Y, X).
    index
        Which plane of a stack: a position for each axis before rows and columns.
    clicks
        (row, column) on that plane, one for each object, in the order in which they are made.
    voxel_size
        µm per pixel of each axis, where known.
    truth
        True labels of the image's shape, where it was simulated.
    """

    name: str
    image: NDArray[Any]
    index: tuple[int, ...]
    clicks: tuple[tuple[float, float], ...]
    voxel_size: tuple[float, ...] | None = None
    truth: NDArray[np.int32] | None = None

    @property
    def source(self) -> PlaneSource:
        """The plane, as the engine takes it."""
        axes = (self.image.ndim - 2, self.image.ndim - 1)
        return PlaneSource(PlaneKey(self.name, axes, self.index), self.image)


def load_sample(name: str) -> Sample:
    """Load or compute a sample.

    Raises
    ------
    UnknownSampleError
        If there is none of this name.
    """
    if name == 'nuclei':
        from napari_mobilesam.sample_data import simulated_nuclei

        simulated = simulated_nuclei()
        middle = simulated.image.shape[0] // 2
        return Sample(
            name=name,
            image=simulated.image,
            index=(middle,),
            clicks=deepest_points(simulated.labels[middle], _MOST_CLICKS),
            voxel_size=simulated.voxel_size,
            truth=simulated.labels,
        )
    from skimage import data

    if name == 'cell':
        return Sample(name, data.cell(), (), _CELL_CLICKS)
    if name == 'coins':
        return Sample(name, data.coins(), (), _COIN_CLICKS)
    raise UnknownSampleError(f'expected a sample named {", ".join(SAMPLES)}; got {name!r}')


def deepest_points(labels: NDArray[np.int32], most: int) -> tuple[tuple[float, float], ...]:
    """Return (row, column) farthest from the border of each of the `most` largest objects.

    That is where a person clicks, and unlike a centroid it never lies outside.
    """
    from scipy import ndimage

    areas = np.bincount(labels.ravel())
    areas[0] = 0
    chosen = [int(label) for label in np.argsort(-areas, kind='stable')[:most] if areas[label]]
    points = []
    for label in chosen:
        depth = ndimage.distance_transform_edt(np.pad(labels == label, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        points.append((float(row), float(column)))
    return tuple(points)

"""Labels with many objects of awkward shapes, for tests of files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.exchange import ObjectInfo, Segmentation

CLASSES = {'nucleus': (230, 159, 0), 'Zelle, groß: α=β': (86, 180, 233)}


def objects(labels: NDArray[np.integer]) -> dict[int, ObjectInfo]:
    """Know something different about each object; nothing about every fifth."""
    names = ['', *CLASSES]
    return {
        label: ObjectInfo(
            label,
            names[label % 3],
            ('reviewed',) * (label % 2) + ('unclear',) * (label % 7 == 0),
            None if label % 4 == 0 else label % 100 / 100,
            label % 6,
        )
        for label in (int(i) for i in np.unique(labels) if i)
        if label % 5
    }


def many(shape: tuple[int, ...] = (480, 480), cell: int = 15, seed: int = 0) -> NDArray[np.int32]:
    """Draw one object per cell of a grid: every third with a hole, every third in two parts.

    Some touch their neighbours. In more than two axes, each object extends over several planes.
    """
    rng = np.random.default_rng(seed)
    rows, columns = shape[-2] // cell, shape[-1] // cell
    plane = np.zeros(shape[-2:], np.int32)
    yy, xx = np.indices((cell, cell)) - cell // 2
    for label in range(1, rows * columns + 1):
        row, column = divmod(label - 1, columns)
        a, b = rng.uniform(cell / 4, cell / 1.9, 2)
        mask = (yy / a) ** 2 + (xx / b) ** 2 <= 1
        if label % 3 == 0:
            mask &= (yy / a) ** 2 + (xx / b) ** 2 > 0.2
        elif label % 3 == 1:
            mask[cell // 2] = False
            mask[cell // 2, cell // 2] = label % 2 == 0  # parts that touch at corners
        plane[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell][mask] = label
    labels = np.zeros(shape, np.int32)
    for index in np.ndindex(shape[:-2]):
        kept = plane % max(2, sum(index) + 1) != 0 if sum(index) else plane > 0
        labels[index] = np.where(kept, plane, 0)
    return labels


def segmentation(
    shape: tuple[int, ...] = (480, 480), *, step: int = 1, unit: str = 'micrometer', cell: int = 15
) -> Segmentation:
    """Return the labels of `many`, ids multiplied by `step`, with classes and calibration."""
    labels = many(shape, cell) * np.int32(step)
    scale = (0.5, 2.0, 0.25, 0.25)[-labels.ndim :]
    return Segmentation(labels, '', scale, unit, objects(labels), CLASSES, 'Bild 1')

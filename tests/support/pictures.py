"""Pictures of bright discs whose masks everyone can predict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CENTRES = ((30, 40), (80, 60), (60, 120))
RADIUS = 14


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


def plane(shift: int = 0, shape: tuple[int, int] = (120, 160)) -> NDArray[np.float32]:
    """Three discs, moved down by `shift` rows, and a little of a gradient."""
    picture = np.tile(np.linspace(0, 10, shape[1], dtype=np.float32), (shape[0], 1))
    for row, column in CENTRES:
        picture[disc(shape, (row + shift, column), RADIUS)] = 200
    return picture


def stack(n: int = 5) -> NDArray[np.float32]:
    """Planes (n, 120, 160) whose discs move down by 2 rows per plane."""
    return np.stack([plane(2 * z) for z in range(n)])


def iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0

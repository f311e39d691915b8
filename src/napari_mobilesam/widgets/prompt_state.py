"""All prompts at one time, for undo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PromptState:
    """All prompts of both layers, in data coordinates of the layers, on every plane.

    Attributes
    ----------
    points, polarity
        The points, (N, ndim), and for each whether it is positive.
    shapes, kinds, marks
        The vertices of the shapes, their types, and for each what its polarity feature says.
    """

    points: NDArray[np.float64]
    polarity: tuple[str, ...]
    shapes: tuple[NDArray[np.float64], ...]
    kinds: tuple[str, ...]
    marks: tuple[str, ...]

    def same(self, other: PromptState) -> bool:
        """Whether the two hold the same prompts."""
        return (
            np.array_equal(self.points, other.points)
            and self.polarity == other.polarity
            and self.kinds == other.kinds
            and self.marks == other.marks
            and all(map(np.array_equal, self.shapes, other.shapes))
        )

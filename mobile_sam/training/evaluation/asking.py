"""What the robot asks, what a contestant answers, and what a contestant is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mobile_sam.training.data import Sample


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Prompts for N objects of one plane, equally many for each.

    Coordinates are (row, column) pixels of the plane with pixel centres at integers, as the
    plugin's engine takes them: a box that touches an object's outermost pixels on the outside
    ends in halves.

    Attributes
    ----------
    points : ndarray, float, (N, n, 2)
    positive : ndarray, bool, (N, n)
    boxes : ndarray, float, (N, 4), or None
        row0, column0, row1, column1.
    """

    points: NDArray[np.float64]
    positive: NDArray[np.bool_]
    boxes: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def ambiguous(self) -> bool:
        """Whether each object has a single positive point: three answers are worth having."""
        return self.boxes is None and self.positive.shape[1] == 1 and bool(self.positive.all())

    def with_points(self, points: NDArray[np.float64], positive: NDArray[np.bool_]) -> Asked:
        """Return these prompts and one more point for each object: (N, 2) and (N,)."""
        return Asked(
            np.concatenate([self.points, points[:, None]], 1),
            np.concatenate([self.positive, positive[:, None]], 1),
            self.boxes,
        )

    @classmethod
    def clicks(cls, points: NDArray[np.float64]) -> Asked:
        """One positive point for each object: (N, 2)."""
        return cls(points[:, None], np.ones((len(points), 1), bool))

    @classmethod
    def rectangles(cls, boxes: NDArray[np.float64]) -> Asked:
        """One box for each object: (N, 4)."""
        count = len(boxes)
        return cls(np.zeros((count, 0, 2)), np.zeros((count, 0), bool), boxes)


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Masks for N objects, C candidates for each.

    Attributes
    ----------
    masks : ndarray, bool, (N, C, H, W)
    scores : ndarray, float, (N, C)
        The contestant's own estimate of each IoU; NaN if it makes none.
    memory : ndarray, (N, C, …), or None
        What the contestant wants to be reminded of when one of these masks is corrected.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float64]
    memory: NDArray[Any] | None = None

    def best(self) -> NDArray[np.intp]:
        """Candidate with the highest score for each object, the first one where there is none."""
        best: NDArray[np.intp] = np.where(np.isnan(self.scores), -np.inf, self.scores).argmax(1)
        return best

    def chosen(self, index: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[Any] | None]:
        """Return the masks (N, H, W) and the memory of one candidate for each object."""
        rows = np.arange(len(index))
        return self.masks[rows, index], None if self.memory is None else self.memory[rows, index]


class Answers(Protocol):
    """A contestant in front of one plane."""

    def answer(self, asked: Asked, memory: NDArray[Any] | None = None) -> Answered:
        """Segment the prompted objects.

        `memory` belongs to the masks that the last point of each object corrects.
        """

    def everything(self) -> NDArray[np.int32] | None:
        """Segment all objects without prompts: labels (H, W); None if it is not able to."""


class Contestant(Protocol):
    """A method that segments what it is prompted for."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def about(self) -> dict[str, Any]:
        """What identifies it in a report: JSON-ready values."""

    def look(self, sample: Sample) -> Answers:
        """Take in a plane; whatever is done once per plane is done here."""

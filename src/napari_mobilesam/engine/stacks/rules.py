"""Stop rules: when an object ends on its way through a stack, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .patch import MaskPatch, overlap


class StopReason(Enum):
    """Why propagation of an object went no farther; the value is said to the user."""

    END = 'the stack ends'
    MARK = 'you marked that it ends here'
    VANISHED = 'nothing was found'
    EDGE = 'it leaves the image'
    OVERLAP = 'it hardly overlaps the slice before'
    SCORE = 'the model is unsure of it'
    GROWTH = 'its area jumped up'
    FADED = 'it fades into its surroundings'


@dataclass(frozen=True, slots=True)
class StopRules:
    """Limits beyond which an object counts as ended.

    Parameters
    ----------
    min_overlap : float
        Intersection over union with the slice before; 0 turns it off.
    min_score : float
        The model's own estimate of the mask's quality; 0 turns it off.
    max_growth : float
        Area over that of the slice before, more than 1; infinity turns it off.
    min_area : float
        Area over the largest area of the object so far; smaller ones count as vanished.
    min_contrast : float
        How far the object stands out from its surroundings, as a part of how far it does on the
        slice that the user gave; 0 turns it off. It is half where a blurred object ends, by the
        usual definition of width; a little less, as masks near the ends come out too large, which
        weakens it. Ignored for objects that do not stand out there.

    Raises
    ------
    ValueError
        If a limit is out of its range.
    """

    min_overlap: float = 0.3
    min_score: float = 0.3
    max_growth: float = 1.6
    min_area: float = 0.03
    min_contrast: float = 0.4

    def __post_init__(self) -> None:
        for name in ('min_overlap', 'min_score', 'min_area', 'min_contrast'):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f'{name} is at least 0 and less than 1; got {value}')
        if not self.max_growth > 1:
            raise ValueError(f'max_growth is more than 1; got {self.max_growth}')

    def check(
        self,
        found: MaskPatch,
        before: MaskPatch,
        *,
        score: float,
        largest: int,
        contrast: float | None,
        shape: tuple[int, int],
    ) -> StopReason | None:
        """Return why an object ends before a mask, or None if it goes on.

        Parameters
        ----------
        found : MaskPatch
            What was found on this slice.
        before : MaskPatch
            The object on the slice before.
        score : float
            The model's estimate.
        largest : int
            The largest area of the object so far.
        contrast : float, optional
            As a part of the contrast on the slice given; None where it cannot tell.
        shape : tuple of (int, int)
            Rows and columns of the plane.
        """
        if found.area <= self.min_area * largest:
            return StopReason.EDGE if before.touches_border(shape) else StopReason.VANISHED
        if self.min_contrast and contrast is not None and contrast < self.min_contrast:
            return StopReason.FADED
        if score < self.min_score:
            return StopReason.SCORE
        if found.area > self.max_growth * before.area:
            return StopReason.GROWTH
        if overlap(found, before) < self.min_overlap:
            return StopReason.OVERLAP
        return None

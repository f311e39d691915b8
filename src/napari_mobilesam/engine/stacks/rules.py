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
    OTHER = 'another object begins here'
    DOUBT = 'the model is less sure of it than before'
    SIDES = 'seen from its sides it ends here'


# An object that has dimmed below the first part of its contrast, and comes back above the second,
# is another one.
_DIMMED, _BRIGHT = 0.85, 1.1


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
    max_rise : float
        Contrast over the weakest on the way here: an object that had dimmed and becomes brighter
        than where it was given is the next one above or below it. Infinity turns it off.
    min_certainty : float
        For objects whose contrast cannot tell: the model's estimate, as a part of what it was
        where it was surest, the median of the three best slices; 0 turns it off.
    min_brightness : float
        The same for each pixel of a mask that several prompts agreed on: what stands out less is
        left out, so that a mask shrinks where a blurred object does; the model goes on drawing it
        as large as it is asked for. Less than `min_contrast`, as what is left out once isn't
        expected on the slices after; and no more than most of the object's pixels stand out on the
        slice that the user gave. 0 turns it off.

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
    max_rise: float = 1.3
    min_certainty: float = 0.85
    min_brightness: float = 0.3

    def __post_init__(self) -> None:
        parts = ('min_overlap', 'min_score', 'min_area', 'min_contrast', 'min_certainty')
        for name in (*parts, 'min_brightness'):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f'{name} is at least 0 and less than 1; got {value}')
        for name in ('max_growth', 'max_rise'):
            if not getattr(self, name) > 1:
                raise ValueError(f'{name} is more than 1; got {getattr(self, name)}')

    def check(
        self,
        found: MaskPatch,
        before: MaskPatch,
        *,
        score: float,
        largest: int,
        contrast: float | None,
        shape: tuple[int, int],
        dimmest: float = 1.0,
        surest: float = 0.0,
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
        dimmest : float
            The weakest contrast between the slice given and this one, measured likewise.
        surest : float
            The model's estimate where it was surest of the object.
        """
        if found.area <= self.min_area * largest:
            return StopReason.EDGE if before.touches_border(shape) else StopReason.VANISHED
        if self.min_contrast and contrast is not None and contrast < self.min_contrast:
            return StopReason.FADED
        again = max(_BRIGHT, self.max_rise * dimmest)
        if contrast is not None and dimmest < _DIMMED and contrast > again:
            return StopReason.OTHER
        if contrast is None and score < self.min_certainty * surest:
            return StopReason.DOUBT
        if score < self.min_score:
            return StopReason.SCORE
        if found.area > self.max_growth * before.area:
            return StopReason.GROWTH
        if overlap(found, before) < self.min_overlap:
            return StopReason.OVERLAP
        return None

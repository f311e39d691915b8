"""What another way to encode pictures does to the masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mobile_sam.fast.quantised import prepared
from mobile_sam.training.batches import sample_of
from mobile_sam.training.simulate import KINDS

from .choice import choose_objects
from .everything import EverythingSettings
from .model import SamAnswers
from .robot import Played, play

if TYPE_CHECKING:
    from torch import Tensor

    from mobile_sam.modeling import Sam
    from mobile_sam.training.data import Sample


def pictures_of_each_kind(seed: int, sides: tuple[int, ...] = (256, 512)) -> Iterator[Sample]:
    """Simulate pictures, one of each kind and side: others for another seed."""
    for kind in KINDS:
        for side in sides:
            yield sample_of(kind, side, seed)


@dataclass(frozen=True, slots=True)
class EncoderLoss:
    """Mean IoU of the same objects with the model's encoder and with another one.

    Attributes
    ----------
    objects : int
        How many.
    click, box : tuple of float
        After one click, and after an exact box: with the model's, with the other.
    """

    objects: int
    click: tuple[float, float]
    box: tuple[float, float]

    @property
    def largest(self) -> float:
        """How much is lost where more is lost."""
        return max(before - after for before, after in (self.click, self.box))


def encoder_loss(
    model: Sam,
    encode: Callable[[Tensor], Tensor],
    samples: Iterable[Sample],
    objects: int = 6,
) -> EncoderLoss:
    """Ask for the same objects with either encoder's features.

    Parameters
    ----------
    model : Sam
        In eval mode.
    encode : callable
        The other encoder, (1, 3, side, side) → (1, C, h, w).
    samples : iterable of Sample
        Planes with their truth, some objects among them.
    objects : int
        At most so many in a plane.
    """
    before: list[Played] = []
    after: list[Played] = []
    for sample in samples:
        wanted = np.stack([sample.labels == label for label in choose_objects(sample, objects)])
        answers = SamAnswers(model, sample, EverythingSettings())
        before.append(play(answers, wanted, 0))
        answers.predictor.features = encode(prepared(model, sample.image))
        after.append(play(answers, wanted, 0))

    def mean(played: list[Played], name: str) -> float:
        return float(np.concatenate([getattr(one, name) for one in played]).mean())

    return EncoderLoss(
        sum(len(one.click) for one in before),
        (mean(before, 'click'), mean(after, 'click')),
        (mean(before, 'box'), mean(after, 'box')),
    )

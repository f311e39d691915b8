"""The encoder and the decoder as they are on a graphics card: recorded; see `graphs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import TypeVar

import torch
from torch import Tensor

from .backends import Encode
from .decoder import PROMPTS_AT_ONCE, Attended, FastDecoder, ImageSide
from .drawing import Drawn
from .graphs import Record, Replayed, record_cuda
from .thin_cells import ImagePart

S = TypeVar('S')
T = TypeVar('T')

# A picture of its own, and a pass of a stack.
_BATCHES = 2
# Kinds of prompts: a click, a few more, a box; each with and without a mask prompt.
_KINDS = 8


class RecordedEncoder:
    """An encoder that is recorded for the batches that come again.

    Parameters
    ----------
    encode
        What to record.
    record
        How to.
    """

    def __init__(self, encode: Encode, record: Record = record_cuda) -> None:
        self._replayed = Replayed(lambda x: (encode(x),), 'encoder', _BATCHES, record)

    def __call__(self, x: Tensor) -> Tensor:
        """Encode images, (B, 3, H, W) → (B, C, H / 16, W / 16)."""
        return self._replayed(x)[0]

    def release(self) -> None:
        """Give the memory of the recordings back."""
        self._replayed.release()


class RecordedDecoder:
    """A decoder that is recorded for the kinds of prompts that come again.

    A recording finds its image in one place, so an image is brought there first when it is not the
    last one; and it draws all masks, which costs a card less than to be asked for them. More than
    `PROMPTS_AT_ONCE` prompts at once are left to the decoder itself.

    Parameters
    ----------
    decoder
        What to record.
    record
        How to.
    """

    lanes = 1

    def __init__(self, decoder: FastDecoder, record: Record = record_cuda) -> None:
        self._decoder = decoder
        self._place: ImageSide | None = None
        self._there: ImageSide | None = None
        self._replayed = {
            multimask: Replayed(self._drawn(multimask), 'decoder', _KINDS, record)
            for multimask in (False, True)
        }

    def image_side(self, features: Tensor) -> ImageSide:
        """Prepare an embedding (C, h, w); see `FastDecoder.image_side`."""
        return self._decoder.image_side(features)

    def together(self, work: Callable[[], T]) -> T:
        """Do work that calls this decoder and draws."""
        return self._decoder.together(work)

    def apart(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Do work that calls this decoder on one part after the other: it has one place only."""
        return [work(part) for part in parts]

    @torch.inference_mode()
    def attend(
        self,
        image: ImageSide,
        sparse: Tensor,
        dense: Tensor | None,
        multimask: bool,
        sketching: bool = False,
    ) -> Attended | Drawn:
        """Decode a few prompts; see `FastDecoder.attend`. All is drawn, also for sketching."""
        if len(sparse) > PROMPTS_AT_ONCE:
            return self._decoder.attend(image, sparse, dense, multimask)
        self._bring(image)
        masks = () if dense is None else (dense,)
        logits, scores = self._replayed[multimask](sparse, *masks)
        return Drawn(logits, scores)

    def _drawn(self, multimask: bool) -> Callable[..., tuple[Tensor, ...]]:
        def draw(sparse: Tensor, dense: Tensor | None = None) -> tuple[Tensor, Tensor]:
            assert self._place is not None
            found = self._decoder.attend(self._place, sparse, dense, multimask)
            return torch.stack([found.draw(row) for row in range(len(sparse))]), found.scores

        return draw

    def _bring(self, image: ImageSide) -> None:
        if image is self._there:
            return
        if self._place is None:
            self._place = _copy(image)
        else:
            for mine, given in zip(_tensors(self._place), _tensors(image), strict=True):
                mine.copy_(given)
        self._there = image


def _tensors(image: ImageSide) -> Iterator[Tensor]:
    yield from (image.features, image.cells)
    for part in image.parts:
        yield from (getattr(part, field.name) for field in fields(part))


def _copy(image: ImageSide) -> ImageSide:
    parts = [
        ImagePart(**{field.name: getattr(part, field.name).clone() for field in fields(part)})
        for part in image.parts
    ]
    return ImageSide(image.features.clone(), image.cells.clone(), parts)

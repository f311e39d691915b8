"""The form in which a model's prompts are decoded: the fast one, or the model itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from mobile_sam.modeling import Sam

from .crew import Crew
from .decoder import FastDecoder, foldable
from .drawing import Drawn
from .recorded import RecordedDecoder

S = TypeVar('S')
T = TypeVar('T')


class Prompted(Protocol):
    """A few prompts on an image: the quality of their masks, (B, M), and the means to draw them."""

    @property
    def scores(self) -> Tensor:
        """Predicted IoU, (B, M)."""

    def draw(self, prompt: int, masks: Sequence[int] | None = None) -> Tensor:
        """Draw some masks of one prompt, by default all: logits (M, 4h, 4w)."""

    def sketch(self, prompt: int, masks: Sequence[int] | None = None) -> Tensor:
        """Draw the same, exact where the masks' contours are."""


class DecoderForm(Protocol):
    """Decodes prompts on images that are prepared once."""

    @property
    def lanes(self) -> int:
        """How many decode at the same time in `apart`."""

    def image_side(self, features: Tensor) -> Any:
        """Prepare an embedding (C, h, w)."""

    def attend(
        self,
        image: Any,
        sparse: Tensor,
        dense: Tensor | None,
        multimask: bool,
        sketching: bool = False,
    ) -> Prompted:
        """Decode a few prompts; see `FastDecoder.attend`."""

    def together(self, work: Callable[[], T]) -> T:
        """Do work that calls some of these, on the thread that suits them best."""

    def apart(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Do work that calls some of these on each part, several at the same time."""


def decoder_form(model: Sam, crew: Crew | None = None) -> DecoderForm:
    """Return the fast form of a model's decoder, or the plain one where that cannot be made.

    The fast form holds what the weights are now: ask again after they changed or moved. On a
    processor a crew shares the work, by default one of its own.
    """
    if not foldable(model.mask_decoder):
        return PlainDecoder(model)
    fast = FastDecoder(model.prompt_encoder, model.mask_decoder, crew)
    return RecordedDecoder(fast) if model.device.type == 'cuda' else fast


class PlainDecoder:
    """The model's own decoder, whatever it is made of, behind the same calls.

    Parameters
    ----------
    model
        Its prompt encoder and mask decoder are called as they are.
    """

    lanes = 1

    def __init__(self, model: Sam) -> None:
        self._model = model

    def image_side(self, features: Tensor) -> Tensor:
        """Return the embedding (C, h, w) as a batch of one."""
        return features[None]

    @torch.no_grad()
    def attend(
        self,
        image: Tensor,
        sparse: Tensor,
        dense: Tensor | None,
        multimask: bool,
        sketching: bool = False,
    ) -> Drawn:
        """Decode, and draw everything."""
        encoder = self._model.prompt_encoder
        if dense is None:
            no_mask = encoder.no_mask_embed.weight[:, :, None, None]
            dense = no_mask.expand(len(sparse), -1, *encoder.image_embedding_size)
        logits, scores = self._model.mask_decoder(
            image_embeddings=image,
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        return Drawn(logits, scores)

    def together(self, work: Callable[[], T]) -> T:
        """Do the work here."""
        return work()

    def apart(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Do the work here, one part after the other."""
        return [work(part) for part in parts]

"""The form in which a model's pictures are encoded: the fast one, or the model itself."""

from __future__ import annotations

from typing import cast

from torch import nn

from mobile_sam.modeling import TinyViT

from .backends import Encode
from .crew import Crew
from .encoder import FastTinyViT, foldable
from .recorded import RecordedEncoder
from .tuning import Tuning


def encoder_form(
    encoder: Encode, device: str, tuning: Tuning | None = None, crew: Crew | None = None
) -> tuple[Encode, str]:
    """Return the fastest form of an encoder that is at hand, and its name to show.

    The form holds what the weights are now: ask again after they changed or moved.

    Parameters
    ----------
    encoder
        The model's ``image_encoder``, in evaluation mode, on `device`.
    device
        As torch names it.
    tuning
        What was measured of other libraries with these weights; without it torch alone is used.
    crew
        Threads to share the work on a processor; by default as many as torch has.
    """
    if device == 'cpu' and isinstance(encoder, nn.Module) and foldable(encoder):
        best = None if tuning is None else tuning.best()
        if best is not None:
            return best
        return FastTinyViT(cast(TinyViT, encoder), crew), 'torch, strips'
    if device.startswith('cuda'):
        return RecordedEncoder(encoder), 'torch, CUDA graphs'
    return encoder, 'torch'

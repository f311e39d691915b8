"""The form in which a model's pictures are encoded: the fast one, or the model itself."""

from __future__ import annotations

from mobile_sam.modeling import TinyViT

from .backends import Encode
from .encoder import FastTinyViT
from .recorded import RecordedEncoder
from .tuning import Tuning


def encoder_form(encoder: Encode, device: str, tuning: Tuning | None = None) -> tuple[Encode, str]:
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
    """
    if isinstance(encoder, TinyViT) and device == 'cpu':
        best = None if tuning is None else tuning.best()
        return (FastTinyViT(encoder), 'torch, strips') if best is None else best
    if device.startswith('cuda'):
        return RecordedEncoder(encoder), 'torch, CUDA graphs'
    return encoder, 'torch'

"""The form in which a model's pictures are encoded: the fast one, or the model itself."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mobile_sam.modeling import TinyViT

from .encoder import FastTinyViT

#: Encodes images like the model's ``image_encoder``: (B, 3, H, W) → (B, C, H / 16, W / 16).
Encode = Callable[[Tensor], Tensor]


def encoder_form(encoder: Encode, device: str) -> tuple[Encode, str]:
    """Return the fastest form of an encoder that needs torch alone, and its name to show.

    The form holds what the weights are now: ask again after they changed or moved.

    Parameters
    ----------
    encoder
        The model's ``image_encoder``, in evaluation mode, on `device`.
    device
        As torch names it.
    """
    if isinstance(encoder, TinyViT) and device == 'cpu':
        return FastTinyViT(encoder), 'torch, strips'
    return encoder, 'torch'

"""Builders of the four architectures, with or without weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from types import MappingProxyType

from torch import nn

from .modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TinyViT,
    TwoWayTransformer,
)

_SIDE = 1024  # of the padded input, pixels
_PATCH = 16
_WIDTH = 256  # channels of features and tokens


def build_sam_vit_h(checkpoint: str | PathLike[str] | None = None) -> Sam:
    """Build the original SAM with ViT-H; see :func:`build_sam_vit_t`."""
    return _assemble(_vit(1280, 32, 16, (7, 15, 23, 31)), checkpoint)


def build_sam_vit_l(checkpoint: str | PathLike[str] | None = None) -> Sam:
    """Build the original SAM with ViT-L; see :func:`build_sam_vit_t`."""
    return _assemble(_vit(1024, 24, 16, (5, 11, 17, 23)), checkpoint)


def build_sam_vit_b(checkpoint: str | PathLike[str] | None = None) -> Sam:
    """Build the original SAM with ViT-B; see :func:`build_sam_vit_t`."""
    return _assemble(_vit(768, 12, 12, (2, 5, 8, 11)), checkpoint)


def build_sam_vit_t(checkpoint: str | PathLike[str] | None = None) -> Sam:
    """Build MobileSAM: SAM with the TinyViT image encoder.

    Parameters
    ----------
    checkpoint
        File with weights to load, or None for random weights.

    Returns
    -------
    Sam
        On the CPU, in evaluation mode.

    Raises
    ------
    mobile_sam.checkpoints.CheckpointError
        If the file is missing, damaged, unsafe or of another architecture.
    """
    return _assemble(TinyViT(img_size=_SIDE), checkpoint)


build_sam = build_sam_vit_h

#: Architecture → builder; ``default`` is ViT-H as in the original SAM.
sam_model_registry: Mapping[str, Callable[..., Sam]] = MappingProxyType(
    {
        'default': build_sam_vit_h,
        'vit_h': build_sam_vit_h,
        'vit_l': build_sam_vit_l,
        'vit_b': build_sam_vit_b,
        'vit_t': build_sam_vit_t,
    }
)


def setup_model() -> Sam:
    """Build MobileSAM without weights, for ``load_state_dict(checkpoint, strict=True)``."""
    return build_sam_vit_t()


def _vit(
    embed_dim: int, depth: int, num_heads: int, global_blocks: tuple[int, ...]
) -> ImageEncoderViT:
    return ImageEncoderViT(
        img_size=_SIDE,
        patch_size=_PATCH,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=global_blocks,
        out_chans=_WIDTH,
    )


def _assemble(
    image_encoder: ImageEncoderViT | TinyViT, checkpoint: str | PathLike[str] | None
) -> Sam:
    grid = _SIDE // _PATCH
    sam = Sam(
        image_encoder=image_encoder,
        prompt_encoder=PromptEncoder(
            embed_dim=_WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(_SIDE, _SIDE),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=_WIDTH,
            transformer=TwoWayTransformer(depth=2, embedding_dim=_WIDTH, num_heads=8, mlp_dim=2048),
        ),
    )
    if checkpoint is not None:
        from .checkpoints import load_state_dict

        sam.load_state_dict(load_state_dict(checkpoint, model=sam), strict=True)
    return sam.eval()

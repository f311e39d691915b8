"""The original SAM's image encoder: a plain vision transformer.

References
----------
Li et al. 2022, "Exploring Plain Vision Transformer Backbones for Object Detection",
arXiv:2203.16527 (windowed and a few global blocks, decomposed relative positions).
Kirillov et al. 2023, "Segment Anything", arXiv:2304.02643.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .common import MLPBlock, image_neck, join_windows, split_windows


class PatchEmbed(nn.Module):
    """Cut an image into patches and project each: (B, 3, H, W) → (B, h, w, C)."""

    def __init__(self, patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Embed an image."""
        out: Tensor = self.proj(x)
        return out.permute(0, 2, 3, 1)


def relative_table(table: Tensor, n_query: int, n_key: int) -> Tensor:
    """Look up the relative position embedding of every query–key pair of one axis.

    Parameters
    ----------
    table
        (L, C), one row per relative distance; resampled when made for another length.
    n_query, n_key
        Tokens along the axis.

    Returns
    -------
    Tensor
        (n_query, n_key, C).
    """
    wanted = 2 * max(n_query, n_key) - 1
    if len(table) != wanted:
        table = F.interpolate(table.T[None], size=wanted, mode='linear')[0].T
    # With unequal lengths, distances are measured on the finer axis.
    query = torch.arange(n_query, device=table.device) * max(n_key / n_query, 1.0)
    key = torch.arange(n_key, device=table.device) * max(n_query / n_key, 1.0)
    distance = query[:, None] - key + (n_key - 1) * max(n_query / n_key, 1.0)
    return table[distance.long()]


class Attention(nn.Module):
    """Multi-head self-attention over a map, with decomposed relative positions.

    Parameters
    ----------
    dim, num_heads, qkv_bias
        Width, heads, whether the projections have a bias.
    use_rel_pos
        Add row and column relative position embeddings.
    input_size
        (h, w) of the maps; needed for the size of the tables only.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool,
        use_rel_pos: bool,
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        head_dim = dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.use_rel_pos = use_rel_pos
        if use_rel_pos:
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * input_size[0] - 1, head_dim))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * input_size[1] - 1, head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each map of `x`, (B, h, w, C)."""
        batch, height, width, dim = x.shape
        qkv = self.qkv(x).view(batch, height * width, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        bias = self._bias(query, height, width) if self.use_rel_pos else None
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out = self.proj(out.transpose(1, 2).reshape(batch, height, width, dim))
        return out

    def _bias(self, query: Tensor, height: int, width: int) -> Tensor:
        by_row = query.view(*query.shape[:2], height, width, -1)
        rows = relative_table(self.rel_pos_h, height, height)
        cols = relative_table(self.rel_pos_w, width, width)
        row_part = torch.einsum('bnhwc,hkc->bnhwk', by_row, rows)
        col_part = torch.einsum('bnhwc,wkc->bnhwk', by_row, cols)
        bias = row_part[..., :, None] + col_part[..., None, :]
        return bias.flatten(-2).flatten(2, 3)


class Block(nn.Module):
    """Transformer block, windowed unless `window_size` is 0; (B, h, w, C) → the same."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        qkv_bias: bool,
        norm_layer: Callable[[int], nn.Module],
        act_layer: type[nn.Module],
        use_rel_pos: bool,
        window_size: int,
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        inner = (window_size, window_size) if window_size else input_size
        self.attn = Attention(dim, num_heads, qkv_bias, use_rel_pos, inner)
        self.norm2 = norm_layer(dim)
        self.mlp = MLPBlock(dim, int(dim * mlp_ratio), act_layer)
        self.window_size = window_size

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        normed = self.norm1(x)
        if self.window_size:
            windows = self.attn(split_windows(normed, self.window_size))
            attended = join_windows(windows, self.window_size, (x.shape[1], x.shape[2]))
        else:
            attended = self.attn(normed)
        x = x + attended
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ImageEncoderViT(nn.Module):
    """Vision transformer image encoder of the original SAM (ViT-B, -L, -H).

    Parameters
    ----------
    img_size, patch_size, in_chans
        Side of the square input and of a patch, pixels; input channels.
    embed_dim, depth, num_heads, mlp_ratio
        Width, number of blocks, heads, MLP width relative to `embed_dim`.
    out_chans
        Channels of the result.
    qkv_bias, norm_layer, act_layer
        Details of the blocks.
    use_abs_pos, use_rel_pos, rel_pos_zero_init
        Absolute and relative positions. Tables always start at zero; the last flag is
        accepted for compatibility.
    window_size, global_attn_indexes
        Side of the attention windows, tokens; the blocks that attend globally instead.
    """

    def __init__(
        self,
        img_size: int = 1024,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        out_chans: int = 256,
        qkv_bias: bool = True,
        norm_layer: Callable[[int], nn.Module] = nn.LayerNorm,
        act_layer: type[nn.Module] = nn.GELU,
        use_abs_pos: bool = True,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        window_size: int = 0,
        global_attn_indexes: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.img_size = img_size
        side = img_size // patch_size
        self.pos_embed: nn.Parameter | None = None
        if use_abs_pos:
            self.pos_embed = nn.Parameter(torch.zeros(1, side, side, embed_dim))
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio,
                qkv_bias,
                norm_layer,
                act_layer,
                use_rel_pos,
                0 if i in global_attn_indexes else window_size,
                (side, side),
            )
            for i in range(depth)
        )
        self.neck = image_neck(embed_dim, out_chans)

    def forward(self, x: Tensor) -> Tensor:
        """Encode images (B, 3, S, S), S = `img_size`, as (B, out_chans, S/16, S/16).

        Raises
        ------
        ValueError
            If the images are not `img_size` a side: the absolute positions are learned
            for that one size.
        """
        if self.pos_embed is not None and x.shape[-2:] != (self.img_size, self.img_size):
            raise ValueError(
                f'This encoder takes {self.img_size} × {self.img_size} pixels only, found '
                f'{x.shape[-2]} × {x.shape[-1]}: use Sam.preprocess, or a TinyViT encoder.'
            )
        x = self.patch_embed(x)
        if self.pos_embed is not None:
            x = x + self.pos_embed
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.neck(x.permute(0, 3, 1, 2))
        return out

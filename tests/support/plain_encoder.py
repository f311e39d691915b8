"""TinyViT the plain way: the yardstick that faster forms are measured against.

As the published implementation evaluates it: maps in (B, C, H, W) through the convolutions, tokens
in (B, L, C) between them, batch normalisation by itself, attention spelled out. It reads the
modules of a `TinyViT` and computes the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mobile_sam.modeling.tiny_vit_sam import MBConv, PatchMerging, TinyViT, TinyViTBlock


def plain_encode(vit: TinyViT, x: Tensor) -> Tensor:
    """Encode images, (B, 3, H, W) → (B, 256, H / 16, W / 16)."""
    x = vit.patch_embed(x)
    height, width = x.shape[-2:]
    for layer in vit.layers:
        for block in layer.blocks:
            x = _mbconv(block, x) if isinstance(block, MBConv) else _block(block, x, height, width)
        if layer.downsample is not None:
            x, height, width = _merge(layer.downsample, x, height, width)
    x = x.view(x.shape[0], height, width, x.shape[2]).permute(0, 3, 1, 2).contiguous()
    for module in vit.neck:
        x = module(x) if isinstance(module, torch.nn.Conv2d) else _norm2d(module, x)
    return x


def _mbconv(block: MBConv, x: Tensor) -> Tensor:
    out = F.gelu(block.conv1(x))
    out = F.gelu(block.conv2(out))
    return F.gelu(x + block.conv3(out))


def _merge(merge: PatchMerging, x: Tensor, height: int, width: int) -> tuple[Tensor, int, int]:
    if x.ndim == 3:
        x = x.view(x.shape[0], height, width, x.shape[2]).permute(0, 3, 1, 2)
    out = F.gelu(merge.conv1(x))
    out = F.gelu(merge.conv2(out))
    out = merge.conv3(out)
    height, width = out.shape[-2:]
    return out.flatten(2).transpose(1, 2), height, width


def _block(block: TinyViTBlock, x: Tensor, height: int, width: int) -> Tensor:
    batch, length, channels = x.shape
    size = block.window_size
    grid = x.view(batch, height, width, channels)
    below, right = -height % size, -width % size
    if below or right:
        grid = F.pad(grid, (0, 0, 0, right, 0, below))
    rows, cols = grid.shape[1] // size, grid.shape[2] // size
    windows = grid.view(batch, rows, size, cols, size, channels).transpose(2, 3)
    windows = _attention(block, windows.reshape(-1, size * size, channels))
    grid = windows.view(batch, rows, cols, size, size, channels).transpose(2, 3)
    grid = grid.reshape(batch, rows * size, cols * size, channels)
    if below or right:
        grid = grid[:, :height, :width].contiguous()
    x = x + grid.view(batch, length, channels)
    maps = x.transpose(1, 2).reshape(batch, channels, height, width)
    x = block.local_conv(maps).view(batch, channels, length).transpose(1, 2)
    return x + block.mlp(x)


def _attention(block: TinyViTBlock, x: Tensor) -> Tensor:
    attention = block.attn
    batch, tokens, channels = x.shape
    heads = attention.num_heads
    qkv = attention.qkv(attention.norm(x)).view(batch, tokens, heads, -1)
    query, key, value = (part.permute(0, 2, 1, 3) for part in qkv.chunk(3, dim=3))
    weights = query @ key.transpose(-2, -1) * (channels // heads) ** -0.5
    weights = weights + attention.attention_biases[:, attention.attention_bias_idxs]
    out = weights.softmax(dim=-1) @ value
    return attention.proj(out.transpose(1, 2).reshape(batch, tokens, channels))


def _norm2d(norm: torch.nn.Module, x: Tensor) -> Tensor:
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    normed = (x - mean) / torch.sqrt(variance + norm.eps)
    return norm.weight[:, None, None] * normed + norm.bias[:, None, None]

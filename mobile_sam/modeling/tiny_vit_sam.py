"""TinyViT, MobileSAM's image encoder.

Four stages: inverted bottleneck convolutions, then three stages of windowed attention
with a depthwise convolution between attention and MLP. Maps run through the network as
(B, H, W, C), so that linear layers need no transposition and convolutions see
channels-last memory.

References
----------
Wu et al. 2022, "TinyViT: Fast Pretraining Distillation for Small Vision Transformers",
arXiv:2207.10666. Zhang et al. 2023 (MobileSAM) keep the third merge at stride 1, so
that a side of 1024 gives 64 × 64 features.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .common import StochasticDepth, image_neck, join_windows, split_windows

PATCH = 16  # pixels of the input per feature, along each side
_STRIDE_ONE_WIDTHS = (320, 448, 576)  # merges into these widths keep the resolution


def conv_bn(
    n_in: int,
    n_out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    bn_weight: float = 1.0,
) -> nn.Sequential:
    """Make a bias-free convolution ``c`` followed by batch normalisation ``bn``."""
    conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(n_out)
    nn.init.constant_(norm.weight, bn_weight)
    return nn.Sequential(OrderedDict(c=conv, bn=norm))


def _nchw(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """Two strided convolutions: (B, 3, H, W) → (B, C, H / 4, W / 4)."""

    def __init__(self, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            conv_bn(in_chans, embed_dim // 2, 3, stride=2),
            nn.GELU(),
            conv_bn(embed_dim // 2, embed_dim, 3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embed an image."""
        out: Tensor = self.seq(x)
        return out


class MBConv(nn.Module):
    """Inverted bottleneck with a residual connection, (B, C, H, W) → the same."""

    def __init__(self, dim: int, expand_ratio: float, drop_path: float) -> None:
        super().__init__()
        hidden = int(dim * expand_ratio)
        self.conv1 = conv_bn(dim, hidden)
        self.conv2 = conv_bn(hidden, hidden, 3, groups=hidden)
        # Starting at zero, the block is the identity (but for the activation) at first.
        self.conv3 = conv_bn(hidden, dim, bn_weight=0.0)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out = F.gelu(self.conv1(x))
        out = F.gelu(self.conv2(out))
        return F.gelu(x + self.drop_path(self.conv3(out)))


class PatchMerging(nn.Module):
    """Change the width and, unless it grows to the last one, halve the resolution."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        stride = 1 if out_dim in _STRIDE_ONE_WIDTHS else 2
        self.conv1 = conv_bn(dim, out_dim)
        self.conv2 = conv_bn(out_dim, out_dim, 3, stride=stride, groups=out_dim)
        self.conv3 = conv_bn(out_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H / stride, W / stride, out_dim)."""
        out = F.gelu(self.conv1(_nchw(x)))
        out = F.gelu(self.conv2(out))
        out = self.conv3(out)
        return _nhwc(out)


class Attention(nn.Module):
    """Multi-head self-attention within a window, with a learned bias per offset.

    The bias depends on the absolute row and column distance of two tokens only, so one
    table of ``resolution²`` entries a head serves all pairs.
    """

    def __init__(self, dim: int, num_heads: int, resolution: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, resolution**2))
        # In numpy: on the meta device (a layout without memory) torch would decompose the division,
        # which imports its compiler and triton; `StochasticDepth` says what comes of that.
        row, col = np.divmod(np.arange(resolution**2), resolution)
        distance = np.abs(row[:, None] - row) * resolution + np.abs(col[:, None] - col)
        self.attention_bias_idxs: Tensor
        self.register_buffer('attention_bias_idxs', torch.tensor(distance), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each of the windows `x`, (B, N, C) with N = resolution²."""
        batch, tokens, dim = x.shape
        # Per head: query, key and value side by side.
        qkv = self.qkv(self.norm(x)).view(batch, tokens, self.num_heads, 3, -1)
        query, key, value = qkv.permute(3, 0, 2, 1, 4)
        bias = self.attention_biases[:, self.attention_bias_idxs].to(query.dtype)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
        out = self.proj(out.transpose(1, 2).reshape(batch, tokens, dim))
        return out


class Mlp(nn.Module):
    """Normalisation, two linear layers, GELU between them; (..., C) → the same."""

    def __init__(self, dim: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out: Tensor = self.drop(self.fc2(self.drop(F.gelu(self.fc1(self.norm(x))))))
        return out


class TinyViTBlock(nn.Module):
    """Windowed attention, depthwise convolution, MLP; (B, H, W, C) → the same."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int,
        mlp_ratio: float,
        drop: float,
        drop_path: float,
        local_conv_size: int,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.attn = Attention(dim, num_heads, window_size)
        self.drop_path = StochasticDepth(drop_path)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), drop)
        self.local_conv = conv_bn(dim, dim, local_conv_size, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        height, width = x.shape[1:3]
        size = self.window_size
        # A window that reaches over the edge is filled with zeros *before* the norm of
        # the attention: its empty tokens hold the norm's bias and are attended to. The
        # published weights were trained so.
        windows = split_windows(x, size)
        attended = self.attn(windows.flatten(1, 2)).view(windows.shape)
        x = x + self.drop_path(join_windows(attended, size, (height, width)))
        x = _nhwc(self.local_conv(_nchw(x)))
        return x + self.drop_path(self.mlp(x))


class Stage(nn.Module):
    """Blocks, then an optional merge; (B, H, W, C) → (B, H', W', C')."""

    def __init__(
        self, blocks: Sequence[nn.Module], downsample: nn.Module | None, use_checkpoint: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample
        self.use_checkpoint = use_checkpoint
        self.nchw_blocks = all(isinstance(block, MBConv) for block in blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the stage."""
        x = _nchw(x) if self.nchw_blocks else x
        for block in self.blocks:
            if self.use_checkpoint and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        x = _nhwc(x) if self.nchw_blocks else x
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    """TinyViT image encoder.

    Parameters
    ----------
    img_size
        Side of the square input that :class:`~mobile_sam.modeling.Sam` pads to, pixels.
        The encoder itself takes any height and width that are multiples of 16.
    in_chans
        Channels of the input.
    num_classes
        Width of the classifier head. The head belongs to the published checkpoint but is
        never evaluated here.
    embed_dims, depths, num_heads, window_sizes
        Per stage: channels, number of blocks, attention heads, side of a window.
    mlp_ratio, drop_rate, drop_path_rate
        Width of the MLPs relative to C, dropout, stochastic depth at the last block.
    use_checkpoint
        Recompute activations in the backward pass to save memory.
    mbconv_expand_ratio, local_conv_size
        Expansion of the first stage's bottlenecks; kernel of the depthwise convolutions.
    layer_lr_decay
        Accepted for compatibility; learning rates are the optimiser's business.
    """

    def __init__(
        self,
        img_size: int = 1024,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (2, 4, 5, 10),
        window_sizes: Sequence[int] = (7, 7, 14, 7),
        mlp_ratio: float = 4.0,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        use_checkpoint: bool = False,
        mbconv_expand_ratio: float = 4.0,
        local_conv_size: int = 3,
        layer_lr_decay: float = 1.0,
    ) -> None:
        super().__init__()
        self.img_size = img_size
        self.patch_embed = PatchEmbed(in_chans, embed_dims[0])
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths), device='cpu').tolist())
        self.layers = nn.ModuleList()
        for i, (dim, depth) in enumerate(zip(embed_dims, depths, strict=True)):
            blocks: list[nn.Module]
            if i == 0:
                blocks = [MBConv(dim, mbconv_expand_ratio, next(rates)) for _ in range(depth)]
            else:
                blocks = [
                    TinyViTBlock(
                        dim,
                        num_heads[i],
                        window_sizes[i],
                        mlp_ratio,
                        drop_rate,
                        next(rates),
                        local_conv_size,
                    )
                    for _ in range(depth)
                ]
            last = i == len(depths) - 1
            downsample = None if last else PatchMerging(dim, embed_dims[i + 1])
            self.layers.append(Stage(blocks, downsample, use_checkpoint))
        self.norm_head = nn.LayerNorm(embed_dims[-1])
        self.head = nn.Linear(embed_dims[-1], num_classes)
        self.apply(_init_linear)
        self.neck = image_neck(embed_dims[-1], 256)

    def forward(self, x: Tensor) -> Tensor:
        """Encode images.

        Parameters
        ----------
        x
            (B, 3, H, W), normalised; H and W multiples of 16.

        Returns
        -------
        Tensor
            (B, 256, H / 16, W / 16).

        Raises
        ------
        ValueError
            If H or W is not a multiple of 16.
        """
        check_size(x)
        x = _nhwc(self.patch_embed(x))
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.neck(_nchw(x))
        return out


def check_size(x: Tensor) -> None:
    """Raise a ValueError unless height and width of `x`, (..., H, W), are multiples of 16."""
    height, width = x.shape[-2:]
    if height % PATCH or width % PATCH or not height or not width:
        raise ValueError(
            f'TinyViT needs a height and width that are multiples of {PATCH}, found '
            f'{height} × {width}: pad the image first, as Sam.preprocess does.'
        )


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)

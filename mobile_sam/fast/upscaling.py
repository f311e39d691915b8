"""From image features and kernels to mask logits, without ever shuffling the wide features."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobile_sam.modeling.common import LayerNorm2d

from .linear import linear

# Cells at a time: the 16 pixels of each, with 32 channels, take 2 MB together.
_CELLS_AT_ONCE = 1024


class Upscaling:
    """Two transposed convolutions as linear layers, and the product with the kernels.

    A transposed convolution whose stride is its size writes 2 × 2 pixels per cell, each a linear
    map of that cell. Those pixels stay beside each other here; only the masks are put in order.

    Parameters
    ----------
    layers
        Transposed convolution, norm, activation, transposed convolution, activation.
    shape
        (h, w) of the image features.
    """

    def __init__(self, layers: nn.Sequential, shape: tuple[int, int]) -> None:
        self._shape = shape
        first, norm, self._act, second, self._last_act = layers
        self._first, self._first_bias = _as_linear(cast(nn.ConvTranspose2d, first))
        self._second, self._second_bias = _as_linear(cast(nn.ConvTranspose2d, second))
        self._norm = cast(LayerNorm2d, norm)
        self._gelu = isinstance(self._last_act, nn.GELU) and self._last_act.approximate == 'none'

    def __call__(self, cells: Tensor, kernels: Tensor) -> Tensor:
        """Return logits (M, 4h, 4w) from cells (h · w, C) and kernels (M, c)."""
        height, width = self._shape
        pieces = [self._piece(some, kernels) for some in torch.split(cells, _CELLS_AT_ONCE)]
        flat = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
        # Axes: mask, row, column, then row and column within the cell, coarse before fine.
        split = flat.view(len(kernels), height, width, 2, 2, 2, 2)
        return split.permute(0, 1, 3, 5, 2, 4, 6).reshape(len(kernels), 4 * height, 4 * width)

    def _piece(self, cells: Tensor, kernels: Tensor) -> Tensor:
        norm = self._norm
        quarters = linear(cells, self._first, self._first_bias).view(-1, len(norm.weight))
        normed = F.layer_norm(quarters, norm.weight.shape, norm.weight, norm.bias, norm.eps)
        pixels = linear(self._act(normed), self._second, self._second_bias, gelu=self._gelu)
        if not self._gelu:
            pixels = self._last_act(pixels)
        return linear(kernels, pixels.view(-1, kernels.shape[1]))


def _as_linear(layer: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """Weight (4 · out, in) and bias (4 · out) of a 2 × 2 transposed convolution; rows first."""
    weight = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()
    bias = layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias
    return weight, bias.detach().repeat(4)

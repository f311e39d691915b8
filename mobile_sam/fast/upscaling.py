"""From image features and kernels to mask logits, without ever shuffling the wide features."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobile_sam.modeling.common import LayerNorm2d

from .linear import linear

#: Gives the first step of the upscaling of some cells (a slice or indices), some of its columns.
FirstStep = Callable[[slice | Tensor, slice], Tensor]

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

    Attributes
    ----------
    shape
        (h, w) of the image features.
    first, first_bias
        Weight (4c, C) and bias (4c) of the first of them.
    """

    def __init__(self, layers: nn.Sequential, shape: tuple[int, int]) -> None:
        self.shape = shape
        first, norm, act, second, last_act = layers
        self.first, self.first_bias = _as_linear(cast(nn.ConvTranspose2d, first))
        self._second, self._second_bias = _as_linear(cast(nn.ConvTranspose2d, second))
        self._norm = cast(LayerNorm2d, norm)
        self._act, self._last_act = _in_place(act), _in_place(last_act)

    def pieces(self, steps: Callable[[slice], Tensor], count: int, kernels: Tensor) -> Tensor:
        """Return logits (M, 16 N) of N cells, the pixels of each beside each other.

        Parameters
        ----------
        steps
            Gives the first transposed convolution of some cells, (n, 4c), which is overwritten.
        count
            N.
        kernels
            (M, c').
        """
        found = kernels.new_empty(len(kernels), 16 * count)
        norm = self._norm
        for start in range(0, count, _CELLS_AT_ONCE):
            stop = min(start + _CELLS_AT_ONCE, count)
            quarters = steps(slice(start, stop)).view(-1, len(norm.weight))
            pixels = self._refine(quarters, slice(None)).view(-1, kernels.shape[1])
            torch.mm(kernels, pixels.T, out=found[:, 16 * start : 16 * stop])
        return found

    def centres(self, step: FirstStep) -> Tensor:
        """Return features (N, c') of all cells, at the pixel next to the centre, row 1 column 1."""
        width = len(self._second) // 4
        quarter = step(slice(None), slice(0, len(self._norm.weight)))
        return self._refine(quarter, slice(3 * width, 4 * width))

    def _refine(self, quarters: Tensor, columns: slice) -> Tensor:
        """Do what comes between the first transposed convolution and the kernels."""
        norm = self._norm
        normed = F.layer_norm(quarters, norm.weight.shape, norm.weight, norm.bias, norm.eps)
        weight, bias = self._second[columns], self._second_bias[columns]
        return self._last_act(linear(self._act(normed), weight, bias))

    def ordered(self, pieces: Tensor) -> Tensor:
        """Put logits (M, 16 N) of whole rows of cells in order: (M, 4h, 4w)."""
        count, width = len(pieces), self.shape[1]
        # Axes: mask, row, column, then row and column within the cell, coarse before fine. The last
        # is kept together, as one number of twice the size.
        pairs = pieces.view(torch.int64).view(count, -1, width, 2, 2, 2)
        rows = pairs.permute(0, 1, 3, 5, 2, 4).reshape(count, -1, 2 * width)
        return rows.view(torch.float32)


def _in_place(activation: nn.Module) -> Callable[[Tensor], Tensor]:
    if isinstance(activation, nn.GELU):
        kind = activation.approximate

        def gelu(x: Tensor) -> Tensor:
            result: Tensor = torch.ops.aten.gelu.out(x, approximate=kind, out=x)
            return result

        return gelu
    return activation


def _as_linear(layer: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """Weight (4 · out, in) and bias (4 · out) of a 2 × 2 transposed convolution; rows first."""
    weight = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()
    bias = layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias
    return weight, bias.detach().repeat(4)

"""Parts of the fast encoder: folded layers, and maps in memory that is used again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import as_multiplied, linear


class Buffers:
    """Memory that is kept from one picture to the next, by name."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}
        self._spare: list[Buffers] = []

    def get(self, name: str, *shape: int) -> Tensor:
        """Give a contiguous float32 tensor of that shape, its content undefined.

        It shares its memory with what was last given under the same name.
        """
        size = prod(shape)
        held = self._held.get(name)
        if held is None or held.numel() < size:
            held = self._held[name] = torch.empty(size)
        return held[:size].view(shape)

    @contextmanager
    def lent(self) -> Iterator[Buffers]:
        """Lend buffers that no other thread has in the meantime.

        There come to be as many as there are threads at work, and each thread mostly has those back
        that it had last, in its own cache.
        """
        try:
            mine = self._spare.pop()
        except IndexError:
            mine = Buffers()
        try:
            yield mine
        finally:
            self._spare.append(mine)

    def release(self) -> None:
        """Give the memory back, while nothing is lent."""
        self._held.clear()
        self._spare.clear()

    @property
    def nbytes(self) -> int:
        """Bytes held, without what is lent."""
        spare = sum(buffers.nbytes for buffers in self._spare)
        return spare + sum(held.nbytes for held in self._held.values())


class Map:
    """An (H, W, C) map in a buffer, with a row of zeros above and below as a convolution's padding.

    Parameters
    ----------
    buffers
        Where its memory comes from.
    name
        Of the buffer.
    height, width, channels
        Shape of the map.
    """

    def __init__(self, buffers: Buffers, name: str, height: int, width: int, channels: int) -> None:
        self.name = name
        self.height, self.width, self.channels = height, width, channels
        self.padded = buffers.get(name, height + 2, width, channels)
        self.padded[0] = 0
        self.padded[-1] = 0
        self.rows = self.padded[1:-1]


def another(x: Map, buffers: Buffers, height: int, width: int, channels: int) -> Map:
    """Give a map for what is made of another one, in memory that this one is not in."""
    name = f'map {channels}'
    return Map(buffers, f'{name}, other' if x.name == name else name, height, width, channels)


def strips(rows: slice, floats_per_row: int, budget: int, least: int = 1) -> list[tuple[int, int]]:
    """Divide rows into strips [top, bottom) of about `budget` bytes, equal but for the last."""
    count = rows.stop - rows.start
    each = max(least, budget // (4 * floats_per_row))
    each = max(least, -(-count // -(-count // each)))
    return [(top, min(top + each, rows.stop)) for top in range(rows.start, rows.stop, each)]


def gelu(x: Tensor, out: Tensor) -> Tensor:
    """Write the GELU (by the error function) of `x` to `out`, which may be `x`."""
    result: Tensor = torch.ops.aten.gelu.out(x, out=out)
    return result


def fold_batch_norm(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Give weight and bias of the convolution ``c`` with the batch normalisation ``bn`` behind it.

    Outside of training the latter is a scale and a shift per channel. Folded in double precision:
    small variances make large factors.
    """
    conv, norm = cast(nn.Conv2d, layer.c), cast(nn.BatchNorm2d, layer.bn)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight.double() / (variance.double() + norm.eps).sqrt()
    weight = conv.weight.double() * scale[:, None, None, None]
    return weight.float(), (norm.bias.double() - mean.double() * scale).float()


class Dense:
    """A linear map of the channels of contiguous maps, (..., C) → (..., C').

    Parameters
    ----------
    weight
        (C', C), or as of a 1×1 convolution. Copied.
    bias
        (C').
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._weight = as_multiplied(weight.flatten(1).float())
        self._bias = None if bias is None else bias.detach().float().clone()

    def __call__(self, x: Tensor, gelu: bool = False) -> Tensor:
        """Apply, and the GELU on top of it."""
        flat = linear(x.view(-1, x.shape[-1]), self._weight, self._bias, gelu)
        return flat.view(*x.shape[:-1], -1)


class Conv:
    """A 3×3 convolution of an (H, W, C) map whose rows of padding are there already.

    Parameters
    ----------
    weight, bias, stride, groups
        As of `torch.nn.functional.conv2d`. Copied.
    columns
        Columns of zeros to add at the left and right.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        stride: int = 1,
        groups: int = 1,
        columns: int = 1,
    ) -> None:
        weight = weight.detach().float().clone()
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._bias = bias
        self._stride, self._groups, self._columns = stride, groups, columns

    def __call__(self, x: Tensor) -> Tensor:
        """Apply."""
        out = F.conv2d(
            # In this order: the strides of `permute(2, 0, 1)[None]` do not pass as channels-last,
            # and the map would be copied to another layout and back.
            x[None].permute(0, 3, 1, 2),
            self._weight,
            self._bias,
            stride=self._stride,
            padding=(0, self._columns),
            groups=self._groups,
        )
        return out.permute(0, 2, 3, 1)[0]


class Norm:
    """Layer normalisation over the channels of (..., C) maps.

    Parameters
    ----------
    norm
        A layer with ``weight``, ``bias`` and ``eps``. Copied.
    """

    def __init__(self, norm: nn.Module) -> None:
        layer = cast(nn.LayerNorm, norm)
        self._weight, self._bias = layer.weight.detach().clone(), layer.bias.detach().clone()
        self._eps = layer.eps

    def __call__(self, x: Tensor) -> Tensor:
        """Apply."""
        return F.layer_norm(x, (x.shape[-1],), self._weight, self._bias, self._eps)

"""TinyViT as it is fast on a processor: the same features, in less time and memory.

- Batch normalisation is folded into the convolution before it.
- Maps are (H, W, C) in memory throughout: a 1×1 convolution is a matrix product over the pixels,
  and depthwise convolutions see channels-last memory.
- Each stage is evaluated strip by strip, so that what is in between stays in the cache. Rows that
  two strips share are carried over, not computed twice.
- Maps are written into memory that serves the next picture again. A plain evaluation spends a good
  part of its time on memory that the system hands out anew, page by page.

Pictures of a batch are encoded one by one. Batches gain nothing on a processor, and so the
features of a picture do not depend on what else is in its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobile_sam.modeling.tiny_vit_sam import (
    MBConv,
    PatchEmbed,
    PatchMerging,
    TinyViT,
    TinyViTBlock,
    check_size,
)

from .encoder_layers import Buffers, Conv, Dense, Map, Norm, fold_batch_norm, gelu, strips

# Of the widest map of a strip. With what is before and after it, that is about a core's own cache.
_STRIP_BYTES = 2 << 20


class FastTinyViT:
    """An image encoder with the contract of `TinyViT`, for inference on a processor in float32.

    Belongs to one thread at a time, as its buffers are shared by its calls. It holds what the
    weights were when it was made.

    Parameters
    ----------
    vit
        Is read, and left as it is.
    """

    def __init__(self, vit: TinyViT) -> None:
        self.img_size = vit.img_size
        self._buffers = Buffers()
        self._parts: list[Callable[[Map, Buffers], Map]] = []
        with torch.inference_mode():
            self._stem = _Stem(vit.patch_embed)
            for layer in vit.layers:
                for block in cast(nn.ModuleList, layer.blocks):
                    if isinstance(block, MBConv):
                        self._parts.append(_Bottleneck(block, residual=True))
                    else:
                        self._parts.append(_Block(cast(TinyViTBlock, block)))
                if layer.downsample is not None:
                    merge = cast(PatchMerging, layer.downsample)
                    self._parts.append(_Bottleneck(merge, residual=False))
            self._neck = _Neck(vit.neck)

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        """Encode images, (B, 3, H, W) → (B, 256, H / 16, W / 16); see `TinyViT.forward`.

        Raises
        ------
        ValueError
            If H or W is not a multiple of 16.
        """
        check_size(x)
        return torch.stack([self._encode(image) for image in x.float()])

    def release(self) -> None:
        """Give the memory of the buffers back; the next call takes it again."""
        self._buffers.release()

    @property
    def buffer_bytes(self) -> int:
        """Memory kept for the next picture, of the size of the largest one so far."""
        return self._buffers.nbytes

    def _encode(self, image: Tensor) -> Tensor:
        x = self._stem(image, self._buffers)
        for part in self._parts:
            x = part(x, self._buffers)
        return self._neck(x, self._buffers)


class _Stem:
    """Two strided convolutions, a GELU between them: (3, H, W) → (H / 4, W / 4, C)."""

    def __init__(self, embed: PatchEmbed) -> None:
        first, second = embed.seq[0], embed.seq[2]
        self._first = Conv(*fold_batch_norm(first), stride=2, columns=0)
        self._second = Conv(*fold_batch_norm(second), stride=2)
        self._half_width = cast(nn.Conv2d, first.c).out_channels
        self._width = cast(nn.Conv2d, second.c).out_channels

    def __call__(self, image: Tensor, buffers: Buffers) -> Map:
        channels, height, width = image.shape
        # With a stride of 2 over an even size the padding is seen above and at the left only.
        pixels = buffers.get('pixels', height + 1, width + 1, channels)
        pixels[0] = 0
        pixels[:, 0] = 0
        pixels[1:, 1:] = image.permute(1, 2, 0)
        out = Map(buffers, 'stem', height // 4, width // 4, self._width)
        pieces = strips(out.height, width * self._half_width, _STRIP_BYTES)
        half = buffers.get('strip', 2 * pieces[0][1] + 1, width // 2, self._half_width)
        half[0] = 0
        for top, bottom in pieces:
            rows = 2 * (bottom - top)
            gelu(self._first(pixels[4 * top : 4 * bottom + 1]), half[1 : rows + 1])
            out.rows[top:bottom] = self._second(half[: rows + 1])
            half[0] = half[rows]
        return out


class _Bottleneck:
    """Widen, convolve each channel by itself, narrow: an `MBConv`, or a `PatchMerging`."""

    def __init__(self, module: MBConv | PatchMerging, residual: bool) -> None:
        depthwise = cast(nn.Conv2d, module.conv2.c)
        self._stride = depthwise.stride[0]
        self._hidden = depthwise.out_channels
        self._out = cast(nn.Conv2d, module.conv3.c).out_channels
        self._residual = residual
        self._widen = Dense(*fold_batch_norm(module.conv1))
        self._depthwise = Conv(
            *fold_batch_norm(module.conv2), stride=self._stride, groups=depthwise.groups
        )
        self._narrow = Dense(*fold_batch_norm(module.conv3))

    def __call__(self, x: Map, buffers: Buffers) -> Map:
        stride = self._stride
        height, width = x.height // stride, x.width // stride
        # With a residual, the result can take the place of what it is made from: no strip needs a
        # row of `x` that one before it has written to.
        out = x if self._residual else Map(buffers, f'merged {self._out}', height, width, self._out)
        pieces = strips(height, stride * x.width * self._hidden, _STRIP_BYTES)
        wide = buffers.get('strip', stride * pieces[0][1] + 2, x.width, self._hidden)
        wide[0] = 0
        filled, done = 1, 0  # rows that are in `wide`, and rows of `x` that went into it so far
        for top, bottom in pieces:
            upto = min(stride * (bottom - 1) + 2, x.height)
            count = filled + upto - done
            if upto > done:  # not so where the last strip is a single row
                gelu(self._widen(x.rows[done:upto]), wide[filled:count])
                done = upto
            needed = stride * (bottom - top - 1) + 3
            if count < needed:
                wide[count] = 0  # below the last row of the map
            convolved = self._depthwise(wide[:needed])
            narrow = self._narrow(gelu(convolved, convolved))
            if self._residual:
                gelu(narrow.add_(x.rows[top:bottom]), out.rows[top:bottom])
            else:
                out.rows[top:bottom] = narrow
            filled = 3 - stride
            if bottom < height:
                wide[:filled] = wide[needed - filled : needed]
        return out


class _Block:
    """Windowed attention, depthwise convolution, MLP: a `TinyViTBlock`."""

    def __init__(self, block: TinyViTBlock) -> None:
        attention, mlp = block.attn, block.mlp
        self._size = block.window_size
        self._heads = attention.num_heads
        self._norm1 = Norm(attention.norm)
        self._qkv = Dense(attention.qkv.weight, attention.qkv.bias)
        self._proj = Dense(attention.proj.weight, attention.proj.bias)
        self._bias = attention.attention_biases[:, attention.attention_bias_idxs][None].float()
        self._conv = Conv(
            *fold_batch_norm(block.local_conv),
            groups=cast(nn.Conv2d, block.local_conv.c).groups,
        )
        self._norm2 = Norm(mlp.norm)
        self._fc1 = Dense(mlp.fc1.weight, mlp.fc1.bias)
        self._fc2 = Dense(mlp.fc2.weight, mlp.fc2.bias)
        self._hidden = mlp.fc1.out_features

    def __call__(self, x: Map, buffers: Buffers) -> Map:
        self._attend(x, buffers)
        # The convolution looks at neighbours, so what it makes goes to another map.
        name = f'block {x.channels}'
        name = f'{name}, other' if x.name == name else name
        out = Map(buffers, name, x.height, x.width, x.channels)
        for top, bottom in strips(x.height, x.width * self._hidden, _STRIP_BYTES):
            y = self._conv(x.padded[top : bottom + 2])
            hidden = self._fc1(self._norm2(y), gelu=True)
            torch.add(y, self._fc2(hidden), out=out.rows[top:bottom])
        return out

    def _attend(self, x: Map, buffers: Buffers) -> None:
        """Add the attention within windows to the map, a few rows of windows at a time."""
        size, channels = self._size, x.channels
        columns = -(-x.width // size)
        floats = columns * size * size * 3 * channels
        for first, last in strips(-(-x.height // size), floats, 3 * _STRIP_BYTES):
            windows = buffers.get('windows', last - first, columns, size, size, channels)
            if x.width % size or last * size > x.height:
                windows.zero_()  # what lies beyond the edge is attended to, as zeros
            for inside, outside in self._pieces(x, windows, first):
                inside.copy_(outside)
            attended = self._attention(windows.view(-1, size * size, channels))
            for inside, outside in self._pieces(x, attended.view(windows.shape), first):
                outside.add_(inside)

    def _pieces(self, x: Map, windows: Tensor, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pair windows with what they cover, whole ones apart from those that an edge cuts."""
        size = self._size
        rows = x.rows[first * size : (first + len(windows)) * size]
        for (top, height, n), (left, width, m) in product(
            _runs(rows.shape[0], size), _runs(x.width, size)
        ):
            outside = rows[top * size :, left * size :][: n * height, : m * width]
            outside = outside.view(n, height, m, width, -1).transpose(1, 2)
            yield windows[top : top + n, left : left + m, :height, :width], outside

    def _attention(self, windows: Tensor) -> Tensor:
        count, tokens, channels = windows.shape
        qkv = self._qkv(self._norm1(windows)).view(count, tokens, self._heads, 3, -1)
        query, key, value = qkv.permute(3, 0, 2, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=self._bias)
        return self._proj(out.transpose(1, 2).reshape(count, tokens, channels))


class _Neck:
    """The two convolutions at the end: (H, W, C) → (256, H, W)."""

    def __init__(self, neck: nn.Sequential) -> None:
        narrow, norm1, conv, norm2 = neck
        self._narrow = Dense(cast(Tensor, narrow.weight))
        self._norm1, self._norm2 = Norm(norm1), Norm(norm2)
        self._conv = Conv(cast(Tensor, conv.weight))

    def __call__(self, x: Map, buffers: Buffers) -> Tensor:
        normed = self._norm1(self._narrow(x.rows))
        middle = Map(buffers, 'neck', *normed.shape)
        middle.rows.copy_(normed)
        return self._norm2(self._conv(middle.padded)).permute(2, 0, 1).contiguous()


def _runs(length: int, size: int) -> list[tuple[int, int, int]]:
    """Divide a side into windows: (first window, side of the part that is covered, how many)."""
    whole, rest = divmod(length, size)
    return [(0, size, whole)] * (whole > 0) + [(whole, rest, 1)] * (rest > 0)

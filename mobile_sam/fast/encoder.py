"""TinyViT as it is fast on a processor: the same features, in less time and memory.

- Batch normalisation is folded into the convolution before it.
- Maps are (H, W, C) in memory throughout: a 1×1 convolution is a matrix product over the pixels,
  and depthwise convolutions see channels-last memory.
- Each stage is evaluated strip by strip, so that what is in between stays in the cache. Rows that
  two strips share are carried over, not computed twice.
- Strips, or a few of them in a row, are shared among the threads of a crew, which meet once or
  twice per block. torch's own threads meet in every operation, thousands of times per picture.
- Maps are written into memory that serves the next picture again. A plain evaluation spends a good
  part of its time on memory that the system hands out anew, page by page.

Pictures of a batch are encoded one by one. Batches gain nothing on a processor, and so the
features of a picture do not depend on what else is in its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobile_sam.modeling.common import LayerNorm2d, StochasticDepth
from mobile_sam.modeling.tiny_vit_sam import (
    Attention,
    MBConv,
    Mlp,
    PatchEmbed,
    PatchMerging,
    Stage,
    TinyViT,
    TinyViTBlock,
    check_size,
)

from .crew import Crew
from .encoder_layers import Buffers, Conv, Dense, Map, Norm, another, fold_batch_norm, gelu, strips
from .known import known

# Of the widest map of a strip. With what is before and after it, that is about a core's own cache.
_STRIP_BYTES = 2 << 20
# Parts for each thread where strips carry rows over. The first strip of a part has nothing to take
# over, so that fewer are less work; with more nobody waits for long.
_RUNS = 2
# Of queries, keys and values of windows that one thread attends to at a time.
_WINDOW_BYTES = 3 << 20

_LAYERS = (
    TinyViT,
    PatchEmbed,
    Stage,
    MBConv,
    PatchMerging,
    TinyViTBlock,
    Attention,
    Mlp,
    StochasticDepth,
    LayerNorm2d,
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.Linear,
    nn.LayerNorm,
    nn.GELU,
    nn.Dropout,
    nn.Sequential,
    nn.ModuleList,
)


class _Part(Protocol):
    """Makes a map from a map."""

    def __call__(self, x: Map, buffers: Buffers, crew: Crew) -> Map: ...


class FastTinyViT:
    """An image encoder with the contract of `TinyViT`, for inference on a processor in float32.

    Belongs to one thread at a time, as its buffers are shared by its calls. It holds what the
    weights were when it was made.

    Parameters
    ----------
    vit
        Is read, and left as it is.
    crew
        Threads to share the work; by default as many as torch has in the calling thread.
    """

    def __init__(self, vit: TinyViT, crew: Crew | None = None) -> None:
        self.img_size = vit.img_size
        self._buffers = Buffers()
        self._crew = Crew.of_torch() if crew is None else crew
        self._parts: list[_Part] = []
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

    def __call__(self, x: Tensor) -> Tensor:
        """Encode images, (B, 3, H, W) → (B, 256, H / 16, W / 16); see `TinyViT.forward`.

        Raises
        ------
        ValueError
            If H or W is not a multiple of 16.
        """
        check_size(x)
        return self._crew.run(lambda: torch.stack([self._encode(image) for image in x.float()]))

    def release(self) -> None:
        """Give the memory of the buffers back; the next call takes it again."""
        self._buffers.release()

    @property
    def buffer_bytes(self) -> int:
        """Memory kept for the next picture, of the size of the largest one so far."""
        return self._buffers.nbytes

    def _encode(self, image: Tensor) -> Tensor:
        x = self._stem(image, self._buffers, self._crew)
        for part in self._parts:
            x = part(x, self._buffers, self._crew)
        return self._neck(x, self._buffers, self._crew)


def foldable(encoder: nn.Module) -> bool:
    """Whether an encoder is on the processor, and `FastTinyViT` computes what it does."""
    return (
        type(encoder) is TinyViT
        and not encoder.training
        and known(encoder, _LAYERS, activations=False)
        and all(
            weight.device.type == 'cpu' and weight.dtype == torch.float32
            for weight in encoder.parameters()
        )
    )


class _Stem:
    """Two strided convolutions, a GELU between them: (3, H, W) → (H / 4, W / 4, C)."""

    def __init__(self, embed: PatchEmbed) -> None:
        first, second = embed.seq[0], embed.seq[2]
        self._first = Conv(*fold_batch_norm(first), stride=2, columns=0)
        self._second = Conv(*fold_batch_norm(second), stride=2)
        self._half_width = cast(nn.Conv2d, first.c).out_channels
        self._width = cast(nn.Conv2d, second.c).out_channels

    def __call__(self, image: Tensor, buffers: Buffers, crew: Crew) -> Map:
        height, width = image.shape[1] // 4, image.shape[2] // 4
        out = Map(buffers, f'map {self._width}', height, width, self._width)
        crew.share(partial(self._run, image, out, buffers), _runs(out.height, crew))
        return out

    def _run(self, image: Tensor, out: Map, buffers: Buffers, rows: slice) -> None:
        channels, _, width = image.shape
        with buffers.lent() as mine:
            for top, bottom in strips(rows, width * self._half_width, _STRIP_BYTES):
                # Rows of the half-size map from 2 * top - 1 on are looked at. The first of them was
                # carried over, or lies above the picture; or else it is computed, too.
                half = mine.get('half', 2 * (bottom - top) + 1, width // 2, self._half_width)
                begin = 2 * top - 1 if 0 < top == rows.start else 2 * top
                pixels = mine.get('pixels', 4 * bottom - 2 * begin + 1, width + 1, channels)
                # With a stride of 2 over an even size, padding is seen above and at the left only.
                pixels[:, 0] = 0
                seen = image[:, max(0, 2 * begin - 1) : 4 * bottom]
                pixels[-seen.shape[1] :, 1:] = seen.permute(1, 2, 0)
                if top == 0:
                    pixels[0] = 0
                    half[0] = 0
                gelu(self._first(pixels), half[begin - 2 * top + 1 :])
                out.rows[top:bottom] = self._second(half)
                half[0] = half[-1]


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

    def __call__(self, x: Map, buffers: Buffers, crew: Crew) -> Map:
        height, width = x.height // self._stride, x.width // self._stride
        out = another(x, buffers, height, width, self._out)
        crew.share(partial(self._run, x, out, buffers), _runs(height, crew))
        return out

    def _run(self, x: Map, out: Map, buffers: Buffers, rows: slice) -> None:
        stride = self._stride
        pieces = strips(rows, stride * x.width * self._hidden, _STRIP_BYTES, least=2)
        with buffers.lent() as mine:
            most = max(bottom - top for top, bottom in pieces)
            wide = mine.get('wide', stride * most + 2, x.width, self._hidden)
            # Rows that are in `wide`, and the first row of `x` that has not gone into it yet.
            filled, done = 0, stride * rows.start - 1
            if done < 0:
                wide[0] = 0  # above the first row of the map
                filled, done = 1, 0
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
                filled = 3 - stride  # of a strip's rows, which are two at least
                if bottom < rows.stop:
                    wide[:filled] = wide[needed - filled : needed]


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

    def __call__(self, x: Map, buffers: Buffers, crew: Crew) -> Map:
        size, floats = self._size, 3 * self._size**2 * x.channels
        across, down = -(-x.width // size), -(-x.height // size)
        columns = strips(slice(0, across), floats, _WINDOW_BYTES)
        rows = strips(slice(0, down), floats * (columns[0][1] - columns[0][0]), _WINDOW_BYTES)
        crew.share(partial(self._attend, x, buffers), list(product(rows, columns)))
        # The convolution looks at neighbours, so what it makes goes to another map.
        out = another(x, buffers, x.height, x.width, x.channels)
        pieces = strips(slice(0, x.height), x.width * self._hidden, _STRIP_BYTES)
        crew.share(partial(self._mix, x, out), pieces)
        return out

    def _mix(self, x: Map, out: Map, rows: tuple[int, int]) -> None:
        top, bottom = rows
        y = self._conv(x.padded[top : bottom + 2])
        hidden = self._fc1(self._norm2(y), gelu=True)
        torch.add(y, self._fc2(hidden), out=out.rows[top:bottom])

    def _attend(self, x: Map, buffers: Buffers, part: tuple[tuple[int, int], ...]) -> None:
        """Add the attention within some windows to the map."""
        size, channels = self._size, x.channels
        (top, bottom), (left, right) = part
        covered = x.rows[top * size : bottom * size, left * size : right * size]
        with buffers.lent() as mine:
            windows = mine.get('windows', bottom - top, right - left, size, size, channels)
            if covered.shape[:2] != ((bottom - top) * size, (right - left) * size):
                windows.zero_()  # what lies beyond the edge is attended to, as zeros
            for inside, outside in _pieces(covered, windows):
                inside.copy_(outside)
            attended = self._attention(windows.view(-1, size * size, channels))
            for inside, outside in _pieces(covered, attended.view(windows.shape)):
                outside.add_(inside)

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
        self._width = cast(nn.Conv2d, conv).out_channels

    def __call__(self, x: Map, buffers: Buffers, crew: Crew) -> Tensor:
        middle = Map(buffers, 'neck', x.height, x.width, self._width)
        out = torch.empty(self._width, x.height, x.width)

        def narrow(rows: slice) -> None:
            middle.rows[rows] = self._norm1(self._narrow(x.rows[rows]))

        def convolve(rows: slice) -> None:
            seen = middle.padded[rows.start : rows.stop + 2]
            out[:, rows] = self._norm2(self._conv(seen)).permute(2, 0, 1)

        for work in narrow, convolve:
            crew.share(work, _runs(x.height, crew))
        return out


def _pieces(rows: Tensor, windows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Pair windows with what they cover of a map, whole ones apart from those that an edge cuts."""
    size = windows.shape[2]
    for (top, height, n), (left, width, m) in product(
        _covers(rows.shape[0], size), _covers(rows.shape[1], size)
    ):
        outside = rows[top * size :, left * size :][: n * height, : m * width]
        outside = torch.unflatten(torch.unflatten(outside, 1, (m, width)), 0, (n, height))
        outside = outside.transpose(1, 2)
        yield windows[top : top + n, left : left + m, :height, :width], outside


def _runs(height: int, crew: Crew) -> list[slice]:
    """Divide rows of a map into parts for a crew, of several strips each."""
    each = -(-height // (_RUNS * crew.size)) if crew.size > 1 else height
    return [slice(top, min(top + each, height)) for top in range(0, height, each)]


def _covers(length: int, size: int) -> list[tuple[int, int, int]]:
    """Divide a side into windows: (first window, side of the part that is covered, how many)."""
    whole, rest = divmod(length, size)
    return [(0, size, whole)] * (whole > 0) + [(whole, rest, 1)] * (rest > 0)

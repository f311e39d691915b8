"""What single operations of the encoder cost, in milliseconds of the processor.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python benchmarks/probe_kernels.py

The reasons for how `mobile_sam/fast/encoder.py` does things. The lower quartile of 15 calls each.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import torch
import torch.nn.functional as F

from mobile_sam.fast.linear import linear


def cost(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(17):
        start = process_time()
        call()
        times.append(process_time() - start)
    return 1000 * sorted(times[2:])[4]


@torch.inference_mode()
def main() -> None:
    def show(what: str, call: Callable[[], Any]) -> None:
        print(f'{cost(call):8.2f}  {what}')

    x, weight = torch.randn(4096, 320), torch.randn(1280, 320)
    show('product (4096, 320) x (320, 1280): F.linear', lambda: F.linear(x, weight))
    show('                                   the faster library', lambda: linear(x, weight))

    half = weight.bfloat16()
    show(
        '                                   bfloat16, casts and all',
        lambda: F.linear(x.bfloat16(), half).float(),
    )

    strip, kernel = torch.randn(10, 256, 256), torch.randn(256, 1, 3, 3)
    kept = strip[None].permute(0, 3, 1, 2)
    lost = strip.permute(2, 0, 1)[None]
    for name, view in (('x[None].permute(0, 3, 1, 2)', kept), ('x.permute(2, 0, 1)[None]', lost)):
        show(f'depthwise 3x3 of a strip, {name}', lambda v=view: F.conv2d(v, kernel, groups=256))

    wide = torch.randn(65536, 256)
    show('GELU of 64 MiB, fresh output', lambda: F.gelu(wide))
    pieces, out = wide.split(2048), torch.empty(2048, 256)
    gelu = torch.ops.aten.gelu.out
    show('             in strips of 2 MiB', lambda: [gelu(piece, out=out) for piece in pieces])

    tokens, one = torch.randn(16384, 128), torch.ones(128)
    show('layer norm with its affine part', lambda: F.layer_norm(tokens, (128,), one, one))
    show('           without', lambda: F.layer_norm(tokens, (128,)))

    for windows, length, heads in ((361, 49, 4), (25, 196, 5), (100, 49, 10)):
        qkv = torch.randn(windows, length, heads, 3, 32).permute(3, 0, 2, 1, 4)
        bias = torch.randn(1, heads, length, length)

        def spelled(qkv: Any = qkv, bias: Any = bias) -> torch.Tensor:
            query, key, value = qkv
            weights = query @ key.transpose(-1, -2) * 32**-0.5 + bias
            return weights.softmax(-1) @ value

        def fused(qkv: Any = qkv, bias: Any = bias) -> torch.Tensor:
            return F.scaled_dot_product_attention(*qkv, attn_mask=bias)

        show(f'attention in {windows} windows of {length}: spelled out', spelled)
        show('                                  fused', fused)


if __name__ == '__main__':
    main()

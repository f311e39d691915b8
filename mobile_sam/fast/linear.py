"""Matrix products on the CPU by whichever of torch's two libraries is the faster here.

torch multiplies float32 matrices with BLAS (MKL in the published wheels for x86). MKL keeps to its
AVX2 kernels on processors of other makers than Intel, and oneDNN, which torch carries for
convolutions, does not: on an AMD EPYC with AVX-512 it is more than twice as fast (100 against 220
GFLOP/s on one thread). Where both are equal, as on Intel, BLAS stays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

# oneDNN has to win by this much: a choice between equals would change with the weather.
_WORTH_IT = 1.3


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, gelu: bool = False) -> Tensor:
    """Multiply like :func:`torch.nn.functional.linear`, for inference only.

    Parameters
    ----------
    x
        (N, K), each row or each column contiguous.
    weight
        (M, K), likewise.
    bias
        (M,).
    gelu
        Apply the GELU (by the error function) to the result.

    Returns
    -------
    Tensor
        (N, M).
    """
    if x.device.type == 'cpu' and x.dtype == torch.float32 and onednn_is_faster():
        return _onednn(x, weight, bias, gelu)
    product = F.linear(x, weight, bias)
    return F.gelu(product) if gelu else product


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN multiplies float32 matrices clearly faster than BLAS; measured once, in ms."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if not hasattr(torch.ops.mkldnn, '_linear_pointwise'):
        return False
    with torch.inference_mode():
        x, weight = torch.ones(512, 256), torch.ones(256, 256)
        try:
            theirs = _quickest(lambda: _onednn(x, weight, None, False))
        except RuntimeError:  # built without it, or switched off
            return False
        return _quickest(lambda: F.linear(x, weight)) > _WORTH_IT * theirs


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(
        x, weight, bias, 'gelu' if gelu else 'none', [], 'none' if gelu else ''
    )
    return product


def _quickest(call: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of the quickest of some calls, the first of which only warms up."""
    times = []
    for _ in range(repeats + 1):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times[1:])

"""Matrix products on the CPU by whichever of torch's two libraries is the faster here.

torch multiplies float32 matrices with BLAS (MKL in the published wheels for x86). MKL keeps to its
AVX2 kernels on processors of other makers than Intel, and oneDNN, which torch carries for
convolutions, does not: on an AMD EPYC with AVX-512 it is more than twice as fast (100 against 250
GFLOP/s on one thread). A product is a 1 × 1 convolution, so it needs nothing but `conv2d`. Where
both are equal, as on Intel, BLAS stays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

# oneDNN has to win by this much: a choice between equals would change with the weather.
_WORTH_IT = 1.3
# With a single thread torch gives a 1 × 1 convolution of fewer images to another library.
_IMAGES = 16


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, gelu: bool = False) -> Tensor:
    """Multiply like :func:`torch.nn.functional.linear`, for inference only.

    Parameters
    ----------
    x
        (N, K).
    weight
        (M, K).
    bias
        (M,).
    gelu
        Apply the GELU (by the error function) to the result.

    Returns
    -------
    Tensor
        (N, M).
    """
    images = _images(len(x)) if x.is_contiguous() and _foreign(x) else 0
    if images:
        product = _convolved(x, weight, bias, images)
    else:
        # Not by `addmm`, which writes the bias out for the product to be added to.
        product = torch.mm(x, weight.T)
        if bias is not None:
            product.add_(bias)
    if gelu:
        torch.ops.aten.gelu.out(product, out=product)
    return product


def as_multiplied(weight: Tensor) -> Tensor:
    """Copy a weight (M, K) for `linear`, to where it lies as the faster library reads it best."""
    if onednn_is_faster():
        return weight.detach().clone()
    return weight.detach().T.clone(memory_format=torch.contiguous_format).T


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN multiplies float32 matrices clearly faster than BLAS; measured once, in ms."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with torch.inference_mode():
        x, weight = torch.ones(512, 256), torch.ones(256, 256)
        theirs = _quickest(lambda: _convolved(x, weight, None, _IMAGES))
        return _quickest(lambda: F.linear(x, weight)) > _WORTH_IT * theirs


def _foreign(x: Tensor) -> bool:
    return x.device.type == 'cpu' and x.dtype == torch.float32 and onednn_is_faster()


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, images: int) -> Tensor:
    """Multiply as a convolution of so many channels-last images, a row being a pixel of one."""
    pixels = x.view(images, 1, -1, x.shape[1]).permute(0, 3, 1, 2)
    product = F.conv2d(pixels, weight[:, :, None, None], bias)
    return product.permute(0, 2, 3, 1).reshape(len(x), -1)


@lru_cache(maxsize=256)
def _images(rows: int) -> int:
    """Into how many images of equal size to divide rows; 0 if that cannot be done well."""
    return next((n for n in range(_IMAGES, 8 * _IMAGES) if rows % n == 0), 0)


def _quickest(call: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of the quickest of some calls, the first of which only warms up."""
    times = []
    for _ in range(repeats + 1):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times[1:])

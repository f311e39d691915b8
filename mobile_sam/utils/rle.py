"""Run-length encoded masks, as the COCO format writes them.

A mask is read column by column; ``counts`` holds the lengths of its runs, beginning with zeros (so
the first count is 0 if the first pixel is set) and alternating from there.
Format: https://github.com/cocodataset/cocoapi (``common/maskApi.h``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

Rle = dict[str, Any]


def mask_to_rle_pytorch(tensor: Tensor) -> list[Rle]:
    """Encode masks as uncompressed run lengths.

    Parameters
    ----------
    tensor : Tensor of bool, shape (B, H, W)
        The masks.

    Returns
    -------
    list of dict
        Per mask ``{'size': [H, W], 'counts': [run, …]}`` with Python integers.
    """
    if tensor.ndim != 3:
        raise ValueError(
            f'Expected masks of shape (B, H, W), found {tuple(tensor.shape)}. '
            'Add a batch axis, or flatten the leading axes.'
        )
    return [mask_to_rle(mask) for mask in tensor.detach().cpu().numpy()]


def mask_to_rle(mask: npt.NDArray[Any]) -> Rle:
    """Encode one mask as uncompressed run lengths.

    Parameters
    ----------
    mask : ndarray, shape (H, W)
        Anything but zero is inside.

    Returns
    -------
    dict
        ``{'size': [H, W], 'counts': [run, …]}`` with Python integers.
    """
    height, width = mask.shape
    pixels = np.asarray(mask, dtype=bool).ravel(order='F')
    starts = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs = np.diff(starts, prepend=0, append=pixels.size).tolist()
    if pixels.size and pixels[0]:
        runs.insert(0, 0)
    return {'size': [height, width], 'counts': runs}


def rle_to_mask(rle: Rle) -> npt.NDArray[np.bool_]:
    """Decode uncompressed run lengths.

    Parameters
    ----------
    rle : dict
        As from `mask_to_rle_pytorch`.

    Returns
    -------
    ndarray of bool, shape (H, W)
        The mask, row-contiguous and writable.

    Raises
    ------
    ValueError
        If the runs do not fill the picture exactly.
    """
    height, width = rle['size']
    runs = np.asarray(rle['counts'], dtype=np.int64)
    if runs.sum() != height * width or (runs < 0).any():
        raise ValueError(
            f'Expected non-negative runs that add up to {height} × {width} = {height * width} '
            f'pixels, found a sum of {runs.sum()}. The encoding is damaged, or its size is wrong.'
        )
    inside = np.arange(runs.size) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(width, height).T)


def area_from_rle(rle: Rle) -> int:
    """Count the pixels inside an uncompressed run-length encoded mask."""
    return int(sum(rle['counts'][1::2]))


def coco_encode_rle(uncompressed_rle: Rle) -> Rle:
    """Compress run lengths to the string form of COCO annotations.

    The result is what ``pycocotools`` makes of the same runs, without needing it.

    Parameters
    ----------
    uncompressed_rle : dict
        As from `mask_to_rle_pytorch`.

    Returns
    -------
    dict
        ``{'size': [H, W], 'counts': str}``, fit for JSON.
    """
    height, width = uncompressed_rle['size']
    return {'size': [height, width], 'counts': _compress(uncompressed_rle['counts'])}


def _compress(runs: Sequence[int]) -> str:
    """Write runs as signed base-32 digits, least significant first.

    From the fourth run on, what is written is the difference to the run two before (the last of the
    same kind). Each character carries five bits of the number, a sixth bit says that more follow,
    and 48 ('0') is added to stay printable.
    """
    text = bytearray()
    for index, run in enumerate(runs):
        rest = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            digit = rest & 0b11111
            rest >>= 5
            # Done once what is left is only copies of the sign bit (bit 4 of the last digit).
            more = rest != (-1 if digit & 0b10000 else 0)
            text.append(48 + (digit | 0b100000 if more else digit))
    return text.decode('ascii')

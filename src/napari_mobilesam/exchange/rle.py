"""Run-length encoding of masks, as COCO has it.

A mask is read column by column; `counts` are the lengths of its runs of background and object in
turn, beginning with background. Compressed, each count is written in base 32 with six-bit
characters from ``'0'`` on, as the difference to the count two places before (from the third on).

Source: the format of the COCO data set (https://cocodataset.org/#format-data) and of its API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import ExchangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def encode_counts(mask: NDArray[np.bool_]) -> list[int]:
    """Return the run lengths of a mask, bool (h, w)."""
    flat = np.asarray(mask, bool).ravel(order='F')
    if not flat.size:
        return []
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts: list[int] = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return [0, *counts] if flat[0] else counts


def decode_counts(counts: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask, bool (h, w), of run lengths.

    Raises
    ------
    ExchangeError
        If these are not the run lengths of a mask of this shape.
    """
    return _spread(_checked(counts, shape), shape[0])


def decode_columns(counts: Sequence[int], shape: tuple[int, int]) -> tuple[int, NDArray[np.bool_]]:
    """Return the columns of a mask that hold all of its pixels.

    Returns
    -------
    column : int
        The first of these columns.
    mask : ndarray of bool, shape (h, n)

    Raises
    ------
    ExchangeError
        As `decode_counts`.
    """
    runs = _checked(counts, shape)
    ends = np.cumsum(runs)
    objects = np.flatnonzero(runs[1::2]) * 2 + 1
    if not len(objects):
        return 0, np.zeros((shape[0], 0), bool)
    first, last = objects[0], objects[-1]
    start = int(ends[first - 1]) // shape[0]
    stop = -(-int(ends[last]) // shape[0])
    kept = runs[first - 1 : last + 1].copy()
    kept[0] = ends[first - 1] - start * shape[0]
    return start, _spread(np.append(kept, stop * shape[0] - ends[last]), shape[0])


def _checked(counts: Sequence[int], shape: tuple[int, int]) -> NDArray[np.int64]:
    height, width = shape
    try:
        runs = np.asarray(counts, np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ExchangeError(f'run lengths are integers; {error}') from None
    if runs.ndim != 1 or (runs < 0).any() or runs.sum(dtype=object) != height * width:
        raise ExchangeError(
            f'the run lengths of a mask of {height} x {width} pixels are none of them negative, '
            f'and {height * width} together; got {runs.size} of {runs.sum(dtype=object)}'
        )
    return runs


def _spread(runs: NDArray[np.int64], height: int) -> NDArray[np.bool_]:
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape((height, -1 if height else 0), order='F')


def compress(counts: Sequence[int]) -> str:
    """Return run lengths as COCO's compressed string."""
    characters = bytearray()
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            five = value & 31
            value >>= 5
            last = value == (-1 if five & 16 else 0)
            characters.append(48 + (five if last else five | 32))
            if last:
                break
    return characters.decode('ascii')


def decompress(text: str | bytes) -> list[int]:
    """Return the run lengths of a compressed string.

    Raises
    ------
    ExchangeError
        If it is damaged.
    """
    data = text.encode('ascii', 'replace') if isinstance(text, str) else bytes(text)
    counts: list[int] = []
    value = shift = 0
    for byte in data:
        six = byte - 48
        if not 0 <= six < 64 or shift > 50:
            raise ExchangeError(f'a compressed run-length string is damaged at {len(counts)} runs')
        value |= (six & 31) << shift
        shift += 5
        if six & 32:
            continue
        if six & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ExchangeError(f'a compressed run-length string ends within run {len(counts)}')
    return counts


def encode(mask: NDArray[np.bool_]) -> str:
    """Return a mask, bool (h, w), as COCO's compressed string."""
    return compress(encode_counts(mask))


def decode(text: str | bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of a compressed string; see `decode_counts`."""
    return decode_counts(decompress(text), shape)

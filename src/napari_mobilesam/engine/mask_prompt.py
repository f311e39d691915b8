"""Masks as prompts: a mask of the plane, or earlier logits, in the form that the model reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The model reads masks at a quarter of its square, whose side the longer side of a plane fills.
SIDE = 256
# Log-odds of what is wholly inside (or outside): a coverage of 99.9 % (or 0.1 %).
_CERTAIN = 6.9


@dataclass(frozen=True, slots=True, eq=False)
class MaskPrompt:
    """Logits that say roughly where the object is; equal and hashed by content.

    Parameters
    ----------
    logits : ndarray of shape (256, 256)
        Of the padded frame, as in `Candidates.logits`: above 0 is object. Copied, stored as
        float16, read-only.
    shape : tuple of (int, int)
        Rows and columns of the plane they speak of.

    Raises
    ------
    ValueError
        If the shape of the logits is another one, or one of them is not finite.
    """

    logits: NDArray[np.float16]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        logits = np.asarray(self.logits)
        if logits.shape != (SIDE, SIDE):
            raise ValueError(
                f'expected the logits of a mask prompt in the shape ({SIDE}, {SIDE}), as in '
                f'Candidates.logits; got {logits.shape}. For a mask of the plane use '
                'MaskPrompt.from_mask'
            )
        if not np.isfinite(logits).all():
            raise ValueError('expected finite logits in a mask prompt; got some that are not')
        half = np.clip(logits, -1e4, 1e4).astype(np.float16)
        frozen = np.frombuffer(half.tobytes(), np.float16).reshape(half.shape)
        rows, columns = self.shape
        object.__setattr__(self, 'logits', frozen)
        object.__setattr__(self, 'shape', (int(rows), int(columns)))

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_]) -> MaskPrompt:
        """Make a prompt of a mask, see `mask_logits`."""
        return cls(mask_logits(mask).astype(np.float16), (mask.shape[0], mask.shape[1]))

    @property
    def extent(self) -> list[tuple[float, float]]:
        """Opposite corners (row, column) of what is inside; empty where nothing is."""
        cell = max(self.shape) / SIDE
        rows, columns = np.nonzero(self.logits > 0)
        if not rows.size:
            return []
        last = np.array(self.shape) - 0.5
        low = np.array([rows.min(), columns.min()]) * cell - 0.5
        high = np.minimum(np.array([rows.max() + 1, columns.max() + 1]) * cell - 0.5, last)
        return [(float(low[0]), float(low[1])), (float(high[0]), float(high[1]))]

    def cropped(self, rows: slice, columns: slice, size: tuple[int, int]) -> MaskPrompt:
        """Return the prompt for a part of the plane, interpolated linearly.

        Parameters
        ----------
        rows, columns : slice
            The part, with start and stop.
        size : tuple of (int, int)
            Rows and columns of the picture of it.
        """
        extents = (rows.stop - rows.start, columns.stop - columns.start)
        # pixels of the part for each of the picture, by axis; they differ where it is stretched
        ratios = [extent / pixels for extent, pixels in zip(extents, size, strict=True)]
        whole = (rows, columns) == (slice(0, self.shape[0]), slice(0, self.shape[1]))
        if whole and abs(ratios[0] / ratios[1] - 1) < 0.01:
            return MaskPrompt(self.logits, size)
        longest = max(self.shape)
        # centres of the picture's cells, in pixels of the picture
        centres = (np.arange(SIDE) + 0.5) * (max(size) / SIDE)
        logits = self.logits.astype(np.float32)
        for part, ratio in zip((rows, columns), ratios, strict=True):
            place = (centres * ratio + part.start) * (SIDE / longest) - 0.5
            place = np.clip(place, 0, SIDE - 1)
            below = np.minimum(place.astype(np.intp), SIDE - 2)
            weight = (place - below).astype(np.float32)[:, None]
            logits = (logits[below] * (1 - weight) + logits[below + 1] * weight).T
        # what lies beyond the part is padding there
        for axis, pixels in enumerate(size):
            used = int(np.ceil(pixels * SIDE / max(size)))
            np.moveaxis(logits, axis, 0)[used:] = -_CERTAIN
        return MaskPrompt(logits.astype(np.float16), size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MaskPrompt):
            return NotImplemented
        return self.shape == other.shape and np.array_equal(self.logits, other.logits)

    def __hash__(self) -> int:
        return hash((self.shape, self.logits.tobytes()))

    def __repr__(self) -> str:
        inside = int(np.count_nonzero(self.logits > 0))
        return f'MaskPrompt({inside} of {SIDE * SIDE} cells inside, plane {self.shape})'


def mask_logits(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Turn a mask of a plane into logits that the model's prompt encoder reads.

    The logit of a cell is the log-odds of the part of it that the mask covers, between -6.9 and
    6.9 (0.1 % and 99.9 %); the padding beside the plane is outside.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        The object; of integers and floats, what is not 0.

    Returns
    -------
    ndarray of float32, shape (256, 256)

    Raises
    ------
    ValueError
        If it is no such array or no pixel is set.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f'expected a mask of shape (H, W) as a prompt; got {mask.shape}')
    inside = mask.astype(bool)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        raise ValueError('a mask prompt needs at least one pixel of the object; got an empty mask')
    first, corner = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
    crop = inside[first[0] : corner[0], first[1] : corner[1]].astype(np.float32)
    cells = SIDE / max(mask.shape)
    covered = crop
    for axis in (0, 1):
        length = cells * mask.shape[axis]
        covered = _mean_in_cells(covered, -first[axis], mask.shape[axis], length).T
    odds = np.full((SIDE, SIDE), -_CERTAIN, np.float32)
    with np.errstate(divide='ignore'):
        logits = np.log(covered) - np.log1p(-covered)
    odds[: covered.shape[0], : covered.shape[1]] = np.clip(logits, -_CERTAIN, _CERTAIN)
    return odds


def _mean_in_cells(
    values: NDArray[np.float32], offset: int, size: int, cells: float
) -> NDArray[np.float32]:
    """Average along the first axis over cells; `size` pixels make `cells` cells, beyond is 0.

    The pixels start `-offset` pixels after the first cell. Cells may be parts of pixels.
    """
    count = min(SIDE, int(np.ceil(cells)))
    edges = np.minimum(np.arange(count + 1) * (size / cells), size)
    widths = np.maximum(np.diff(edges), 1e-9)
    running = np.zeros((len(values) + 1, values.shape[1]), np.float64)
    np.cumsum(values, axis=0, out=running[1:])
    places = np.clip(edges + offset, 0, len(values))
    below = np.minimum(places.astype(np.intp), len(values) - 1)
    part = (places - below)[:, None]
    at_edges = running[below] * (1 - part) + running[below + 1] * part
    means: NDArray[np.float64] = np.diff(at_edges, axis=0) / widths[:, None]
    return np.clip(means, 0, 1).astype(np.float32)

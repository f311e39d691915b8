"""What napari tells about strokes in a Labels layer, as edits."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_mobilesam.engine import LabelEdit


def painted_edits(atoms: Any, shape: tuple[int, ...]) -> tuple[LabelEdit, ...] | None:
    """Turn the value of a `paint` event into edits, in their order.

    Parameters
    ----------
    atoms
        napari's description of one undoable step: for brush, fill and polygon the bounding box,
        the mask, the old values and the new one; for `data_setitem` a fancy index, old and new
        values.
    shape
        Of the layer's data.

    Returns
    -------
    tuple of LabelEdit or None
        None where napari says it in another way.
    """
    try:
        return tuple(_edit(atom, shape) for atom in atoms)
    except (TypeError, ValueError, IndexError, AttributeError):
        return None


def _edit(atom: Any, shape: tuple[int, ...]) -> LabelEdit:
    place = atom[0]
    if len(atom) == 4 and all(isinstance(part, slice) for part in place):
        _, mask, before, after = atom
        ranges = [part.indices(side) for part, side in zip(place, shape, strict=True)]
        sides = tuple(stop - start for start, stop, _ in ranges)
        mask = np.ones(sides, bool) if mask is None else np.array(mask, bool)
        if mask.shape != sides:
            raise ValueError(f'expected a mask of {sides}; got {mask.shape}')
        before = np.array(before).ravel()
        return LabelEdit(
            tuple(start for start, _, _ in ranges), mask, before, np.array([after], before.dtype)
        )
    indices, old, new = atom
    axes = [np.asarray(axis).ravel().astype(np.int64) for axis in indices]
    start = [int(axis.min()) for axis in axes]
    inner = tuple(axis - first for axis, first in zip(axes, start, strict=True))
    mask = np.zeros([int(axis.max()) + 1 for axis in inner], bool)
    mask[inner] = True
    values = np.zeros(mask.shape, np.asarray(old).dtype)
    values[inner] = old
    before = values[mask]
    values[inner] = new
    return LabelEdit(tuple(start), mask, before, values[mask])

"""Shapes: what lies between two masks, and the prompts that describe one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_mobilesam.engine.mask_prompt import MaskPrompt
from napari_mobilesam.engine.prompts import Point, Prompts

from .patch import MaskPatch, union_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this part of the largest distance to the outline a pixel is not in the core of a shape.
_CORE = 0.5


def signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each pixel's distance to the outline, positive within the mask, negative outside.

    Pixels on either side of the outline get 0.5 and -0.5, so that 0 is the outline itself. Far
    away from an empty mask everything is minus infinity.
    """
    from scipy import ndimage

    if not mask.any():
        return np.full(mask.shape, -np.inf)
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask)
    distances: NDArray[np.float64] = np.where(mask, inside - 0.5, 0.5 - outside)
    return distances


def between(one: MaskPatch, other: MaskPatch, part: float) -> MaskPatch:
    """Return the shape between two masks, by interpolating their signed distances.

    The two are brought to a common centre first, and the result to its place between theirs: an
    object that moves farther than it is large keeps its shape on the way.

    Parameters
    ----------
    one, other : MaskPatch
        Two masks; an empty one shrinks the other away.
    part : float
        Where: 0 is `one`, 1 is `other`.

    Notes
    -----
    S. P. Raya, J. K. Udupa, Shape-based interpolation of multidimensional objects, IEEE
    Transactions on Medical Imaging 9 (1990) 32-42.
    """
    if part <= 0 or (not one and not other):
        return one
    if part >= 1:
        return other
    if not one or not other:
        return _shrunk(one or other, part if one else 1 - part)
    first, second = np.array(one.centroid), np.array(other.centroid)
    centre = first + part * (second - first)
    moved = []
    for patch, where in ((one, first), (other, second)):
        rows, columns = np.round(centre - where).astype(int)
        moved.append(patch.shifted(int(rows), int(columns)))
    rows, columns = union_box(moved, margin=1)
    distances = [signed_distance(patch.within(rows, columns)) for patch in moved]
    mask = (1 - part) * distances[0] + part * distances[1] > 0
    return MaskPatch.cut(mask, rows.start, columns.start)


def interior_points(patch: MaskPatch, count: int = 1) -> tuple[Point, ...]:
    """Pick points deep within a mask, the deepest first, far from each other.

    Parameters
    ----------
    patch : MaskPatch
        Not empty.
    count : int
        How many at most; a small or thin mask gives fewer.

    Returns
    -------
    tuple of (row, column)
    """
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(patch.mask, 1))[1:-1, 1:-1]
    rows, columns = np.nonzero(depth >= _CORE * depth.max())
    places = np.stack([rows, columns], axis=1).astype(float)
    chosen = [int(np.argmax(depth[rows, columns]))]
    apart = np.full(len(places), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, np.linalg.norm(places - places[chosen[-1]], axis=1))
        farthest = int(np.argmax(apart))
        if apart[farthest] < max(2.0, patch.radius / 2):
            break
        chosen.append(farthest)
    return tuple(
        (float(places[i, 0]) + patch.row, float(places[i, 1]) + patch.column) for i in chosen
    )


def box_prompt(shape: MaskPatch) -> Prompts:
    """Return the box round a shape as a prompt."""
    return Prompts(box=shape.box)


def points_prompt(shape: MaskPatch, beside: tuple[Point, ...] = ()) -> Prompts:
    """Return points within a shape, and some beside it, as a prompt."""
    inside = interior_points(shape, 3)
    return Prompts((*inside, *beside), (True,) * len(inside) + (False,) * len(beside))


def mask_prompt(shape: MaskPatch, size: tuple[int, int]) -> Prompts:
    """Return a shape as a mask prompt with its box and deepest point, on a plane of that size."""
    return Prompts(
        interior_points(shape), (True,), shape.box, MaskPrompt.from_mask(shape.full(size))
    )


def _shrunk(patch: MaskPatch, part: float) -> MaskPatch:
    depth = signed_distance(patch.mask)
    return MaskPatch.cut(depth > part * depth.max(), patch.row, patch.column)

"""Splits: which pixels of an object belong to which of several points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def split_mask(
    mask: NDArray[np.bool_],
    seeds: Sequence[Sequence[float]],
    claims: Sequence[NDArray[np.bool_]] = (),
) -> NDArray[np.int32]:
    """Divide an object between seeds.

    A watershed on the distance to the object's outline, so that borders run through its necks.
    It starts from what a model takes for each part, where it was asked, else from the seeds.

    Parameters
    ----------
    mask : ndarray of bool, any number of axes
        The object.
    seeds : sequence of index
        One for each part, in the mask's pixels. One beside the object counts for its nearest
        pixel.
    claims : sequence of ndarray of bool, optional
        For each seed the mask that a model made of it, of the shape of `mask`. Pixels that several
        of them claim, or none, are left to the watershed; a claim that holds another seed does not
        count.

    Returns
    -------
    ndarray of int32
        0 outside of the object, ``i + 1`` for the part of ``seeds[i]``. Parts of the object that
        are not connected with any seed go to the nearest.

    Raises
    ------
    ValueError
        If there is no seed, no object, or two seeds share a pixel.
    """
    from scipy import ndimage
    from skimage.segmentation import watershed

    mask = np.asarray(mask, bool)
    if not len(seeds) or not mask.any():
        raise ValueError(f'a split needs an object and seeds; got {len(seeds)} seeds')
    thick = [axis for axis, side in enumerate(mask.shape) if side > 1]
    if 0 < len(thick) < mask.ndim:
        # Along an axis one pixel thick every pixel would be at the outline.
        flat = split_mask(
            mask.squeeze(),
            [[seed[axis] for axis in thick] for seed in seeds],
            [np.asarray(claim).squeeze() for claim in claims],
        )
        return flat.reshape(mask.shape)
    inside = np.argwhere(mask)
    places = []
    for seed in seeds:
        nearest = inside[((inside - np.asarray(seed, float)) ** 2).sum(axis=1).argmin()]
        places.append(tuple(int(i) for i in nearest))
    if len(set(places)) < len(places):
        raise ValueError('two seeds lie on the same pixel of the object; move one of them')
    markers = np.zeros(mask.shape, np.int32)
    if claims:
        stacked = np.stack([np.asarray(claim, bool) & mask for claim in claims])
        for number, claim in enumerate(stacked):
            # One that takes another seed for its own has not seen the parts.
            if any(claim[place] for other, place in enumerate(places) if other != number):
                claim[:] = False
        once = stacked.sum(axis=0) == 1
        for number, claim in enumerate(stacked, start=1):
            markers[claim & once] = number
    for number, place in enumerate(places, start=1):
        markers[place] = number
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))
    depth = depth[tuple(slice(1, -1) for _ in range(mask.ndim))]
    parts = watershed(-depth, markers, mask=mask).astype(np.int32)
    alone = mask & (parts == 0)
    if alone.any():
        nearest = ndimage.distance_transform_edt(
            parts == 0, return_distances=False, return_indices=True
        )
        parts[alone] = parts[tuple(nearest)][alone]
    return parts


def opposite_seed(mask: NDArray[np.bool_], seed: Sequence[float]) -> tuple[int, ...]:
    """Return the pixel that is most clearly of the object and not near the seed.

    The deepest one in the object, weighed by how far it is from the seed: the middle of the other
    part where two round objects were taken for one.
    """
    from scipy import ndimage

    thick = [axis for axis, side in enumerate(mask.shape) if side > 1]
    if 0 < len(thick) < mask.ndim:
        found = iter(opposite_seed(mask.squeeze(), [seed[axis] for axis in thick]))
        return tuple(next(found) if axis in thick else 0 for axis in range(mask.ndim))
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))
    depth = depth[tuple(slice(1, -1) for _ in range(mask.ndim))]
    offsets = np.indices(mask.shape) - np.asarray(seed, float).reshape(-1, *(1,) * mask.ndim)
    away = np.sqrt((offsets**2).sum(axis=0))
    # Only what lies outside of the ball round the seed that fits into the object.
    place = tuple(
        int(np.clip(round(value), 0, side - 1))
        for value, side in zip(seed, mask.shape, strict=True)
    )
    weight = np.where(away > depth[place], depth, 0) * mask
    if not weight.any():
        weight = away * mask
    return tuple(int(i) for i in np.unravel_index(int(weight.argmax()), mask.shape))

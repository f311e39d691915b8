"""Measurements: one row per object, in calibrated units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .segmentation import Segmentation

if TYPE_CHECKING:
    import pandas

_STATISTICS = ('mean', 'std', 'min', 'max', 'median', 'sum')


def measure(segmentation: Segmentation, *, per_plane: bool = False) -> pandas.DataFrame:
    """Measure all objects.

    Parameters
    ----------
    segmentation : Segmentation
        With its image, intensities are measured as well.
    per_plane : bool
        One row per object and plane, instead of one per object (and time point and channel).

    Returns
    -------
    pandas.DataFrame
        ``id, class, flags, score, prompts``; ``frame`` and ``channel`` where there are such axes;
        ``slice`` (the first one) and ``n_slices`` where there is a z axis; ``pixels``; ``area`` of
        objects on one plane, ``volume`` of those on a stack; ``centroid_z, centroid_y,
        centroid_x``; ``perimeter, eccentricity, solidity`` of objects on one plane; ``unit``, that
        of all lengths, areas and volumes. With an image ``intensity_mean`` and so on, for colours
        one of each with ``_r``, ``_g``, ``_b``.

    Notes
    -----
    `skimage.measure.regionprops` measures. Perimeters are given where pixels are square.
    """
    import pandas

    rows = list(_rows(segmentation, per_plane))
    return pandas.DataFrame(rows, columns=_columns(segmentation, per_plane))


def _columns(s: Segmentation, per_plane: bool) -> list[str]:
    columns = ['id', 'class', 'flags', 'score', 'prompts']
    columns += ['frame'] * ('t' in s.axes) + ['channel'] * ('c' in s.axes)
    columns += ['slice'] * ('z' in s.axes) + ['n_slices'] * ('z' in s.axes and not per_plane)
    columns += ['pixels', 'area'] + ['volume'] * ('z' in s.axes and not per_plane)
    columns += ['centroid_z'] * ('z' in s.axes) + ['centroid_y', 'centroid_x']
    columns += ['perimeter', 'eccentricity', 'solidity', 'unit']
    if s.image is not None:
        tints = [f'_{c}' for c in 'rgb'] if _is_colour(s) else ['']
        columns += [f'intensity_{name}{tint}' for tint in tints for name in _STATISTICS]
    return columns


def _rows(s: Segmentation, per_plane: bool) -> Iterator[dict[str, Any]]:
    from skimage.measure import regionprops

    # what an object extends over: y and x, and z where it is one body on all slices
    body = 'zyx' if 'z' in s.axes and not per_plane else 'yx'
    outer = len(s.axes) - len(body)
    spacing = s.scale[outer:]
    for index in s.planes(len(body)):
        labels = s.labels[index]
        # regionprops takes memory for every id up to the largest one
        ids, compact = np.unique(labels, return_inverse=True)
        numbers = compact.reshape(labels.shape).astype(np.int32) + int(ids[0] != 0)
        names = ids[ids != 0]
        place = s.position(index)
        for region in regionprops(numbers, spacing=spacing):
            row = _identity(s, int(names[region.label - 1]))
            row |= _position(region, place, body, spacing)
            row |= _shape(region, body, spacing)
            if s.image is not None:
                row |= _intensities(s, index, region)
            yield row


def _identity(s: Segmentation, label: int) -> dict[str, Any]:
    info = s.info(label)
    return {
        'id': label,
        'class': info.class_name,
        'flags': ' '.join(info.flags),
        'score': np.nan if info.score is None else info.score,
        'prompts': info.n_prompts,
        'unit': s.unit,
    }


def _position(region: Any, place: dict[str, int], body: str, spacing: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for axis, name in (('t', 'frame'), ('c', 'channel'), ('z', 'slice')):
        if axis in place:
            row[name] = place[axis]
    if body == 'zyx':
        row['slice'] = int(region.bbox[0])
        row['n_slices'] = int(region.image.any(axis=(1, 2)).sum())
    centre = dict(zip(body, region.centroid, strict=True))
    return row | {f'centroid_{axis}': float(value) for axis, value in centre.items()}


def _shape(region: Any, body: str, spacing: tuple[float, ...]) -> dict[str, Any]:
    from skimage.measure import regionprops

    row: dict[str, Any] = {'pixels': int(region.num_pixels)}
    if body == 'zyx':
        row['volume'] = float(region.area)
        if region.image.shape[0] > 1:
            return row
        (region,) = regionprops(region.image[0].astype(np.uint8), spacing=spacing[1:])
        spacing = spacing[1:]
    row['area'] = float(region.area)
    row['eccentricity'] = float(region.eccentricity)
    row['solidity'] = _solidity(region.image)
    if spacing[0] == spacing[1]:
        row['perimeter'] = float(region.perimeter)
    return row


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Return the area of a mask over that of its convex hull, 0..1.

    As `skimage`'s, which warns where a mask lies on a line; its hull is the mask itself then.
    """
    from skimage.morphology import convex_hull_image

    if min(mask.shape) < 2:
        return 1.0
    return float(np.count_nonzero(mask) / np.count_nonzero(convex_hull_image(mask)))


def _intensities(s: Segmentation, index: tuple[int, ...], region: Any) -> dict[str, Any]:
    pixels = np.asarray(s.image[(*index, *region.slice)])[region.image].astype(np.float64)
    colour = _is_colour(s)
    row: dict[str, Any] = {}
    for number, tint in enumerate('rgb' if colour else ['']):
        values = pixels[:, number] if colour else pixels
        for name in _STATISTICS:
            key = f'intensity_{name}_{tint}' if tint else f'intensity_{name}'
            row[key] = float(getattr(np, name)(values))
    return row


def _is_colour(s: Segmentation) -> bool:
    return len(s.image.shape) > len(s.shape)

"""Polygons as napari's Shapes layer keeps them: nD vertices, and features beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ExchangeError
from .painting import Canvas, Numbers
from .polygons import fill_patch, keyhole, trace
from .segmentation import ObjectInfo, Segmentation


def to_shapes(segmentation: Segmentation) -> tuple[list[NDArray[np.float64]], dict[str, list[Any]]]:
    """Return the objects as polygons of a Shapes layer.

    Returns
    -------
    data : list of ndarray, each of shape (N, D)
        Vertices in data coordinates of the labels. A detached part is a polygon of its own; a
        hole hangs on a bridge of no width.
    features : dict of list
        For each polygon ``label``, ``class`` and ``score``.
    """
    data: list[NDArray[np.float64]] = []
    features: dict[str, list[Any]] = {'label': [], 'class': [], 'score': []}
    for patch in segmentation.patches():
        info = segmentation.info(patch.label)
        for polygon in trace(patch.mask, (patch.row, patch.column)):
            ring = keyhole(polygon)
            leading = np.broadcast_to(np.array(patch.index, float), (len(ring), len(patch.index)))
            data.append(np.concatenate([leading, ring], axis=1))
            features['label'].append(patch.label)
            features['class'].append(info.class_name)
            features['score'].append(np.nan if info.score is None else info.score)
    return data, features


def from_shapes(
    data: Sequence[Any],
    shape: Sequence[int],
    axes: str = '',
    *,
    labels: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
) -> Segmentation:
    """Return labels from polygons (or rectangles) of a Shapes layer.

    Parameters
    ----------
    data : sequence of array-like, each of shape (N, D)
        Vertices in data coordinates of the labels; those of one polygon lie on one plane.
    shape, axes
        Of the labels.
    labels, classes : sequence, optional
        Id and class for each polygon; by default they are numbered.

    Raises
    ------
    ExchangeError
        If a polygon lies on no plane of the labels.
    """
    canvas, numbers = Canvas(shape, axes), Numbers()
    leading = len(canvas.shape) - 2
    for i, vertices in enumerate(data):
        points = np.asarray(vertices, np.float64)
        if points.ndim != 2 or points.shape[1] != len(canvas.shape):
            raise ExchangeError(
                f'polygons have {len(canvas.shape)} coordinates per vertex; got {points.shape}'
            )
        if not np.isfinite(points).all():
            raise ExchangeError('the coordinates of a polygon are finite; got NaN or infinity')
        planes = np.unique(np.floor(points[:, :leading] + 0.5), axis=0)
        if len(planes) != 1:
            raise ExchangeError('a polygon lies on several planes; draw it on one')
        position = {a: int(v) for a, v in zip(canvas.axes, planes[0], strict=False)}
        label = numbers.give(None if labels is None else int(labels[i]))
        size = canvas.shape[-2], canvas.shape[-1]
        canvas.paint(label, canvas.index(position), *fill_patch([points[:, leading:]], size))
        canvas.objects[label] = ObjectInfo(label, '' if classes is None else str(classes[i]))
    return canvas.finished()

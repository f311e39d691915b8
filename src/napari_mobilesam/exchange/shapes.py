"""Polygons as napari's Shapes layer keeps them: nD vertices, and features beside.

As a file they are the CSV that napari itself writes and opens as a Shapes layer, a row for each
vertex. Two more columns, which napari passes over, hold the id, and what is known of the object.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ExchangeError
from .files import MAX_TEXT, check_source, parse_json, replacing
from .painting import Canvas, Numbers
from .polygons import fill_patch, keyhole, trace
from .segmentation import ObjectInfo, Segmentation

_COLUMNS = ('index', 'shape-type', 'vertex-index')
_ELLIPSE_VERTICES = 128


def write(segmentation: Segmentation, path: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write the outlines of all objects as CSV for napari; see `to_shapes`."""
    data, features = to_shapes(segmentation)
    axes = [f'axis-{number}' for number in range(len(segmentation.shape))]
    with (
        replacing(path, overwrite) as part,
        part.open('w', encoding='utf-8', newline='') as file,
    ):
        rows = csv.writer(file, lineterminator='\n')
        rows.writerow([*_COLUMNS, *axes, 'label', 'object'])
        for index, (vertices, label) in enumerate(zip(data, features['label'], strict=True)):
            # JSON starts with a brace: no spreadsheet takes a class for a formula
            about = json.dumps(segmentation.info(label).to_json(), ensure_ascii=False)
            for number, vertex in enumerate(vertices.tolist()):
                known = '' if number else about
                rows.writerow([index, 'polygon', number, *vertex, label, known])
    return (path,)


def read(path: Path, shape: Sequence[int] | None = None, axes: str = '') -> Segmentation:
    """Read outlines that napari or `write` wrote: polygons, rectangles and ellipses.

    Parameters
    ----------
    path : Path
        The file.
    shape, axes
        Of the image.

    Raises
    ------
    ExchangeError
        If the shape is not given, or this is no such file.
    """
    if shape is None:
        raise ExchangeError(
            f'"{path}" does not say how large the image is: name the image that it belongs to'
        )
    check_source(path, MAX_TEXT)
    data, labels, infos = _polygons(path, len(shape))
    found = from_shapes(data, shape, axes, labels=labels)
    return replace(found, objects={**found.objects, **infos}, name=path.name)


def _polygons(
    path: Path, ndim: int
) -> tuple[list[NDArray[np.float64]], list[int] | None, dict[int, ObjectInfo]]:
    """Read polygons, their ids (None where there are none), and what is known of objects."""
    names = [f'axis-{number}' for number in range(ndim)]
    data: list[NDArray[np.float64]] = []
    labels: list[int] = []
    infos: dict[int, ObjectInfo] = {}
    with path.open(encoding='utf-8-sig', newline='') as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or ())
        if not columns.issuperset((*_COLUMNS, *names)) or f'axis-{ndim}' in columns:
            raise ExchangeError(
                f'"{path}" is no table of shapes with {ndim} axes, as the image has: expected the '
                f'columns {", ".join((*_COLUMNS, *names))}'
            )
        vertices: list[list[float]] = []
        kind, index = '', ''
        for row in rows:
            if row['index'] != index:
                if vertices:
                    data.append(_outline(kind, vertices))
                vertices, kind, index = [], str(row['shape-type']), str(row['index'])
                if 'label' in columns:
                    labels.append(int(row['label']))
                if row.get('object'):
                    info = ObjectInfo.from_json(parse_json(str(row['object']).encode()))
                    infos[info.label] = info
            vertices.append([float(row[name]) for name in names])
        if vertices:
            data.append(_outline(kind, vertices))
    return data, labels if 'label' in columns else None, infos


def _outline(kind: str, vertices: list[list[float]]) -> NDArray[np.float64]:
    """Return a shape of napari's as a polygon."""
    points = np.array(vertices, np.float64)
    if kind == 'polygon' and len(points) >= 3:
        return points
    if kind in ('rectangle', 'ellipse') and len(points) == 4:
        if kind == 'rectangle':
            return points
        angles = np.linspace(0, 2 * np.pi, _ELLIPSE_VERTICES, endpoint=False)[:, None]
        across, along = (points[1] - points[0]) / 2, (points[3] - points[0]) / 2
        ellipse: NDArray[np.float64] = (
            points.mean(axis=0) + np.cos(angles) * across + np.sin(angles) * along
        )
        return ellipse
    raise ExchangeError(
        f'expected polygons, rectangles and ellipses, which have an inside; found a {kind:.20} of '
        f'{len(points)} points'
    )


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

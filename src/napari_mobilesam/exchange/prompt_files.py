"""Prompts from files of other programs: CSV, GeoJSON and ImageJ ROIs.

CSV has a header with a column per axis of the image (``y, x``; ``z``, ``t``, ``c`` where there are
more; or ``axis-0``, ``axis-1`` ... as napari writes points), pixel centres at integers. Optional
columns: ``object``, rows with an equal value being prompts of one object; ``positive`` (1 or 0);
``y2, x2``, which make the row a box with this opposite corner; ``class``. Points of GeoJSON and
ImageJ are positive points of an object each (several of one feature or ROI belong together);
areas stand for the box round them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_mobilesam.engine import Prompts

from .errors import ExchangeError
from .files import MAX_TEXT, check_source
from .geojson import plane_of, read_features
from .imagej_roi import read_rois, roi_plane
from .painting import Canvas
from .segmentation import check_axes

_YES, _NO = {'1', 'true', 'yes', 'positive', ''}, {'0', 'false', 'no', 'negative', '-1'}


@dataclass(frozen=True, slots=True)
class PromptedObject:
    """Prompts of one object.

    Parameters
    ----------
    index : tuple of int
        The plane, on the leading axes.
    prompts : Prompts
        In its (row, column).
    class_name : str
        Empty for none.
    """

    index: tuple[int, ...]
    prompts: Prompts
    class_name: str = ''


def read_prompt_file(path: Path, shape: Sequence[int], axes: str) -> list[PromptedObject]:
    """Read the prompts of all objects of an image.

    Parameters
    ----------
    path : Path
        Ending in ``.csv``, ``.geojson``, ``.json``, ``.zip`` or ``.roi``.
    shape, axes
        Of the image.

    Raises
    ------
    ExchangeError
        If it is no such file, or of another image.
    """
    check_axes(axes, len(shape))
    ending = path.name.lower()
    readers = {
        '.csv': _from_csv,
        '.geojson': _from_geojson,
        '.json': _from_geojson,
        '.zip': _from_rois,
        '.roi': _from_rois,
    }
    for suffix, reader in readers.items():
        if ending.endswith(suffix):
            try:
                found = list(reader(path, tuple(shape), axes))
            except ExchangeError:
                raise
            except (ArithmeticError, LookupError, TypeError, ValueError, OSError) as error:
                raise ExchangeError(f'"{path}" holds no prompts: {error}') from None
            if not found:
                raise ExchangeError(f'"{path}" holds no prompts')
            return found
    raise ExchangeError(f'prompts are read from {", ".join(readers)}; got "{path.name[-80:]}"')


def _from_csv(path: Path, shape: tuple[int, ...], axes: str) -> Iterator[PromptedObject]:
    check_source(path, MAX_TEXT)
    text = path.read_bytes().decode('utf-8-sig')
    dialect = csv.Sniffer().sniff(text[:4096].partition('\n')[0], delimiters=',;\t')
    rows = csv.DictReader(io.StringIO(text), dialect=dialect)
    names = [(name or '').strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = names
    numbered = [f'axis-{i}' for i in range(len(axes))]
    columns = numbered if set(numbered) <= set(names) else list(axes)
    missing = [name for name in columns if name not in names]
    if missing:
        raise ExchangeError(
            f'"{path}" has the columns {", ".join(names)[:200]}; the image has the axes "{axes}", '
            f'so {", ".join(missing)} must be among them'
        )
    groups: dict[str, list[dict[str, str]]] = {}
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise ExchangeError(f'"{path}", row {number + 2}: there are {len(names)} columns')
        groups.setdefault(row.get('object') or f'#{number}', []).append(row)
    for group in groups.values():
        yield _object(group, columns, shape, axes)


def _object(
    rows: list[dict[str, str]], columns: list[str], shape: tuple[int, ...], axes: str
) -> PromptedObject:
    places = np.array([[float(row[name]) for name in columns] for row in rows])
    if not np.isfinite(places).all():
        raise ExchangeError('coordinates of prompts are finite numbers')
    planes = np.unique(np.floor(places[:, :-2] + 0.5), axis=0)
    if len(planes) != 1:
        raise ExchangeError(f'the prompts of one object lie on one plane; got {planes.tolist()}')
    index = _checked(tuple(int(i) for i in planes[0]), shape, axes)
    box, points, polarity = None, [], []
    for row, place in zip(rows, places, strict=True):
        corner = row.get('y2', '').strip(), row.get('x2', '').strip()
        if all(corner):
            box = (place[-2], place[-1], float(corner[0]), float(corner[1]))
            continue
        said = row.get('positive', '').strip().lower()
        if said not in _YES | _NO:
            raise ExchangeError(f'"positive" is 1 or 0; got {said[:40]!r}')
        points.append((place[-2], place[-1]))
        polarity.append(said in _YES)
    name = rows[0].get('class', '').strip()
    return PromptedObject(index, Prompts(tuple(points), tuple(polarity), box), name)


def _from_geojson(path: Path, shape: tuple[int, ...], axes: str) -> Iterator[PromptedObject]:
    for geometry, properties in read_features(path):
        position = plane_of(geometry)
        extra = [axis for axis, value in position.items() if value and axis not in axes]
        if extra:
            raise ExchangeError(f'a feature lies at {position}; the image has the axes "{axes}"')
        index = _checked(tuple(position.get(axis, 0) for axis in axes[:-2]), shape, axes)
        points = np.array(list(_pairs(geometry.get('coordinates'))), float).reshape(-1, 2)
        if not len(points):
            continue
        flat = points[:, ::-1] - 0.5
        kind = properties.get('classification')
        name = str(kind.get('name') or '') if isinstance(kind, dict) else ''
        if geometry.get('type') in ('Point', 'MultiPoint'):
            yield PromptedObject(index, _clicked(flat), name)
        else:
            yield PromptedObject(index, Prompts(box=(*flat.min(axis=0), *flat.max(axis=0))), name)


def _from_rois(path: Path, shape: tuple[int, ...], axes: str) -> Iterator[PromptedObject]:
    # a canvas of no pixels: it knows about planes
    canvas = Canvas((*shape[:-2], 1, 1), axes)
    for roi in read_rois(path):
        index = roi_plane(roi, canvas)
        corners = [(roi.left, roi.top), (roi.right, roi.bottom)]
        if roi.roitype.name == 'POINT':
            yield PromptedObject(index, _clicked(np.asarray(roi.coordinates(), float)[:, ::-1]))
        elif corners[0] != corners[1]:
            (column0, row0), (column1, row1) = corners
            yield PromptedObject(index, Prompts(box=(row0, column0, row1 - 1, column1 - 1)))


def _clicked(points: Any) -> Prompts:
    return Prompts(tuple((float(r), float(c)) for r, c in points), (True,) * len(points))


def _pairs(coordinates: Any, depth: int = 0) -> Iterator[tuple[float, float]]:
    if not isinstance(coordinates, list) or depth > 4:
        raise ExchangeError('coordinates are lists of x and y')
    if coordinates and not isinstance(coordinates[0], list):
        yield coordinates[0], coordinates[1]
        return
    for inner in coordinates:
        yield from _pairs(inner, depth + 1)


def _checked(index: tuple[int, ...], shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    if any(not 0 <= i < n for i, n in zip(index, shape, strict=False)):
        raise ExchangeError(f'a prompt lies on the plane {index} of "{axes}"; the image is {shape}')
    return index

"""GeoJSON, as QuPath reads and writes it: one feature per object and plane.

Coordinates are (x, y) in pixels of the image, the corner of its first pixel at (0, 0). Members
beyond RFC 7946 are those of QuPath 0.4 and later: ``plane`` in the geometry; ``objectType``,
``name``, ``classification``, ``color``, ``measurements`` and ``metadata`` in the properties.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ExchangeError
from .files import load_json, write_json
from .painting import Canvas, Numbers
from .patches import Patch
from .polygons import Ring, checked_ring, fill_patch, trace
from .segmentation import Colour, ObjectInfo, Segmentation, is_integer, read_colour

_FLAG_SEPARATOR = ', '


def write(segmentation: Segmentation, path: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write all objects as a FeatureCollection."""
    write_json(path, to_geojson(segmentation), overwrite)
    return (path,)


def to_geojson(segmentation: Segmentation) -> dict[str, Any]:
    """Return a segmentation as the content of a GeoJSON file."""
    return {
        'type': 'FeatureCollection',
        'features': [_feature(segmentation, patch) for patch in segmentation.patches()],
    }


def read(path: Path, *, shape: Sequence[int] | None = None, axes: str = '') -> Segmentation:
    """Read polygons; other geometries are left out, with a notice.

    Parameters
    ----------
    path : Path
    shape, axes
        Of the image, which GeoJSON does not tell.

    Raises
    ------
    ExchangeError
        If this is no GeoJSON, of another image, or `shape` is missing.
    """
    features = read_features(path)
    canvas, numbers, left_out = Canvas.like(path, shape, axes), Numbers(), 0
    size = canvas.shape[-2], canvas.shape[-1]
    for geometry, properties in features:
        polygons = list(_polygons(geometry))
        if not polygons:
            left_out += 1
            continue
        metadata = properties.get('metadata')
        metadata = metadata if isinstance(metadata, dict) else {}
        label = numbers.give(_number(metadata.get('label')) or _number(properties.get('name')))
        index = canvas.index(plane_of(geometry))
        for rings in polygons:
            canvas.paint(label, index, *fill_patch(rings, size))
        name, colour = _class(properties)
        if name and colour:
            canvas.colours[name] = colour
        score = _measurement(properties, 'Score')
        prompts = _measurement(properties, 'Prompts') or 0
        flags = metadata.get('flags')
        canvas.objects[label] = ObjectInfo(
            label,
            name,
            tuple(flags.split(_FLAG_SEPARATOR)) if isinstance(flags, str) and flags else (),
            score,
            int(min(max(prompts, 0), 2**31)),
        )
    if left_out:
        canvas.notices.append(f'{left_out} features are no polygons, and were left out')
    return canvas.finished(name=path.stem)


def read_features(path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return geometry and properties of all features of a file.

    Raises
    ------
    ExchangeError
        If it is no GeoJSON.
    """
    content = load_json(path)
    if isinstance(content, dict) and content.get('type') == 'FeatureCollection':
        content = content.get('features')
    elif isinstance(content, dict) and content.get('type') == 'Feature':
        content = [content]
    if not isinstance(content, list):
        raise ExchangeError(f'"{path}" is no GeoJSON: it has no list of features')
    found = []
    for feature in content:
        geometry = feature.get('geometry') if isinstance(feature, dict) else None
        if not isinstance(geometry, dict) or feature.get('type') != 'Feature':
            raise ExchangeError(f'"{path}" is no GeoJSON: a feature has a "geometry"')
        properties = feature.get('properties')
        found.append((geometry, properties if isinstance(properties, dict) else {}))
    return found


def plane_of(geometry: dict[str, Any]) -> dict[str, int]:
    """Return the position that QuPath's ``plane`` tells; none for the first one."""
    plane = geometry.get('plane')
    if not isinstance(plane, dict):
        return {}
    position = {axis: plane[axis] for axis in 'tcz' if axis in plane}
    if not all(is_integer(value) for value in position.values()):
        raise ExchangeError('the "plane" of a geometry has integers "c", "z" and "t"')
    # QuPath says c = -1 for all channels
    return {axis: value for axis, value in position.items() if axis != 'c' or value > 0}


def _polygons(geometry: Any, depth: int = 0) -> Iterator[list[Ring]]:
    kind = geometry.get('type') if isinstance(geometry, dict) else None
    if kind == 'GeometryCollection' and depth < 8:
        members = geometry.get('geometries')
        for member in members if isinstance(members, list) else []:
            yield from _polygons(member, depth + 1)
        return
    if kind not in ('Polygon', 'MultiPolygon'):
        return
    coordinates = geometry.get('coordinates')
    parts = [coordinates] if kind == 'Polygon' else coordinates
    if not isinstance(parts, list) or not all(isinstance(p, list) and p for p in parts):
        raise ExchangeError(f'the coordinates of a {kind} are lists of rings')
    for part in parts:
        yield [_from_xy(ring) for ring in part]


def _from_xy(ring: Any) -> Ring:
    if isinstance(ring, list):
        # a third number is a height, which has no meaning in an image
        ring = [point[:2] if isinstance(point, list) else point for point in ring]
    return checked_ring(ring)[:, ::-1] - 0.5


def _feature(segmentation: Segmentation, patch: Patch) -> dict[str, Any]:
    info = segmentation.info(patch.label)
    polygons = [
        [_closed(ring) for ring in polygon.rings]
        for polygon in trace(patch.mask, (patch.row, patch.column))
    ]
    geometry: dict[str, Any] = (
        {'type': 'Polygon', 'coordinates': polygons[0]}
        if len(polygons) == 1
        else {'type': 'MultiPolygon', 'coordinates': polygons}
    )
    position = segmentation.position(patch.index)
    if position:
        geometry['plane'] = {axis: position.get(axis, -1 if axis == 'c' else 0) for axis in 'czt'}
    metadata = {'label': str(patch.label)}
    if info.flags:
        metadata['flags'] = _FLAG_SEPARATOR.join(info.flags)
    properties: dict[str, Any] = {
        'objectType': 'annotation',
        'name': str(patch.label),
        'color': list(segmentation.colour(patch.label)),
        'measurements': _measurements(segmentation, patch, info),
        'metadata': metadata,
    }
    if info.class_name:
        properties['classification'] = {
            'name': info.class_name,
            'color': list(segmentation.colour(patch.label)),
        }
    # the same object of the same image has the same name each time
    key = f'{segmentation.name}/{patch.label}/{patch.index}'
    return {
        'type': 'Feature',
        'id': str(uuid.uuid5(uuid.NAMESPACE_OID, key)),
        'geometry': geometry,
        'properties': properties,
    }


def _measurements(s: Segmentation, patch: Patch, info: ObjectInfo) -> dict[str, float]:
    found: dict[str, float] = {'Area px^2': patch.area}
    if s.unit != 'pixel':
        unit = {'micrometer': 'µm'}.get(s.unit, s.unit)
        found[f'Area {unit}^2'] = patch.area * s.scale[-1] * s.scale[-2]
    if info.score is not None:
        found['Score'] = round(info.score, 6)
    if info.n_prompts:
        found['Prompts'] = info.n_prompts
    return found


def _closed(ring: NDArray[np.float64]) -> list[list[int]]:
    corners = (ring[:, ::-1] + 0.5).astype(int)
    closed: list[list[int]] = np.concatenate([corners, corners[:1]]).tolist()
    return closed


def _class(properties: dict[str, Any]) -> tuple[str, Colour | None]:
    found = properties.get('classification')
    if isinstance(found, str):
        return found, None
    if not isinstance(found, dict):
        return '', None
    name, names = found.get('name'), found.get('names')
    if name is None and isinstance(names, list):
        name = ': '.join(str(part) for part in names)
    packed = found.get('colorRGB')  # QuPath 0.2 and 0.3
    colour = read_colour(found.get('color'))
    if colour is None and is_integer(packed):
        colour = (packed >> 16) & 255, (packed >> 8) & 255, packed & 255
    return str(name or ''), colour


def _measurement(properties: dict[str, Any], name: str) -> float | None:
    found = properties.get('measurements')
    if isinstance(found, list):  # QuPath 0.2 and 0.3
        found = {m.get('name'): m.get('value') for m in found if isinstance(m, dict)}
    value = found.get(name) if isinstance(found, dict) else None
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

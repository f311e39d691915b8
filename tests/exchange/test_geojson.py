"""GeoJSON, as QuPath documents it and shapely sees it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segmentations import CLASSES, segmentation

from napari_mobilesam.exchange import ExchangeError, export, load


def test_features_are_those_that_qupath_reads(tmp_path: Path) -> None:
    geometry = pytest.importorskip('shapely.geometry')
    before = segmentation((3, 150, 150))
    (path,) = export(before, tmp_path / 'a.geojson')
    content = json.loads(path.read_text(encoding='utf-8'))
    assert content['type'] == 'FeatureCollection'
    pixels = np.zeros(101, int)
    for feature in content['features']:
        assert feature['type'] == 'Feature'
        uuid.UUID(feature['id'])
        shape = geometry.shape(feature['geometry'])
        assert shape.is_valid
        properties = feature['properties']
        assert properties['objectType'] == 'annotation'
        assert set(feature['geometry']['plane']) == {'c', 'z', 't'}
        assert all(isinstance(v, str) for v in properties['metadata'].values())
        assert all(isinstance(v, int | float) for v in properties['measurements'].values())
        assert all(0 <= c <= 255 for c in properties['color'])
        label = int(properties['name'])
        if name := before.info(label).class_name:
            assert properties['classification'] == {'name': name, 'color': [*CLASSES[name]]}
        else:
            assert 'classification' not in properties
        area = properties['measurements']['Area px^2']
        assert shape.area == area
        assert properties['measurements']['Area µm^2'] == pytest.approx(area * 0.25**2)
        assert (before.labels[feature['geometry']['plane']['z']] == label).sum() == area
        pixels[label] += area
    assert pixels.tolist()[1:] == np.bincount(before.labels.ravel())[1:].tolist()
    ids = [feature['id'] for feature in content['features']]
    assert len(set(ids)) == len(ids)


def square(x: float, y: float, size: float = 4) -> list[list[list[float]]]:
    return [[[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]]


def write(path: Path, *features: dict[str, Any]) -> Path:
    content = [{'type': 'Feature', 'properties': {}, **feature} for feature in features]
    path.write_text(json.dumps(content))
    return path


def test_files_of_others_are_read(tmp_path: Path) -> None:
    old = {'classification': {'name': 'Tumor', 'colorRGB': -377282}, 'measurements': []}
    inner = {'type': 'Polygon', 'coordinates': square(12, 1)}
    path = write(
        tmp_path / 'x.geojson',
        {'geometry': {'type': 'Polygon', 'coordinates': square(1, 2)}, 'properties': old},
        {'geometry': {'type': 'Point', 'coordinates': [3, 3]}},
        {'geometry': {'type': 'GeometryCollection', 'geometries': [inner]}, 'properties': None},
    )
    found = load(path, shape=(8, 20))
    assert found.ids == [1, 2]
    assert (found.labels[2:6, 1:5] == 1).all()
    assert (found.labels[1:5, 12:16] == 2).all()
    assert np.count_nonzero(found.labels) == 32
    assert found.info(1).class_name == 'Tumor'
    assert found.colours == {'Tumor': (250, 62, 62)}
    assert found.notices == ('1 features are no polygons, and were left out',)


def test_the_image_has_to_fit(tmp_path: Path) -> None:
    geometry = {'type': 'Polygon', 'coordinates': square(1, 1), 'plane': {'c': -1, 'z': 3, 't': 0}}
    path = write(tmp_path / 'x.geojson', {'geometry': geometry})
    with pytest.raises(ExchangeError, match='does not tell the size of its image'):
        load(path)
    with pytest.raises(ExchangeError, match='z = 3'):
        load(path, shape=(9, 9))
    with pytest.raises(ExchangeError, match=r'plane \{.z.: 3\}'):
        load(path, shape=(3, 9, 9))
    assert load(path, shape=(4, 9, 9)).labels[3].any()

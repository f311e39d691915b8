"""OME-Zarr labels, as ome-zarr's own reader sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from segmentations import segmentation

from napari_mobilesam.exchange import ExchangeError, Segmentation, export, load


def image(path: Path, shape: tuple[int, ...] = (3, 60, 60), version: str = '0.5') -> Path:
    """Write an OME-Zarr image of one level, as other programs do."""
    axes: list[Any] = [{'name': a, 'type': 'space', 'unit': 'micrometer'} for a in 'zyx']
    transforms = [{'type': 'scale', 'scale': [2.0, 0.5, 0.5]}]
    datasets = [{'path': '0', 'coordinateTransformations': transforms}]
    multiscales: Any = [{'axes': axes, 'datasets': datasets, 'name': 'x'}]
    group = zarr.open_group(path, mode='w', zarr_format=3 if version == '0.5' else 2)
    if version == '0.5':
        group.attrs['ome'] = {'version': version, 'multiscales': multiscales}
    else:
        group.attrs['multiscales'] = [{**multiscales[0], 'version': version}]
    array = group.create_array('0', shape=shape, chunks=(1, *shape[1:]), dtype='u2')
    array[...] = np.arange(np.prod(shape), dtype='u2').reshape(shape)
    return path


@pytest.mark.parametrize('shape', [(1200, 1100), (2, 60, 60), (2, 3, 60, 60)])
def test_ome_zarr_reads_labels_colours_and_properties(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    io = pytest.importorskip('ome_zarr.io', reason='see tox.ini, environment ome')
    reader = pytest.importorskip('ome_zarr.reader')
    before = segmentation(shape, cell=50 if len(shape) == 2 else 15)
    (path,) = export(before, tmp_path / 'a.ome.zarr')
    location = io.parse_url(path)
    assert location is not None
    (node,) = reader.Reader(location)()
    assert {type(spec).__name__ for spec in node.specs} >= {'Label', 'Multiscales'}
    assert np.array_equal(np.asarray(node.data[0]), before.labels)
    assert len(node.data) == (2 if len(shape) == 2 else 1)
    assert [axis['name'] for axis in node.metadata['axes']] == list(before.axes)
    (scale, *_) = node.metadata['coordinateTransformations'][0]
    assert scale['scale'] == list(before.scale)
    assert set(node.metadata['color']) == set(before.ids)
    properties = node.metadata['properties']
    for label in before.ids:
        assert properties[label].get('class', '') == before.info(label).class_name


def test_metadata_validates_against_the_models_of_the_specification(tmp_path: Path) -> None:
    models = pytest.importorskip('ome_zarr_models.v05.image_label', reason='see tox.ini, ome')
    (path,) = export(segmentation((2, 60, 60)), tmp_path / 'a.ome.zarr')
    label = models.ImageLabel.from_zarr(zarr.open_group(path, mode='r'))
    assert len(label.ome_attributes.image_label.colors) == 16


def test_labels_go_into_an_image(tmp_path: Path) -> None:
    path = image(tmp_path / 'a.ome.zarr')
    pixels = zarr.open_array(path / '0', mode='r')[...]
    first, second = segmentation((3, 60, 60)), segmentation((3, 60, 60), step=3)
    export(first, path / 'labels' / 'nuclei')
    export(second, path / 'labels' / 'cells')
    attributes = zarr.open_group(path / 'labels', mode='r').attrs['ome']
    assert attributes['labels'] == ['nuclei', 'cells']
    ours = zarr.open_group(path / 'labels' / 'cells', mode='r').attrs['ome']
    assert ours['image-label']['source'] == {'image': '../../'}
    assert np.array_equal(load(path).labels, first.labels)
    assert np.array_equal(load(path / 'labels' / 'cells').labels, second.labels)
    assert np.array_equal(zarr.open_array(path / '0', mode='r')[...], pixels)
    with pytest.raises(ExchangeError, match='there already'):
        export(first, path / 'labels' / 'cells')


def test_an_image_of_the_older_version_is_left_alone(tmp_path: Path) -> None:
    path = image(tmp_path / 'a.ome.zarr', version='0.4')
    with pytest.raises(ExchangeError, match=r'0\.4'):
        export(segmentation((3, 60, 60)), path / 'labels' / 'cells')
    assert not (path / 'labels').exists()


def test_labels_of_the_older_version_are_read(tmp_path: Path) -> None:
    found = load(image(tmp_path / 'a.ome.zarr', version='0.4'))
    assert found.scale == (2.0, 0.5, 0.5)
    assert found.unit == 'micrometer'
    assert found.labels[1, 2, 3] == 3600 + 123


@pytest.mark.parametrize(
    'where', ['../../../../etc', '/etc', 'a/../../b', '..', '', 'C:\\x', 'link', 5]
)
def test_paths_in_metadata_stay_inside(tmp_path: Path, where: object) -> None:
    path = image(tmp_path / 'a.ome.zarr')
    image(tmp_path / 'elsewhere')
    (path / 'link').symlink_to(tmp_path / 'elsewhere' / '0')
    content = json.loads((path / 'zarr.json').read_text())
    content['attributes']['ome']['multiscales'][0]['datasets'][0]['path'] = where
    (path / 'zarr.json').write_text(json.dumps(content))
    with pytest.raises(ExchangeError, match='no path below its own folder'):
        load(path)


def test_empty_labels_have_no_empty_lists(tmp_path: Path) -> None:
    (path,) = export(Segmentation(np.zeros((8, 8), np.uint8)), tmp_path / 'a.zarr')
    label = zarr.open_group(path, mode='r').attrs['ome']['image-label']
    assert set(label) == {'version'}
    assert load(path).ids == []

"""Out and back: 1,000 objects with holes and parts, in 2D and more, through every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segmentations import many, segmentation

from napari_mobilesam.exchange import (
    FORMATS,
    MAX_LABEL,
    ExchangeError,
    Segmentation,
    export,
    from_shapes,
    load,
    to_shapes,
)

SHAPES = [(480, 480), (3, 480, 480), (2, 2, 150, 150)]
CALIBRATED = {'tiff', 'ome-zarr', 'coco'}
FILES: list[tuple[str, str, dict[str, Any]]] = [
    ('labels.tif', 'tiff', {}),
    ('labels.ome.tif', 'tiff', {}),
    ('labels.ome.zarr', 'ome-zarr', {}),
    ('labels.coco.json', 'coco', {}),
    ('labels.json', 'coco', {'polygons': True}),
    ('labels.geojson', 'geojson', {}),
    ('labels.zip', 'imagej-roi', {}),
    ('labels.shapes.csv', 'shapes', {}),
]


@pytest.mark.parametrize('shape', SHAPES, ids=lambda shape: f'{len(shape)}D')
@pytest.mark.parametrize(('name', 'form', 'options'), FILES, ids=[f[0] for f in FILES])
def test_masks_ids_and_classes_come_back(
    tmp_path: Path, shape: tuple[int, ...], name: str, form: str, options: dict[str, Any]
) -> None:
    before = segmentation(shape)
    assert len(before.ids) == (1024 if shape[-1] == 480 else 100)
    assert export(before, tmp_path / name, **options) == (tmp_path / name,)
    after = load(tmp_path / name, shape=shape)
    assert np.array_equal(after.labels, before.labels)
    for label in before.ids:
        assert after.info(label) == before.info(label)
    assert after.axes == before.axes
    if form in CALIBRATED:
        assert after.unit == 'micrometer'
        assert after.scale == pytest.approx(before.scale, rel=1e-6)
        assert after.colours == before.colours
    assert after.notices == ()


def test_every_format_that_is_read_and_written_is_tested() -> None:
    both = {form.name for form in FORMATS if form.writer and form.reader}
    assert both == {form for _, form, _ in FILES} | {'png', 'masks'}


@pytest.mark.parametrize('name', [f[0] for f in FILES])
def test_ids_up_to_the_largest_come_back(tmp_path: Path, name: str) -> None:
    labels = np.zeros((3, 20, 30), np.int64)
    labels[0, 3:5, 3:9], labels[1, 7:9, 1:2], labels[2, :, 29] = 70_000, 2**24 + 1, MAX_LABEL
    export(Segmentation(labels), tmp_path / name)
    assert np.array_equal(load(tmp_path / name, shape=labels.shape).labels, labels)


def test_png_planes_come_back(tmp_path: Path) -> None:
    labels = many((2, 480, 480))
    written = export(Segmentation(labels), tmp_path / 'x.png')
    assert [path.name for path in written] == ['x_z0000.png', 'x_z0001.png']
    assert np.array_equal(np.stack([load(path).labels for path in written]), labels)
    (path,) = export(Segmentation(labels[0]), tmp_path / 'y.png')
    assert load(path).labels.dtype == np.uint16
    labels[0, 0, 0] = 65_536
    with pytest.raises(ExchangeError, match='65536'):
        export(Segmentation(labels), tmp_path / 'z.png')
    assert not list(tmp_path.glob('z*'))


@pytest.mark.parametrize('shape', [(60, 60), (3, 60, 60)])
def test_masks_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    labels = many(shape, step := 12) * step
    written = export(Segmentation(labels), tmp_path / 'masks', 'masks')
    assert len(written) == 25
    assert np.array_equal(load(tmp_path / 'masks').labels, labels)


@pytest.mark.parametrize('shape', SHAPES, ids=lambda shape: f'{len(shape)}D')
def test_shapes_come_back(shape: tuple[int, ...]) -> None:
    before = segmentation(shape)
    data, features = to_shapes(before)
    assert {len(values) for values in features.values()} == {len(data)}
    after = from_shapes(data, shape, labels=features['label'], classes=features['class'])
    assert np.array_equal(after.labels, before.labels)
    assert all(after.info(i).class_name == before.info(i).class_name for i in before.ids)


def test_napari_opens_shapes_and_those_drawn_there_are_read(tmp_path: Path) -> None:
    builtins = pytest.importorskip('napari_builtins.io')
    before = segmentation((3, 480, 480))
    (path,) = export(before, tmp_path / 'labels.shapes.csv')
    data, keywords, kind = builtins.csv_to_layer_data(str(path))
    expected, _ = to_shapes(before)
    assert (kind, set(keywords['shape_type'])) == ('shapes', {'polygon'})
    assert all(np.allclose(*pair) for pair in zip(data, expected, strict=True))

    square = np.array([(2.0, 3.0), (2, 9), (8, 9), (8, 3)])
    drawn = [square, square + 20, square + np.array([0, 30])]
    kinds = ['rectangle', 'ellipse', 'polygon']
    path = Path(builtins.napari_write_shapes(str(tmp_path / 'a.csv'), drawn, {'shape_type': kinds}))
    found = load(path, 'shapes', shape=(60, 60)).labels
    assert np.unique(found).tolist() == [0, 1, 2, 3]
    areas = np.bincount(found.ravel())[1:]
    assert areas[0] == areas[2]
    assert 0.7 < areas[1] / areas[0] < 0.85, 'about pi / 4'


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ('0,line,0,1,1', 'found a line'),
        ('0,polygon,0,1,nan', 'of 1 points'),
        ('0,ellipse,0,1,1', 'found a ellipse of 1'),
        ('0,polygon,0,x,1', 'could not convert'),
        ('0,polygon', 'cannot be read'),
    ],
)
def test_shapes_without_an_inside_are_told(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / 'x.shapes.csv'
    path.write_text(f'index,shape-type,vertex-index,axis-0,axis-1\n{row}\n')
    with pytest.raises(ExchangeError, match=message):
        load(path, shape=(9, 9))
    with pytest.raises(ExchangeError, match='no table of shapes with 3 axes'):
        load(path, shape=(9, 9, 9))
    with pytest.raises(ExchangeError, match='how large the image is'):
        load(path)


@pytest.mark.parametrize(
    'kind', ['u1', 'i1', 'u2', '>u2', 'i2', 'u4', 'i4', '>i4', 'u8', 'i8', '?']
)
def test_labels_of_any_integer_type_are_taken(kind: str) -> None:
    labels = np.zeros((5, 6), kind)
    labels[1, 2] = 1
    kept = Segmentation(labels).labels
    assert kept.dtype.itemsize <= 4
    assert kept.dtype.isnative
    assert np.array_equal(kept, labels)


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.zeros((4, 4)), 'integers; got values of type float64'),
        (np.zeros((4, 4), complex), 'integers'),
        (np.full((4, 4), 2**31, np.uint32), 'end at 2147483647'),
        (np.full((4, 4), 2**40, np.int64), 'found 1099511627776'),
        (np.full((4, 4), -1, np.int16), 'not negative'),
        (np.zeros(4, int), 'at least two axes'),
        (np.zeros((0, 4), int), 'pixels'),
        (np.zeros((1,) * 6, int), 'axes'),
    ],
)
def test_what_are_no_labels_is_told(labels: Any, message: str) -> None:
    with pytest.raises(ExchangeError, match=message):
        Segmentation(labels)

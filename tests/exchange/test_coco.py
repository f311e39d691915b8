"""COCO files, as its own API sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segmentations import segmentation

from napari_mobilesam.exchange import ExchangeError, Segmentation, export, load


@pytest.fixture
def coco() -> Any:
    return pytest.importorskip('pycocotools.coco').COCO


# pycocotools 2.0.11 has not followed numpy 2 here
@pytest.mark.filterwarnings('ignore:__array__ implementation:DeprecationWarning')
@pytest.mark.parametrize('polygons', [False, True])
@pytest.mark.parametrize('shape', [(480, 480), (3, 150, 150)])
def test_pycocotools_sees_the_same_masks(
    coco: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    polygons: bool,
    shape: tuple[int, ...],
) -> None:
    before = segmentation(shape)
    (path,) = export(before, tmp_path / 'a.json', polygons=polygons)
    loaded = coco(str(path))
    seen = np.zeros(before.shape, np.int32)
    for annotation in loaded.loadAnns(loaded.getAnnIds()):
        (image,) = loaded.loadImgs([annotation['image_id']])
        index = tuple(image['plane'].values())
        mask = loaded.annToMask(annotation).astype(bool)
        assert not seen[index][mask].any()
        seen[index][mask] = annotation['object_id']
        assert mask.sum() == annotation['area']
        x, y, width, height = annotation['bbox']
        assert mask[y : y + height, x : x + width].sum() == mask.sum()
        (category,) = loaded.loadCats([annotation['category_id']])
        name = before.info(annotation['object_id']).class_name
        assert category['name'] == (name or 'object')
    assert np.array_equal(seen, before.labels)
    capsys.readouterr()  # pycocotools prints


def foreign(path: Path, **changes: Any) -> Path:
    """Write a file as other programs do: no planes, no object ids."""
    content: dict[str, Any] = {
        'images': [{'id': 7, 'file_name': 'x.jpg', 'width': 20, 'height': 10}],
        'categories': [{'id': 3, 'name': 'cell'}],
        'annotations': [
            {
                'id': 12,
                'image_id': 7,
                'category_id': 3,
                'segmentation': [[1, 1, 5, 1, 5, 4, 1, 4], [10.2, 2, 14, 2, 12, 9.9]],
            },
            {
                'id': 11,
                'image_id': 7,
                'category_id': 3,
                'segmentation': {'size': [10, 20], 'counts': [30, 10, 160]},
            },
        ],
    } | changes
    path.write_text(json.dumps(content))
    return path


def test_files_of_others_are_read(tmp_path: Path) -> None:
    found = load(foreign(tmp_path / 'x.json'))
    assert found.shape == (10, 20)
    assert found.ids == [11, 12]
    assert (found.labels[1:4, 1:3] == 12).all()
    assert (found.labels[:, 3] == 11).all()
    assert found.info(12).class_name == 'cell'
    assert found.info(12).score is None
    (notice,) = found.notices
    assert notice.startswith('1 objects overlap later ones')
    with pytest.raises(ExchangeError, match='20 x 10 pixels, not of 30 x 10'):
        load(tmp_path / 'x.json', shape=(10, 30))


def test_images_of_one_size_are_the_planes_of_a_stack(tmp_path: Path) -> None:
    images = [{'id': i, 'file_name': f'{i}', 'width': 20, 'height': 10} for i in (9, 7, 8)]
    path = foreign(tmp_path / 'x.json', images=images)
    found = load(path)
    assert found.shape == (3, 10, 20)
    assert found.labels[1].any()
    assert not found.labels[[0, 2]].any()
    with pytest.raises(ExchangeError, match='3 images, the stack has 5 planes'):
        load(path, shape=(5, 10, 20))


def test_a_class_called_object_is_no_missing_class(tmp_path: Path) -> None:
    before = segmentation((30, 30))
    named = {1: before.info(1).__class__(1, 'object')}
    export(Segmentation(before.labels, objects=named), tmp_path / 'x.json')
    after = load(tmp_path / 'x.json')
    assert [after.info(i).class_name for i in after.ids] == ['object', '', '', '']

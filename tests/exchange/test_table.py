"""Tables of measurements."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pictures import disc
from skimage.measure import regionprops

from napari_mobilesam.exchange import ExchangeError, ObjectInfo, Segmentation, export
from napari_mobilesam.exchange.measure import measure


def stack() -> Segmentation:
    labels = np.zeros((2, 3, 60, 80), np.int32)
    labels[0, 0][disc((60, 80), (20, 30), 10)] = 7
    labels[1, :, 10:20, 40:60] = 2**30
    image = np.zeros(labels.shape, np.uint16)
    image[1] = np.arange(3)[:, None, None] * 100
    objects = {7: ObjectInfo(7, '=cmd()', ('reviewed', 'unclear'), 0.75, 3)}
    scale, unit = (1, 2, 0.5, 0.5), 'micrometer'
    return Segmentation(labels, 'tzyx', scale, unit, objects, image=image)


def test_a_row_per_object() -> None:
    table = measure(stack()).set_index('id')
    flat, box = table.loc[7], table.loc[2**30]
    pixels = int(disc((60, 80), (20, 30), 10).sum())
    assert (flat['class'], flat['flags'], flat['score'], flat['prompts']) == (
        '=cmd()',
        'reviewed unclear',
        0.75,
        3,
    )
    assert (flat['frame'], flat['slice'], flat['n_slices'], flat['pixels']) == (0, 0, 1, pixels)
    assert flat['area'] == pytest.approx(pixels * 0.25)
    assert flat['volume'] == pytest.approx(pixels * 0.5)
    assert flat['perimeter'] == pytest.approx(2 * np.pi * 10 * 0.5, rel=0.06)
    assert flat['eccentricity'] == pytest.approx(0, abs=0.1)
    (region,) = regionprops((stack().labels[0, 0] == 7).astype(int))
    assert flat['solidity'] == region.solidity
    assert (flat['centroid_y'], flat['centroid_x']) == (10, 15)
    assert (box['frame'], box['n_slices'], box['volume']) == (1, 3, 600 * 0.5)
    assert (box['centroid_z'], box['centroid_y'], box['centroid_x']) == (2, 7.25, 24.75)
    assert np.isnan([box['area'], box['perimeter'], box['score']]).all()
    assert (box['intensity_mean'], box['intensity_min'], box['intensity_max']) == (100, 0, 200)
    assert box['intensity_sum'] == 600 * 100
    assert set(table['unit']) == {'micrometer'}


def test_a_row_per_plane() -> None:
    table = measure(stack(), per_plane=True)
    assert table['id'].tolist() == [7, 2**30, 2**30, 2**30]
    assert table['slice'].tolist() == [0, 0, 1, 2]
    assert 'volume' not in table
    assert table['area'].tolist()[1:] == [50.0] * 3
    assert table['intensity_median'].tolist() == [0, 0, 100, 200]


def test_colours_are_measured_one_by_one() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    image[..., 1] = 5
    row = measure(Segmentation(np.ones((9, 9), int), image=image)).iloc[0]
    assert (row['intensity_mean_r'], row['intensity_mean_g']) == (0, 5)
    assert row['pixels'] == row['area'] == 81


@pytest.mark.parametrize('mask', [(0, 1), (slice(0, 5), 0), (0, slice(0, 2)), (slice(0, 2), 0)])
def test_the_smallest_objects_are_measured(mask: tuple[slice, slice]) -> None:
    labels = np.zeros((9, 9), int)
    labels[mask] = 1
    (solidity,) = measure(Segmentation(labels))['solidity']
    assert solidity == 1


def test_files_hold_the_same(tmp_path: Path) -> None:
    pytest.importorskip('pyarrow')
    before = stack()
    (csv,) = export(before, tmp_path / 'a.csv')
    (parquet,) = export(before, tmp_path / 'a.parquet', per_plane=True)
    found = pd.read_csv(csv)
    assert found['id'].tolist() == [7, 2**30]
    assert found['class'].tolist()[0] == "'=cmd()"  # no formula in a spreadsheet
    assert len(pd.read_parquet(parquet)) == 4


def test_without_pyarrow_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with pytest.raises(ExchangeError, match=r'napari-mobilesam\[parquet\]'):
        export(stack(), tmp_path / 'a.parquet')
    assert list(tmp_path.iterdir()) == []


def test_no_objects_make_an_empty_table(tmp_path: Path) -> None:
    (path,) = export(Segmentation(np.zeros((5, 5), int)), tmp_path / 'a.csv')
    assert pd.read_csv(path).empty
    assert 'eccentricity' in path.read_text()

"""TIFF labels, as ImageJ wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from segmentations import segmentation

from napari_mobilesam.exchange import ExchangeError, Segmentation, export, load


def test_imagej_finds_axes_and_calibration(tmp_path: Path) -> None:
    before = segmentation((2, 3, 60, 60))
    (path,) = export(before, tmp_path / 'a.tif')
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        found = file.imagej_metadata
        assert found is not None
        assert (found['frames'], found['slices'], found['unit']) == (2, 3, 'um')
        assert (found['spacing'], found['finterval']) == (2.0, 0.5)
        assert file.series[0].axes == 'TZYX'
        assert file.series[0].dtype == np.uint16
        x, y = (file.pages.first.tags[f'{a}Resolution'].value for a in 'XY')
        assert x[0] / x[1] == pytest.approx(4)
        assert y[0] / y[1] == pytest.approx(4)


def test_stacks_of_others_are_read(tmp_path: Path) -> None:
    labels = np.arange(5 * 6 * 7, dtype=np.uint8).reshape(5, 6, 7)
    tifffile.imwrite(tmp_path / 'x.tif', labels, photometric='minisblack')
    found = load(tmp_path / 'x.tif')
    assert (found.axes, found.unit, found.scale) == ('zyx', 'pixel', (1, 1, 1))
    assert np.array_equal(found.labels, labels)
    tifffile.imwrite(tmp_path / 'y.tif', labels, metadata={'axes': 'YXZ'})
    moved = load(tmp_path / 'y.tif')
    assert moved.axes == 'zyx'
    assert np.array_equal(moved.labels, labels.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ('pixels', 'message'),
    [
        (np.zeros((6, 7), np.float32), 'float32'),
        (np.zeros((6, 7, 3), np.uint8), 'colour picture'),
        (np.full((6, 7), 2**31, np.uint32), '2147483647'),
        (np.full((6, 7), -4, np.int16), 'negative'),
    ],
)
def test_what_are_no_labels_is_told(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    tifffile.imwrite(tmp_path / 'x.tif', pixels)
    with pytest.raises(ExchangeError, match=message):
        load(tmp_path / 'x.tif')


def test_another_shape_is_told(tmp_path: Path) -> None:
    export(Segmentation(np.ones((6, 7), int)), tmp_path / 'x.tif')
    with pytest.raises(ExchangeError, match=r'\(6, 7\), the image has \(7, 6\)'):
        load(tmp_path / 'x.tif', shape=(7, 6))

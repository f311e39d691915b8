"""ImageJ ROIs, as roifile reads and writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import roifile
from segmentations import segmentation

from napari_mobilesam.exchange import ExchangeError, export, load


def test_positions_in_a_stack_are_its_slices(tmp_path: Path) -> None:
    before = segmentation((3, 150, 150))
    (path,) = export(before, tmp_path / 'a.zip')
    rois = roifile.roiread(path)
    assert len({roi.name for roi in rois}) == len(rois)
    for roi in rois:
        known = dict(line.split(': ', 1) for line in roi.props.splitlines())
        label = int(known['label'])
        rows, columns = np.nonzero(before.labels[roi.position - 1] == label)
        assert (roi.left, roi.top) == (columns.min(), rows.min())
        assert (roi.right, roi.bottom) == (columns.max() + 1, rows.max() + 1)
        assert (roi.c_position, roi.z_position, roi.t_position) == (0, 0, 0)
        assert known.get('class', '') == before.info(label).class_name
    # holes and parts need a composite, others stay simple outlines
    assert {roi.composite for roi in rois} == {True, False}


def test_positions_in_a_hyperstack_are_channel_slice_and_frame(tmp_path: Path) -> None:
    (path,) = export(segmentation((2, 3, 60, 60)), tmp_path / 'a.zip')
    rois = roifile.roiread(path)
    assert {(roi.c_position, roi.z_position, roi.t_position) for roi in rois} == {
        (1, z, t) for z in (1, 2, 3) for t in (1, 2)
    }
    assert {roi.position for roi in rois} == {0}


def test_rois_of_others_are_read(tmp_path: Path) -> None:
    kinds = roifile.ROI_TYPE
    polygon = roifile.ImagejRoi.frompoints([[1, 1], [5, 1], [5, 4], [1, 4]], position=0)
    box = roifile.ImagejRoi(roitype=kinds.RECT, left=10, top=2, right=14, bottom=5, position=2)
    oval = roifile.ImagejRoi(roitype=kinds.OVAL, left=2, top=5, right=12, bottom=15, z_position=2)
    line = roifile.ImagejRoi(roitype=kinds.LINE, x2=4, y2=4)
    roifile.roiwrite(tmp_path / 'x.zip', [polygon, box, oval, line], name=['a', 'b', 'c', 'd'])
    found = load(tmp_path / 'x.zip', shape=(2, 16, 16))
    assert found.ids == [1, 2, 3]
    assert (found.labels[0, 1:4, 1:5] == 1).all()
    assert np.count_nonzero(found.labels[0]) == 12
    assert (found.labels[1, 2:5, 10:14] == 2).all()
    rows, columns = np.indices((16, 16)) + 0.5
    disc = (rows - 10) ** 2 + (columns - 7) ** 2 < 25
    assert np.array_equal(found.labels[1] == 3, disc)
    assert found.notices == ('1 ROIs are no areas, and were left out',)
    single = tmp_path / 'x.roi'
    roifile.roiwrite(single, polygon)
    assert load(single, shape=(16, 16)).ids == [1]


def test_stack_positions_of_a_hyperstack_count_channels_first(tmp_path: Path) -> None:
    # position 8 of 2 channels and 3 slices is channel 2, slice 1 of frame 2
    roi = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, right=2, bottom=2, position=8)
    roifile.roiwrite(tmp_path / 'x.zip', [roi], name=['a'])
    found = load(tmp_path / 'x.zip', shape=(2, 2, 3, 5, 5), axes='tczyx')
    assert np.argwhere(found.labels)[0].tolist() == [1, 1, 0, 0, 0]


def test_the_image_has_to_fit(tmp_path: Path) -> None:
    export(segmentation((3, 60, 60)), tmp_path / 'a.zip')
    with pytest.raises(ExchangeError, match='does not tell the size'):
        load(tmp_path / 'a.zip')
    with pytest.raises(ExchangeError, match='z = 1'):
        load(tmp_path / 'a.zip', shape=(60, 60))

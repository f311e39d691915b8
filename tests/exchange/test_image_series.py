"""Image series: which images, in which order, and what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_mobilesam.exchange import ExchangeError
from napari_mobilesam.exchange.image_series import ImageSeries


def test_results_are_no_images_and_names_stay_apart(tmp_path: Path) -> None:
    for name in ('b.tif', 'a.png', 'a.tif', 'a.png_labels.tif', 'b.labels-00ff.tif', 'x.txt'):
        (tmp_path / name).touch()
    series = ImageSeries.of(tmp_path)
    assert [path.name for path in series.paths] == ['a.png', 'a.tif', 'b.tif']
    assert series.labels_path(tmp_path / 'a.png').name == 'a.png_labels.tif'
    assert series.labels_path(tmp_path / 'b.tif').name == 'b_labels.tif'
    assert series.session_path(tmp_path / 'b.tif').name == 'b.mobilesam.json'
    assert series.done == 1
    assert series.after(1) == 1
    series.position = 1
    assert series.after(-1) == 0
    assert series.after(-1, skip_done=True) is None
    series.position = 2
    assert series.after(1) is None


def test_nothing_to_go_through_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match='no images'):
        ImageSeries.of(tmp_path)
    with pytest.raises(ExchangeError, match='at least one image'):
        ImageSeries([])

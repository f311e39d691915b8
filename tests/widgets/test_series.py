"""Image series: one image after the other, with results beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pictures import CENTRES, plane, stack

from napari_mobilesam.exchange import load
from napari_mobilesam.widgets.filing import Filing
from napari_mobilesam.widgets.going_through import GoingThrough
from napari_mobilesam.widgets.journaling import Journaling

Bench = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / 'series'
    folder.mkdir()
    for number in range(4):
        picture = plane(number, (120, 160 + number))
        tifffile.imwrite(folder / f'{number}.tif', picture, photometric='minisblack')
    (folder / 'notes.txt').write_text('no image')
    return folder


def test_a_folder_is_gone_through(bench: Bench, folder: Path, tmp_path: Path) -> None:
    one = bench(image=stack())
    controller = one.controller
    journaling = Journaling(controller, tmp_path / 'journals')
    filing = Filing(controller, journaling, lambda: None)
    series = GoingThrough(controller, filing, one.bridge, one.model)
    places: list[tuple[str, int, int, int]] = []
    series.moved.connect(lambda *place: places.append(place))

    def quiet() -> None:
        for _ in range(3):
            one.until(lambda: not filing.errands.busy and not filing.busy)
            one.until(lambda: not journaling.pending)
            one.quiet()

    def commit(*centres: tuple[int, int]) -> None:
        for centre in centres:
            one.click(*centre)
            one.press('Enter')

    try:
        series.start([str(folder)])
        quiet()
        assert places[-1] == ('0.tif', 0, 4, 0)
        assert controller.image.name == '0'
        encoded = len(one.segmenter.encoded)
        commit(*CENTRES)
        labels = one.labels.data.copy()
        series.done()
        quiet()
        assert places[-1] == ('1.tif', 1, 4, 1)
        assert len(one.segmenter.encoded) == encoded + 1, 'embedded ahead, and found again'
        assert np.array_equal(load(folder / '0_labels.tif').labels, labels)
        assert (folder / '0.mobilesam.json').exists()
        names = [layer.name for layer in one.viewer.layers]
        assert '0' not in names, 'what is done is put away'
        assert 'cells' in names, 'and what was there before is not touched'

        # on without being done, and back: it is as it was left
        commit(CENTRES[0])
        half = one.labels.data.copy()
        series.move(1)
        quiet()
        assert places[-1] == ('2.tif', 2, 4, 1)
        assert not controller.objects
        series.move(-1)
        quiet()
        assert places[-1] == ('1.tif', 1, 4, 1)
        assert np.array_equal(one.labels.data, half)
        series.move(-1)
        quiet()
        assert places[-1][1] == 1, 'the first one is done, and passed over'
        series.set_skip(False)
        series.move(-1)
        quiet()
        assert places[-1][1] == 0
        assert np.array_equal(one.labels.data, labels)
        controller.undo()
        one.quiet()
        assert len(controller.objects) == 2

        # tomorrow: results are no images, and the first that is not done comes first
        series.start([str(folder)])
        quiet()
        assert places[-1] == ('1.tif', 1, 4, 1)
        for _ in range(3):
            series.done()
            quiet()
        assert places[-1][3] == 4
        assert sorted(path.name for path in folder.glob('*_labels.tif')) == [
            f'{number}_labels.tif' for number in range(4)
        ]
    finally:
        filing.close()
        journaling.close()

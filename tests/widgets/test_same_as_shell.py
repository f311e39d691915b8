"""The window and the shell are the same engine: the same prompts give the same labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from pictures import CENTRES, stack
from typer.testing import CliRunner

from mobile_sam.checkpoints import BUNDLED_NAME, bundled_path, load_model
from napari_mobilesam import cli
from napari_mobilesam.commands import segment as segment_command
from napari_mobilesam.engine import SamSegmenter
from napari_mobilesam.exchange import export, load

Bench = Callable[..., Any]
SCALE = (2.0, 0.5, 0.25)  # pixels are not square: the picture is stretched


def real() -> SamSegmenter:
    if bundled_path() is None:
        pytest.skip('this checkout has no bundled checkpoint')
    return SamSegmenter(load_model(BUNDLED_NAME), 'cpu')


@pytest.mark.parametrize(
    'make', [FakeSegmenter, pytest.param(real, marks=pytest.mark.slow)], ids=['stand-in', 'model']
)
def test_segment_on_a_stack_equals_the_widget(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    """A click per object and slice, of a calibrated stack, from a CSV file and by hand."""
    segmenter = make()
    monkeypatch.setattr(segment_command, 'load_segmenter', lambda *_: segmenter)
    pixels = stack(3)
    image = tmp_path / 'stack.tif'
    tifffile.imwrite(
        image,
        pixels,
        imagej=True,
        resolution=(1 / SCALE[2], 1 / SCALE[1]),
        metadata={'axes': 'ZYX', 'spacing': SCALE[0], 'unit': 'um'},
    )
    clicks = [(z, row + 2 * z, column) for z in range(3) for row, column in CENTRES]
    prompts = tmp_path / 'prompts.csv'
    lines = [','.join(map(str, (*place, number))) for number, place in enumerate(clicks)]
    prompts.write_text('\n'.join(['z,y,x,object', *lines]) + '\n')
    shell = tmp_path / 'shell.tif'
    arguments = ['segment', image, '--prompts', prompts, '-o', shell]
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output

    one = bench(image=pixels, segmenter=segmenter, scale=SCALE, units=('um',) * 3)
    for place in clicks:
        one.viewer.dims.set_current_step(0, place[0])
        one.quiet()
        one.click(*place)
        one.press('Enter')
    assert len(one.controller.objects) == len(clicks)
    labels = np.asarray(one.labels.data)
    assert labels.any()
    assert np.array_equal(load(shell).labels, labels)
    # and by napari's writer: the very same file, but for what only records know
    from napari_mobilesam.writers import segmentation_of_layer

    data, meta, _ = one.labels.as_layer_data_tuple()
    export(segmentation_of_layer(data, meta), tmp_path / 'widget.tif')
    assert np.array_equal(tifffile.imread(tmp_path / 'widget.tif'), tifffile.imread(shell))
    found, same = load(tmp_path / 'widget.tif'), load(shell)
    assert found.scale == pytest.approx(same.scale)
    assert found.axes == same.axes

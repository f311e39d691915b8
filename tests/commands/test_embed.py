"""Embedding stacks from the command line, and the stores of micro-sam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from typer.testing import CliRunner, Result

from napari_mobilesam import cli


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSegmenter:
    fake = FakeSegmenter()
    weights = tmp_path / 'vit_t.pt'
    weights.write_bytes(b'weights')
    where = 'napari_mobilesam.commands.embed.'
    monkeypatch.setattr(where + 'load_segmenter', lambda *_: fake)
    monkeypatch.setattr(where + 'find_weights', lambda _: weights)
    pixels = np.random.default_rng(1).integers(0, 900, (5, 40, 50), np.uint16)
    tifffile.imwrite(tmp_path / 'image.tif', pixels)
    return fake


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ['embed', *map(str, arguments)])


def test_the_second_time_nothing_is_encoded(tmp_path: Path, segmenter: FakeSegmenter) -> None:
    result = run(tmp_path / 'image.tif', '--folder', tmp_path / 'cache')
    assert result.exit_code == 0, result.output
    assert '5 had to be encoded now' in result.stdout
    (tmp_path / 'image.tif').rename(tmp_path / 'other.tif')
    result = run(tmp_path / 'other.tif', '--folder', tmp_path / 'cache')
    assert '0 had to be encoded now' in result.stdout
    assert len(segmenter.encoded) == 5


def test_to_micro_sam_and_from_it(tmp_path: Path, segmenter: FakeSegmenter) -> None:
    image, store = tmp_path / 'image.tif', tmp_path / 'store.zarr'
    full = ('--intensity', 'full')
    result = run(image, *full, '--to-micro-sam', store, '--folder', tmp_path / 'one')
    assert result.exit_code == 0, result.output
    result = run(image, *full, '--from-micro-sam', store, '--folder', tmp_path / 'two')
    assert result.exit_code == 0, result.output
    assert 'Took 5 embeddings' in result.stdout
    assert '0 had to be encoded now' in result.stdout
    assert len(segmenter.encoded) == 5
    # refused: another place in use, another mapping, another image
    assert 'exists already' in run(image, *full, '--to-micro-sam', store).stderr
    assert 'add --intensity full' in run(image, '--from-micro-sam', store).stderr
    tifffile.imwrite(image, np.zeros((5, 40, 50), np.uint16))
    result = run(image, *full, '--from-micro-sam', store, '--folder', tmp_path / 'two')
    assert result.exit_code == 1
    assert 'is of another image' in result.stderr.replace('\n', ' ')

"""Labels of other programs refined from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from scipy import ndimage
from typer.testing import CliRunner, Result

from napari_mobilesam import cli

IDS = (7, 300)


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> FakeSegmenter:
    fake = FakeSegmenter()
    monkeypatch.setattr('napari_mobilesam.commands.refine.load_segmenter', lambda *_: fake)
    return fake


@pytest.fixture
def truth() -> np.ndarray:
    grid = np.indices((5, 64, 64))
    labels = np.zeros((5, 64, 64), np.uint16)
    for number, (row, column) in zip(IDS, ((18, 20), (44, 42)), strict=True):
        labels[(grid[1] - row) ** 2 + (grid[2] - column) ** 2 <= 81] = number
    return labels


def coarse(truth: np.ndarray) -> np.ndarray:
    """Each object a few pixels too large, as a net for other cells would have it."""
    size = (1, 5, 5) if truth.ndim == 3 else (5, 5)
    return ndimage.grey_dilation(truth, size=size)


def write(path: Path, array: np.ndarray, **keywords: object) -> Path:
    tifffile.imwrite(path, array, photometric='rgb' if keywords else 'minisblack')
    return path


def picture(truth: np.ndarray) -> np.ndarray:
    return np.where(truth > 0, 200, 20).astype(np.uint8)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ['refine', *map(str, arguments)])


def iou(found: np.ndarray, truth: np.ndarray, label: int) -> float:
    one, other = found == label, truth == label
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


@pytest.mark.parametrize('flat', [True, False])
def test_outlines_improve_and_ids_stay(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter, flat: bool
) -> None:
    truth = truth[0] if flat else truth
    given = coarse(truth)
    image, labels = write(tmp_path / 'i.tif', picture(truth)), write(tmp_path / 'l.tif', given)
    result = run(image, labels, '-o', tmp_path / 'o.tif', '--no-cache')
    assert result.exit_code == 0, result.output
    assert '2 objects, 2 of them with other outlines' in result.stdout
    found = tifffile.imread(tmp_path / 'o.tif')
    assert found.shape == truth.shape
    for label in IDS:
        assert iou(given, truth, label) < 0.75 < 0.9 < iou(found, truth, label)
    assert (tifffile.imread(labels) == given).all()


def test_of_what_the_model_is_unsure_stays(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter
) -> None:
    image = write(tmp_path / 'i.tif', picture(truth))
    labels = write(tmp_path / 'l.tif', coarse(truth))
    result = run(image, labels, '-o', tmp_path / 'o.tif', '--no-cache', '--min-score', 1)
    assert '0 of them with other outlines' in result.stdout
    assert (tifffile.imread(tmp_path / 'o.tif') == coarse(truth)).all()


def test_a_colour_picture(tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter) -> None:
    colour = np.repeat(picture(truth)[0][..., None], 3, -1)
    image = write(tmp_path / 'i.tif', colour, rgb=True)
    labels = write(tmp_path / 'l.tif', coarse(truth[0]))
    result = run(image, labels, '-o', tmp_path / 'o.tif', '--no-cache')
    assert result.exit_code == 0, result.output
    assert iou(tifffile.imread(tmp_path / 'o.tif'), truth[0], IDS[0]) > 0.9


@pytest.mark.parametrize(
    ('labels', 'said'),
    [
        (np.zeros((5, 64, 64), np.uint8), 'holds no object'),
        (np.ones((5, 64, 60), np.uint8), 'of the shape (5, 64, 64)'),
        (np.ones((5, 64, 64), np.float32), 'float32'),
    ],
)
def test_labels_that_do_not_suit(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter, labels: np.ndarray, said: str
) -> None:
    image, other = write(tmp_path / 'i.tif', picture(truth)), write(tmp_path / 'l.tif', labels)
    result = run(image, other, '-o', tmp_path / 'o.tif')
    assert result.exit_code == 1
    assert said in result.stderr.replace('\n', ' ')
    assert not (tmp_path / 'o.tif').exists()
    assert not segmenter.encoded


def test_nothing_is_replaced_unasked(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter
) -> None:
    image = write(tmp_path / 'i.tif', picture(truth))
    labels = write(tmp_path / 'l.tif', coarse(truth))
    assert run(image, labels, '-o', labels, '--no-cache').exit_code == 1
    assert not segmenter.encoded
    assert run(image, labels, '-o', labels, '--no-cache', '--overwrite').exit_code == 0
    assert iou(tifffile.imread(labels), truth, IDS[0]) > 0.9

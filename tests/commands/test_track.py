"""Stacks and time series from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from typer.testing import CliRunner, Result

from napari_mobilesam import cli

CENTRES = ((4, 18, 18), (4, 44, 20), (5, 20, 46))


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> FakeSegmenter:
    fake = FakeSegmenter()
    monkeypatch.setattr('napari_mobilesam.commands.track.load_segmenter', lambda *_: fake)
    return fake


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ['track', *map(str, arguments)])


@pytest.fixture
def truth(tmp_path: Path) -> np.ndarray:
    grid = np.indices((10, 64, 64))
    labels = np.zeros((10, 64, 64), np.uint16)
    for number, centre in enumerate(CENTRES, 1):
        inside = sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True))
        labels[inside <= 36] = number
    tifffile.imwrite(tmp_path / 'image.tif', np.where(labels > 0, 200, 20).astype(np.uint8))
    return labels


def test_everything_and_the_second_time(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter
) -> None:
    result = run(tmp_path / 'image.tif', '-o', tmp_path / 'labels.tif')
    assert result.exit_code == 0, result.output
    assert '3 objects' in result.stdout
    assert 'slice: 10 of 10' in result.stderr
    labels = tifffile.imread(tmp_path / 'labels.tif')
    assert np.count_nonzero((labels > 0) & (truth > 0)) > 0.8 * np.count_nonzero(truth)
    encoded = len(segmenter.encoded)
    assert run(tmp_path / 'image.tif', '-o', tmp_path / 'again.tif').exit_code == 0
    assert len(segmenter.encoded) == encoded


def test_given_objects_are_followed_with_their_ids(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter
) -> None:
    given = np.zeros_like(truth)
    given[4] = np.where(truth[4] == 2, 700, 0)
    tifffile.imwrite(tmp_path / 'given.tif', given)
    result = run(
        tmp_path / 'image.tif', '-o', tmp_path / 'l.tif', '--anchors', tmp_path / 'given.tif'
    )
    assert result.exit_code == 0, result.output
    assert 'Following, slice: 9 of 9' in result.stderr
    labels = tifffile.imread(tmp_path / 'l.tif')
    assert np.unique(labels).tolist() == [0, 700]
    assert np.array_equal(labels[4], given[4])
    found, true = labels > 0, truth == 2
    assert np.count_nonzero(found & true) / np.count_nonzero(found | true) > 0.7


def test_given_objects_are_seen_from_three_sides(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter
) -> None:
    given = np.zeros_like(truth)
    given[4] = np.where(truth[4] == 2, 700, 0)
    tifffile.imwrite(tmp_path / 'given.tif', given)
    arguments = (tmp_path / 'image.tif', '-o', tmp_path / 'l.tif', '--three-views')
    result = run(*arguments, '--anchors', tmp_path / 'given.tif', '--first', 3, '--last', 6)
    assert result.exit_code == 0, result.output
    assert 'Object 700 from its sides' in result.stderr
    assert len(segmenter.encoded) > 4, 'planes of other axes, too'
    labels = tifffile.imread(tmp_path / 'l.tif')
    assert [z for z in range(10) if labels[z].any()] == [3, 4, 5, 6]
    assert np.array_equal(labels[4], given[4])
    found, true = labels[3:7] > 0, truth[3:7] == 2
    assert np.count_nonzero(found & true) / np.count_nonzero(found | true) > 0.7
    assert run(*arguments, '--overwrite').exit_code == 2


def test_a_range_of_slices(tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter) -> None:
    arguments = (tmp_path / 'image.tif', '-o', tmp_path / 'l.tif', '--first', 3, '--last', 5)
    assert run(*arguments).exit_code == 0
    labels = tifffile.imread(tmp_path / 'l.tif')
    assert [z for z in range(10) if labels[z].any()] == [3, 4, 5]
    assert len(segmenter.encoded) == 3
    given = np.zeros_like(truth)
    given[4] = truth[4]
    tifffile.imwrite(tmp_path / 'given.tif', given)
    result = run(*arguments, '--overwrite', '--anchors', tmp_path / 'given.tif')
    assert result.exit_code == 0, result.output
    labels = tifffile.imread(tmp_path / 'l.tif')
    assert [z for z in range(10) if labels[z].any()] == [3, 4, 5]
    assert len(segmenter.encoded) == 3
    again = (*arguments[:3], '--overwrite')
    given = run(*again, '--first', 6, '--anchors', tmp_path / 'given.tif')
    assert 'holds no object from slice 6 to 9' in given.stderr.replace('\n', ' ')
    assert run(*again, '--last', 10).exit_code == 2


def test_the_ending_of_the_output_decides_and_nothing_is_replaced_unasked(
    tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter
) -> None:
    image = tmp_path / 'image.npy'
    np.save(image, tifffile.imread(tmp_path / 'image.tif'))
    outputs = [tmp_path / name for name in ('l.csv', 'l.geojson', 'l.ome.zarr')]
    for output in outputs:
        result = run(image, '-o', output)
        assert result.exit_code == 0, result.output
    assert len(outputs[0].read_text().splitlines()) == 4
    before = outputs[0].read_bytes()
    result = run(image, '-o', outputs[0], '--mode', 'box')
    assert (result.exit_code, outputs[0].read_bytes()) == (1, before)
    assert 'is there already' in result.stderr.replace('\n', ' ')
    result = run(image, '-o', tmp_path / 'l.xyz')
    assert (result.exit_code, len(segmenter.encoded)) == (1, 10)
    assert 'does not say its format' in result.stderr.replace('\n', ' ')


def test_time(tmp_path: Path, truth: np.ndarray, segmenter: FakeSegmenter) -> None:
    pytest.importorskip('laptrack', reason='needs the extra [tracking]')
    arguments = (tmp_path / 'image.tif', '-o', tmp_path / 'l.tif')
    wanted = ('--tracks', tmp_path / 'RES', '--tracks', tmp_path / 'tracks.xml')
    result = run(*arguments, '--along', 't', *wanted)
    assert result.exit_code == 0, result.output
    assert '3 tracks, 0 divisions' in result.stdout
    assert len((tmp_path / 'RES/res_track.txt').read_text().splitlines()) == 3
    assert (tmp_path / 'tracks.xml').read_text().count('<TrackID ') == 3
    # said before the work, not after it
    encoded = len(segmenter.encoded)
    result = run(*arguments, '--overwrite', '--along', 't', '--tracks', tmp_path / 'no/t.xml')
    assert result.exit_code == 1
    assert 'does not exist' in result.stderr.replace('\n', ' ')
    result = run(tmp_path / 'image.tif', '-o', tmp_path / 'z.tif', '--tracks', tmp_path / 'Z')
    assert (result.exit_code, (tmp_path / 'Z').exists()) == (2, False)
    assert len(segmenter.encoded) == encoded


@pytest.mark.parametrize(
    ('image', 'anchors', 'said'),
    [
        (np.zeros((8, 8), np.uint8), None, 'should have three axes'),
        (None, np.zeros((3, 64, 64), np.uint8), 'should hold integer labels of the shape'),
        (None, np.zeros((10, 64, 64), np.float32), 'should hold integer labels of the shape'),
        (None, np.zeros((10, 64, 64), np.uint8), 'holds no object'),
        (b'no tiff', None, 'cannot be read'),
        (np.zeros((8, 8, 3), np.uint8), None, 'should have three axes'),
    ],
)
def test_impossible_files(
    tmp_path: Path,
    truth: np.ndarray,
    segmenter: FakeSegmenter,
    image: np.ndarray | bytes | None,
    anchors: np.ndarray | None,
    said: str,
) -> None:
    if isinstance(image, bytes):
        (tmp_path / 'image.tif').write_bytes(image)
    elif image is not None:
        tifffile.imwrite(tmp_path / 'image.tif', image)
    arguments: list[object] = [tmp_path / 'image.tif', '-o', tmp_path / 'l.tif']
    if anchors is not None:
        tifffile.imwrite(tmp_path / 'given.tif', anchors, photometric='minisblack')
        arguments += ['--anchors', tmp_path / 'given.tif']
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr.replace('\n', ' ')
    assert not (tmp_path / 'l.tif').exists()
    assert not segmenter.encoded

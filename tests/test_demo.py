"""The demo without a window: what it clicks, what it writes, when it thinks there is a display."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from PIL import Image

from napari_mobilesam.demo import (
    SAMPLES,
    UnknownSampleError,
    has_display,
    has_qt,
    load_sample,
    run_headless,
)
from napari_mobilesam.demo.headless import describe, segment, write_labels
from napari_mobilesam.demo.picture import draw, overlay
from napari_mobilesam.demo.samples import deepest_points
from napari_mobilesam.engine import Annotator, Candidates, Embedding, Prompts


class KnowingSegmenter(FakeSegmenter):
    """Answers with the true object under the click: the demo's arithmetic must then be exact."""

    def __init__(self, truth: np.ndarray) -> None:
        super().__init__(digest='knowing')
        self.truth = truth

    def decode(self, embedding: Embedding, prompts: Prompts) -> Candidates:
        row, column = (round(value) for value in prompts.points[0])
        assert self.truth.shape == (256, 256), 'the grid of the logits is that of the plane'
        logits = np.where(self.truth == self.truth[row, column], 8.0, -8.0)[None]
        return Candidates(logits, np.array([0.8]), embedding.original_size, embedding.input_size)


@pytest.mark.parametrize('name', SAMPLES)
def test_clicks_lie_on_the_plane_and_on_objects(name: str) -> None:
    sample = load_sample(name)
    plane = sample.source.read()
    assert plane.shape == sample.source.shape
    for row, column in sample.clicks:
        assert 0 <= row < plane.shape[0]
        assert 0 <= column < plane.shape[1]
    values = [plane[round(row), round(column)] for row, column in sample.clicks]
    assert np.median(values) > np.median(plane)
    if sample.truth is not None:
        truth = sample.truth[sample.index]
        labels = [truth[round(row), round(column)] for row, column in sample.clicks]
        assert 0 not in labels
        assert len(set(labels)) == len(labels) >= 10


def test_every_coin_is_clicked_once() -> None:
    clicks = np.array(load_sample('coins').clicks)
    assert len(clicks) == 24
    distances = np.hypot(*(clicks[:, None] - clicks[None]).transpose(2, 0, 1))
    # The smallest coins are 38 pixels wide.
    assert distances[~np.eye(24, dtype=bool)].min() > 38


def test_unknown_sample() -> None:
    with pytest.raises(UnknownSampleError, match="named nuclei, cell, coins; got 'dime'"):
        load_sample('dime')


def test_deepest_points() -> None:
    labels = np.zeros((30, 40), dtype=np.int32)
    labels[2:9, 3:10] = 5
    labels[12:29, 12:15] = 2  # a U, whose centroid lies outside of it
    labels[12:29, 30:33] = 2
    labels[26:29, 12:33] = 2
    labels[0, 39] = 9
    first, second = deepest_points(labels, 2)
    assert labels[round(first[0]), round(first[1])] == 2
    assert second == (5.0, 6.0)


def test_headless_writes_picture_and_labels(tmp_path: Path) -> None:
    said: list[str] = []
    segmenter = FakeSegmenter()
    report = run_headless(segmenter, tmp_path / 'made', say=said.append)
    assert report.picture == tmp_path / 'made' / 'demo.png'
    assert [path.name for path in report.labels] == [
        'labels.tif',
        'labels-cell.tif',
        'labels-coins.tif',
    ]
    assert sorted(path.name for path in (tmp_path / 'made').iterdir()) == sorted(
        ['demo.png', *(path.name for path in report.labels)]
    )
    # Each plane is encoded once, each click decoded once.
    assert len(segmenter.encoded) == 3
    assert len(segmenter.decoded) == sum(len(load_sample(name).clicks) for name in SAMPLES)
    assert [line.split(':')[0] for line in said] == ['nuclei, plane 10', 'cell', 'coins']
    for path, name in zip(report.labels, SAMPLES, strict=True):
        labels = tifffile.imread(path)
        assert labels.dtype == np.uint16
        assert labels.shape == load_sample(name).image.shape
    coins = tifffile.imread(report.labels[2])
    numbers = [int(coins[click]) for click in load_sample('coins').clicks]
    assert numbers == list(range(1, 25)), 'object i + 1 belongs to click i'
    with Image.open(report.picture) as picture:
        assert picture.mode == 'RGB'
        assert picture.width > 3 * 420
        pixels = np.asarray(picture)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


def test_labels_of_the_stack_lie_in_its_plane(tmp_path: Path) -> None:
    sample = load_sample('nuclei')
    assert sample.truth is not None
    plane = sample.truth[sample.index]
    segmenter = KnowingSegmenter(plane)
    report = run_headless(segmenter, tmp_path, ['nuclei'])
    (result,) = report.segmented
    assert result.overlap == pytest.approx(1.0, abs=1e-6)
    assert result.count == len(sample.clicks)
    assert 'mean score 0.80, mean IoU with the truth 1.00' in describe(result)
    with tifffile.TiffFile(report.labels[0]) as file:
        assert file.is_imagej
        assert file.series[0].axes == 'ZYX'
        metadata = file.imagej_metadata or {}
        volume = file.asarray()
    assert metadata['unit'] == 'um'
    assert metadata['spacing'] == pytest.approx(sample.voxel_size[0])
    (middle,) = sample.index
    occupied = np.flatnonzero(volume.any(axis=(1, 2)))
    assert occupied.tolist() == [middle]
    for number, (row, column) in enumerate(sample.clicks, start=1):
        meant = plane == plane[round(row), round(column)]
        np.testing.assert_array_equal(volume[middle] == number, meant)


def test_resolution_of_a_plane(tmp_path: Path) -> None:
    write_labels(tmp_path / 'a.tif', np.ones((8, 9), np.uint16), (0.5, 0.25))
    with tifffile.TiffFile(tmp_path / 'a.tif') as file:
        assert file.series[0].axes == 'YX'
        tags = file.pages[0].tags
        assert np.divide(*tags['XResolution'].value) == pytest.approx(4)
        assert np.divide(*tags['YResolution'].value) == pytest.approx(2)


def test_nothing_is_written_for_an_unknown_sample(tmp_path: Path) -> None:
    with pytest.raises(UnknownSampleError):
        run_headless(FakeSegmenter(), tmp_path / 'new', ['coins', 'dime'])
    assert not (tmp_path / 'new').exists()


def test_overlay_draws_contour_and_tint_on_the_object_alone() -> None:
    picture = np.full((60, 60, 3), 100, dtype=np.uint8)
    labels = np.zeros((60, 60), dtype=np.uint16)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    drawn = overlay(picture, labels)
    assert (drawn[labels == 0] == 100).all()
    contour, inside = drawn[10, 15], drawn[20, 20]
    assert contour.max() == 255
    assert not np.array_equal(contour, inside)
    assert not np.array_equal(inside, picture[20, 20])
    assert not np.array_equal(drawn[20, 20], drawn[20, 40]), 'neighbours look alike'


def test_picture_shows_image_prompts_and_masks() -> None:
    result = segment(Annotator(FakeSegmenter()), load_sample('cell'))
    sheet = np.asarray(draw([result])).astype(int)
    height, width = (round(n * 420 / 660) for n in (660, 550))
    panels = [sheet[26 : 26 + height, 12 + k * 432 : 12 + k * 432 + width] for k in range(3)]
    row, column = (round((value + 0.5) * 420 / 660) for value in result.sample.clicks[0])
    differs = [np.abs(panel - panels[0]).sum(axis=2) > 0 for panel in panels]
    assert differs[1][row, column]
    # The second panel differs at the prompt only, the third in the whole object.
    where = np.argwhere(differs[1])
    assert np.abs(where - (row, column)).max() <= 7
    area = np.count_nonzero(result.labels) * (420 / 660) ** 2
    assert np.count_nonzero(differs[2]) == pytest.approx(area, rel=0.1)


def test_headless_needs_neither_napari_nor_qt(tmp_path: Path) -> None:
    code = (
        'import sys\n'
        f'sys.path.insert(0, {str(Path(__file__).parent / "support")!r})\n'
        'from pathlib import Path\n'
        'from fakes import FakeSegmenter\n'
        'from napari_mobilesam.demo import run_headless\n'
        f'run_headless(FakeSegmenter(), Path({str(tmp_path)!r}), ["cell"])\n'
        'heavy = {"napari", "qtpy", "magicgui", "vispy", "torch"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    subprocess.run([sys.executable, '-W', 'error', '-c', code], check=True, timeout=120)
    assert (tmp_path / 'labels.tif').is_file()


@pytest.mark.parametrize(
    ('environment', 'platform', 'expected'),
    [
        ({}, 'win32', True),
        ({}, 'darwin', True),
        ({}, 'linux', False),
        ({'DISPLAY': ''}, 'linux', False),
        ({'WAYLAND_DISPLAY': 'wayland-0'}, 'linux', True),
        ({'DISPLAY': 'elsewhere:10.0'}, 'linux', True),
        ({'DISPLAY': 'elsewhere:10.0', 'QT_QPA_PLATFORM': 'offscreen'}, 'linux', False),
        ({'QT_QPA_PLATFORM': 'offscreen'}, 'win32', False),
        ({'QT_QPA_PLATFORM': 'minimal:fontengine=freetype'}, 'darwin', False),
        ({'WAYLAND_DISPLAY': 'wayland-0', 'QT_QPA_PLATFORM': 'wayland'}, 'linux', True),
    ],
)
def test_display(environment: dict[str, str], platform: str, expected: bool) -> None:
    assert has_display(environment, platform) is expected


@pytest.mark.skipif(sys.platform != 'linux', reason='abstract sockets are a thing of Linux')
def test_a_local_display_must_answer() -> None:
    number = 59_241
    environment = {'DISPLAY': f':{number}.0'}
    assert not has_display(environment, 'linux'), 'nobody listens'
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(f'\0/tmp/.X11-unix/X{number}')
        server.listen(1)
        assert has_display(environment, 'linux')


def test_qt_is_looked_for_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert not has_qt()
    monkeypatch.setattr('importlib.util.find_spec', lambda name: name == 'PySide6' or None)
    assert has_qt()

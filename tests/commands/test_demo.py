"""The demo from the command line: files, messages and exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from typer.testing import CliRunner, Result

from napari_mobilesam import cli


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that want a display say so, wherever they run."""
    monkeypatch.setenv('QT_QPA_PLATFORM', 'offscreen')


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Put a model in place that needs no weights; returns the weights asked for."""
    asked: list[str | None] = []

    def segmenter(weights: str | None) -> FakeSegmenter:
        asked.append(weights)
        return FakeSegmenter()

    monkeypatch.setattr('napari_mobilesam.commands.demo.load_segmenter', segmenter)
    return asked


@pytest.fixture
def fake_window(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Pretend that there is a display; returns the windows opened."""
    opened: list[tuple[Any, ...]] = []
    monkeypatch.setattr('napari_mobilesam.demo.has_display', lambda: True)
    monkeypatch.setattr('napari_mobilesam.demo.has_qt', lambda: True)
    monkeypatch.setattr(
        'napari_mobilesam.demo.window.open_demo',
        lambda sample, checkpoint, say: opened.append((sample, checkpoint)),
    )
    return opened


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def test_headless(tmp_path: Path, fake_model: list[str | None]) -> None:
    result = run('demo', '--headless', '--output', str(tmp_path), '--sample', 'coins')
    assert result.exit_code == 0, result.output
    assert 'coins: 24 clicks, 24 objects, mean score 0.90' in result.output
    for name in ('demo.png', 'labels.tif'):
        assert f'Wrote {(tmp_path / name).resolve()}' in result.output
        assert (tmp_path / name).is_file()
    assert tifffile.imread(tmp_path / 'labels.tif').shape == (303, 384)
    assert fake_model == [None]


def test_without_a_display_it_says_so_and_writes_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_model: list[str | None]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run('demo', '--sample', 'cell')
    assert result.exit_code == 0, result.output
    assert 'No window: there is no display' in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ['demo.png', 'labels.tif']


def test_without_qt_it_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_model: list[str | None],
    fake_window: list[tuple[Any, ...]],
) -> None:
    monkeypatch.setattr('napari_mobilesam.demo.has_qt', lambda: False)
    result = run('demo', '--sample', 'cell', '--output', str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "No window: no Qt binding is installed (pip install 'napari-mobilesam[all]'" in (
        result.output
    )
    assert (tmp_path / 'demo.png').is_file()
    assert fake_window == []


def test_a_window_that_cannot_be() -> None:
    result = run('demo', '--window')
    assert result.exit_code == 1
    assert 'Error: there is no display that napari could open a window on.' in result.stderr
    assert 'Use --headless' in result.stderr


def test_window(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_model: list[str | None],
    fake_window: list[tuple[Any, ...]],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run('demo').exit_code == 0
    assert run('demo', '--window', '--sample', 'coins').exit_code == 0
    assert fake_window == [('nuclei', None), ('coins', None)]
    assert list(tmp_path.iterdir()) == []
    assert fake_model == []


def test_window_that_also_writes(
    tmp_path: Path, fake_model: list[str | None], fake_window: list[tuple[Any, ...]]
) -> None:
    result = run('demo', '--output', str(tmp_path), '--sample', 'coins')
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ['demo.png', 'labels.tif']
    assert fake_window == [('coins', None)]


def test_all_samples_do_not_fit_into_a_window(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_model: list[str | None],
    fake_window: list[tuple[Any, ...]],
) -> None:
    result = run('demo', '--window', '--sample', 'all')
    assert result.exit_code == 2
    assert 'a window shows one sample' in result.stderr
    assert run('demo', '--sample', 'all', '--output', str(tmp_path)).exit_code == 0
    assert len(list(tmp_path.glob('labels*.tif'))) == 3
    assert fake_window == []


def test_window_takes_weights(tmp_path: Path, fake_window: list[tuple[Any, ...]]) -> None:
    weights = tmp_path / 'mine.pt'
    weights.write_bytes(b'')
    assert run('demo', '--weights', str(weights)).exit_code == 0
    assert fake_window == [('nuclei', weights)]


def test_no_weights_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr('mobile_sam.checkpoints.search.bundled_path', lambda: None)
    result = run('demo', '--headless', '--output', str(tmp_path / 'out'))
    assert result.exit_code == 1
    assert 'Error: This installation carries no mobilesam-microscopy' in result.stderr
    assert '--weights NAME|PATH' in result.stderr
    assert not (tmp_path / 'out').exists()


def test_no_weights_for_the_window(
    monkeypatch: pytest.MonkeyPatch, fake_window: list[tuple[Any, ...]]
) -> None:
    from mobile_sam.checkpoints import CheckpointNotFoundError

    def refuse(*_: object, **__: object) -> None:
        raise CheckpointNotFoundError('There is none.')

    monkeypatch.setattr('napari_mobilesam.demo.window.open_demo', refuse)
    result = run('demo')
    assert result.exit_code == 1
    assert 'Error: There is none. Or name a checkpoint with --weights NAME|PATH.' in result.stderr


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('missing.pt', None, 'Error: Expected a checkpoint file at'),
        ('broken.pt', b'PK\x03\x04 nothing of the kind', 'Error: '),
    ],
)
def test_bad_weights(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = run('demo', '--headless', '--weights', str(path), '--output', str(tmp_path / 'out'))
    assert result.exit_code == 1
    assert message in result.stderr
    assert name in result.stderr
    assert 'Traceback' not in result.output
    assert not (tmp_path / 'out').exists()


def test_name_that_would_need_the_network(tmp_path: Path) -> None:
    # Offline by the tests' environment.
    result = run('demo', '--headless', '--weights', 'vit_b', '--output', str(tmp_path))
    assert result.exit_code == 1
    assert 'Error: ' in result.stderr
    assert 'vit_b' in result.stderr


def test_a_notice_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_window: list[tuple[Any, ...]]
) -> None:
    from mobile_sam.checkpoints import Found

    found = Found(tmp_path / 'a.pt', None, 'This is another one.')
    monkeypatch.setattr('mobile_sam.checkpoints.find', lambda *_, **__: found)
    result = run('demo', '--weights', 'mobile_sam')
    assert result.exit_code == 0
    assert 'Note: This is another one.' in result.stderr


def test_folder_that_cannot_be_made(tmp_path: Path, fake_model: list[str | None]) -> None:
    (tmp_path / 'file').write_text('in the way')
    result = run('demo', '--headless', '--output', str(tmp_path / 'file' / 'out'))
    assert result.exit_code == 1
    assert 'Error: cannot write to' in result.stderr
    assert 'Name a folder' in result.stderr


def test_end_to_end_with_a_real_model(tmp_path: Path) -> None:
    torch = pytest.importorskip('torch')
    from mobile_sam import sam_model_registry
    from mobile_sam.checkpoints import save_checkpoint

    torch.manual_seed(0)
    weights = save_checkpoint(sam_model_registry['vit_t'](), tmp_path / 'random.pt')
    result = run(
        'demo', '--headless', '--weights', str(weights), '-o', str(tmp_path), '--sample', 'cell'
    )
    assert result.exit_code == 0, result.output
    assert 'Model: random.pt on ' in result.output
    assert 'cell: 1 click, ' in result.output
    labels = tifffile.imread(tmp_path / 'labels.tif')
    assert labels.shape == (660, 550)
    assert labels.dtype == np.uint16

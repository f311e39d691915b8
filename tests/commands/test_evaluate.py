"""Evaluation from the command line, with stand-ins for the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contestants import Knowing
from PIL import Image
from typer.testing import CliRunner, Result

from napari_mobilesam import cli
from napari_mobilesam.commands import evaluate
from napari_mobilesam.commands.evaluate import short_names


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give six images of two modalities, each its own group."""
    for modality in ('em', 'fluorescence'):
        folder = tmp_path / 'data' / modality
        folder.mkdir(parents=True)
        for i in range(3):
            labels = np.zeros((40, 48), np.uint16)
            labels[4:16, 4 + i : 18], labels[20:36, 24:44] = 1, 2
            Image.fromarray((labels * 90).astype(np.uint8)).save(folder / f'{i}_image.png')
            Image.fromarray(labels).save(folder / f'{i}_label.png')
    return tmp_path / 'data'


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Give two files that stand for checkpoints."""
    files = [tmp_path / name / 'state.pt' for name in ('first', 'second')]
    for file in files:
        file.parent.mkdir()
        file.touch()

    def load(file: Path, name: str, device: str) -> Knowing:
        made = Knowing()
        made.name = name
        return made

    monkeypatch.setattr(evaluate, '_load', load)
    return files


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli.app, ['evaluate', *map(str, arguments)])


def test_tables_on_stdout_and_numbers_in_json(data: Path, models: list[Path], tmp_path: Path):
    result = run(
        '--data', data, '--split', 'all', '--images', 2, '--corrections', 1, '--baselines',
        '--agreement', models[0], '--json', tmp_path / 'out.json', '--weights', *models,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    shown = result.stdout
    assert shown.startswith('### first/state.pt\n\n| modality |')
    for title in (
        'second/state.pt', 'Otsu + watershed', 'random walker', 'Comparison',
        'Agreement with state.pt',
    ):  # fmt: skip
        assert f'### {title}\n' in shown
    assert '| macro | 4 | 8 | 1.000 | 1.000 | 1.000 | 1.000 |' in shown
    content = json.loads((tmp_path / 'out.json').read_text())
    assert [report['name'] for report in content['reports']] == [
        'first/state.pt', 'second/state.pt', 'Otsu + watershed', 'random walker',
    ]  # fmt: skip
    assert len(content['planes']) == 4
    assert [one['iou'][0] for one in content['agreement']] == [1, 1]
    again = run('--data', data, '--split', 'all', '--images', 2, '--json', tmp_path / 'b.json',
                '--corrections', 1, '--weights', models[0])  # fmt: skip
    assert again.exit_code == 0
    one = json.loads((tmp_path / 'b.json').read_text())['reports'][0]
    assert one['modalities'] == content['reports'][0]['modalities']
    assert 'Comparison' not in again.stdout


def test_modalities_and_splits(data: Path, models: list[Path]):
    result = run('--data', data, '--split', 'all', '--modalities', 'em', '--weights', models[0])
    assert result.exit_code == 0, result.output
    assert '| em | 3 | 6 |' in result.stdout
    assert 'fluorescence' not in result.stdout
    held = run('--data', data, '--weights', models[0])
    train = run('--data', data, '--split', 'train', '--weights', models[0])
    # Every fifth group of three is one.
    assert '| em | 1 | 2 |' in held.stdout
    assert '| em | 2 | 4 |' in train.stdout


@pytest.mark.parametrize(
    ('arguments', 'code', 'words'),
    [
        (['--modalities', 'x'], 2, 'expected some of em, fluorescence'),
        (['--split', 'x'], 2, 'split'),
        (['--corrections', '-1'], 2, 'corrections'),
        (['--weights', 'missing.pt'], 1, 'missing.pt'),
        (['--device', 'abacus'], 1, 'abacus'),
    ],
)
def test_wrong_usage(
    data: Path, models: list[Path], arguments: list[str], code: int, words: str
) -> None:
    result = run('--data', data, *arguments)
    assert result.exit_code == code, result.output
    assert words in ' '.join(result.stderr.split())
    assert 'Traceback' not in result.output


def test_a_folder_without_labels(tmp_path: Path, models: list[Path]):
    (tmp_path / 'empty').mkdir()
    result = run('--data', tmp_path / 'empty', '--weights', models[0])
    assert result.exit_code == 1
    assert 'manifest.json' in result.stderr


def test_nothing_may_stand_in_for_a_name(data: Path):
    # Offline by the tests' environment: the bundled one would stand in.
    result = run('--data', data, '--weights', 'mobile_sam')
    assert result.exit_code == 1
    assert 'not mobile_sam' in result.stderr


def test_files_are_called_by_as_little_as_it_takes():
    paths = [Path('/a/x/w.pt'), Path('/a/y/w.pt'), Path('/b/bundled.pt')]
    assert short_names(['/a/x/w.pt', '/a/y/w.pt', None], paths) == [
        'x/w.pt', 'y/w.pt', 'mobilesam-microscopy',
    ]  # fmt: skip
    assert short_names(['/a/x/w.pt'], paths[:1]) == ['w.pt']
    assert short_names(['w.pt', 'w.pt'], [paths[0]] * 2) == ['w.pt', 'w.pt']

"""Training from the command line: what it is told reaches the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mobile_sam.training import TrainConfig
from napari_mobilesam import cli


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """Replace the training by one step; returns the settings it was given."""
    given: list[TrainConfig] = []

    def train(config: TrainConfig, on_step: Any) -> Path:
        given.append(config)
        on_step(SimpleNamespace(step=1, progress=0.5), {'loss': 0.25})
        return config.out / 'weights.pt'

    monkeypatch.setattr('mobile_sam.training.loop.train', train)
    return given


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli.app, ['train', *map(str, arguments)])


def test_options_are_the_fields_of_the_config(tmp_path: Path, runs: list[TrainConfig]):
    init = tmp_path / 'init.pt'
    init.touch()
    result = run(
        '--data', tmp_path, '--out', tmp_path / 'run', '--steps', 3, '--crop-sizes', '64,96',
        '--crop-weights', '1 2', '--no-augment', '--modalities', 'em', '--init', init, '--amp',
        '--corrections', '0.5,0.5', '--lr', '1e-4',
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == f'{tmp_path / "run" / "weights.pt"}\n'
    assert runs == [
        TrainConfig(
            data=tmp_path, out=tmp_path / 'run', steps=3, crop_sizes=(64, 96),
            crop_weights=(1.0, 2.0), augment=False, modalities=('em',), init=init, amp=True,
            corrections=(0.5, 0.5), lr=1e-4,
        )
    ]  # fmt: skip


def test_defaults_are_those_of_the_config(tmp_path: Path, runs: list[TrainConfig]):
    assert run('--data', tmp_path, '--out', tmp_path, '--minutes', 2).exit_code == 0
    assert runs == [TrainConfig(data=tmp_path, out=tmp_path, minutes=2)]


def test_a_teacher_may_be_named(tmp_path: Path, runs: list[TrainConfig]):
    result = run(
        '--data', tmp_path, '--out', tmp_path, '--steps', 1, '--phase', 'distill',
        '--teacher', 'mobilesam-microscopy',
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert runs[0].teacher is not None
    assert runs[0].teacher.name == 'mobilesam-microscopy.pt'


@pytest.mark.parametrize(
    ('arguments', 'code', 'words'),
    [
        ([], 2, 'minutes'),
        (['--steps', '1', '--phase', 'x'], 2, 'crops, frames, distill'),
        (['--steps', '1', '--phase', 'distill'], 2, 'needs a teacher'),
        (['--steps', '1', '--crop-sizes', '64,x'], 2, "'x'"),
        (['--steps', '1', '--init', 'missing.pt'], 1, 'missing.pt'),
        (['--steps', '1', '--nonsense', '1'], 2, 'nonsense'),
    ],
)
def test_wrong_usage(
    tmp_path: Path, runs: list[TrainConfig], arguments: list[str], code: int, words: str
) -> None:
    result = run('--data', tmp_path, '--out', tmp_path / 'run', *arguments)
    assert result.exit_code == code, result.output
    assert words in ' '.join(result.stderr.replace('│', ' ').split())
    assert runs == []
    assert not (tmp_path / 'run').exists()


def test_a_folder_without_data_is_told(tmp_path: Path):
    result = run('--data', tmp_path, '--out', tmp_path / 'run', '--steps', 1)
    assert result.exit_code == 1
    assert 'manifest.json' in result.stderr
    assert 'Traceback' not in result.output

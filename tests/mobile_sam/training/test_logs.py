from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest

from mobile_sam.training.logs import BOARD_NAME, CSV_NAME, Logs


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for TensorBoard; returns what it was told."""
    told: list[Any] = []

    class SummaryWriter:
        def __init__(self, folder: Path, purge_step: int | None = None) -> None:
            told.append((folder.name, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def flush(self) -> None:
            pass

        def close(self) -> None:
            told.append('closed')

    module = type(sys)('torch.utils.tensorboard')
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', module)
    return told


def test_numbers_go_to_both_logs(tmp_path: Path, board: list[Any]):
    logs = Logs(tmp_path, step=0)
    logs.add({'step': 20, 'loss': 0.5, 'aux': float('nan')})
    logs.close()
    assert board == [(BOARD_NAME, None), ('train/loss', 0.5, 20), 'closed']
    (row,) = csv.DictReader((tmp_path / CSV_NAME).read_text().splitlines())
    assert (row['step'], row['loss'], row['aux']) == ('20', '0.5', 'nan')


def test_a_resumed_run_drops_what_came_after(tmp_path: Path, board: list[Any]):
    logs = Logs(tmp_path, step=0)
    for step in (20, 40):
        logs.add({'step': step, 'loss': 1.0})
    Logs(tmp_path, step=30)
    assert board[-1] == (BOARD_NAME, 30)
    rows = list(csv.DictReader((tmp_path / CSV_NAME).read_text().splitlines()))
    assert [row['step'] for row in rows] == ['20']


def test_without_tensorboard_there_is_the_csv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    logs = Logs(tmp_path, step=0)
    logs.add({'step': 1, 'loss': 1.0})
    logs.close()
    assert [path.name for path in tmp_path.iterdir()] == [CSV_NAME]

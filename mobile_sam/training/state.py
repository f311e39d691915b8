"""Saving a run so that a kill at any moment loses at most the last minutes."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COLUMNS = (
    'step', 'minutes', 'lr', 'loss', 'mask', 'score', 'aux',
    'iou_click', 'iou_box', 'iou_last', 'grad',
)  # fmt: skip


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """Write a file so that it is, at any moment, either the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix('.part')
    with part.open('wb') as stream:
        torch.save(dict(content), stream)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Read a run's state; only tensors and plain values are accepted."""
    content: dict[str, Any] = torch.load(path, map_location='cpu', weights_only=True)
    return content


class CsvLog:
    """A CSV file of numbers per step, cut back to the step a run resumes from."""

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        rows: list[list[str]] = []
        if step and path.is_file():
            with path.open(newline='', encoding='utf-8') as stream:
                rows = [row for row in list(csv.reader(stream))[1:] if int(row[0]) <= step]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open('w', newline='', encoding='utf-8') as stream:
            csv.writer(stream).writerows([list(COLUMNS), *rows])

    def add(self, values: Mapping[str, float]) -> None:
        """Append a row; unknown columns stay empty."""
        with self.path.open('a', newline='', encoding='utf-8') as stream:
            csv.writer(stream).writerow([_short(values[c]) if c in values else '' for c in COLUMNS])


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f'{value:.6g}'

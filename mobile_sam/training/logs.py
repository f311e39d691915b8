"""Where the numbers of a run go: a CSV file, and TensorBoard where it is installed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .state import CsvLog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CSV_NAME = 'log.csv'
BOARD_NAME = 'tensorboard'


class Logs:
    """All logs of a run; a resumed run goes on in the same ones.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        Where the run begins; later entries are from an interrupted run, and are dropped.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        self._csv = CsvLog(folder / CSV_NAME, step=step)
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(folder / BOARD_NAME, purge_step=step or None)

    def add(self, values: Mapping[str, float]) -> None:
        """Write the numbers of a step, which is one of them."""
        self._csv.add(values)
        if self._board is not None:
            for name, value in values.items():
                if name != 'step' and math.isfinite(value):
                    self._board.add_scalar(f'train/{name}', value, values['step'])
            self._board.flush()

    def close(self) -> None:
        """Close what is open."""
        if self._board is not None:
            self._board.close()

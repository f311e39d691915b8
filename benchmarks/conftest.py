"""What benchmarks get: ratios taken in turns, one table at the end, and a CSV file for history.

tox run -e bench                 the table
tox run -e bench -- -k encoder   some rows of it
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from measuring import Row, Turn, Turns, append_history, ratio_row, table, value_row

# Before anything imports torch: waiting threads that spin slow each other down on a busy machine.
os.environ.setdefault('OMP_NUM_THREADS', '2')
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

ROOT = Path(__file__).resolve().parents[1]
ROWS = pytest.StashKey[list[Row]]()


class Compare(Protocol):
    """Measures a fast form against a plain one, once in a test, and adds the ratio to the table."""

    def __call__(
        self,
        what: str,
        plain: Callable[[], Any],
        fast: Callable[[], Any],
        *,
        rounds: int = 7,
        floor: float | None = None,
        aim: float | None = None,
    ) -> Row:
        """Measure; fail if even the better quartile lies below the floor."""


class Ratio(Protocol):
    """Adds a ratio of turns that the caller took to the table."""

    def __call__(
        self,
        what: str,
        turns: list[Turn],
        *,
        floor: float | None = None,
        aim: float | None = None,
    ) -> Row:
        """Add; fail if even the better quartile misses the floor."""


class Note(Protocol):
    """Adds a number to the table of which less is better: seconds, MiB, a share of the plain."""

    def __call__(
        self,
        what: str,
        values: list[float],
        unit: str,
        *,
        floor: float | None = None,
        aim: float | None = None,
    ) -> Row:
        """Add; fail if even the better quartile misses the floor."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--history',
        type=Path,
        default=ROOT / '.benchmarks' / 'history.csv',
        help='CSV file that every row is added to',
    )
    parser.addoption(
        '--grid',
        type=int,
        default=32,
        help='points per side for everything mode; with 32 a turn of it takes minutes',
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


@pytest.fixture
def compare(benchmark: Any, pytestconfig: pytest.Config) -> Compare:
    """Measure two forms in turns: ``compare(what, plain, fast, floor=1.8, aim=2.6)``."""

    def compare(
        what: str,
        plain: Callable[[], Any],
        fast: Callable[[], Any],
        *,
        rounds: int = 7,
        floor: float | None = None,
        aim: float | None = None,
    ) -> Row:
        turns = Turns(plain, fast)
        benchmark.pedantic(turns.end, setup=turns.begin, rounds=rounds, warmup_rounds=1)
        # The first turn was the warm-up: it allocates, and picks kernels.
        row = ratio_row(what, turns.taken[1:], floor=floor, aim=aim)
        benchmark.extra_info['plain over fast'] = row.value
        return _add(pytestconfig, row)

    return compare


@pytest.fixture
def ratio(pytestconfig: pytest.Config) -> Ratio:
    """Put turns into the table where three forms take turns, or what they give is wanted too."""

    def ratio(
        what: str,
        turns: list[Turn],
        *,
        floor: float | None = None,
        aim: float | None = None,
    ) -> Row:
        return _add(pytestconfig, ratio_row(what, turns, floor=floor, aim=aim))

    return ratio


@pytest.fixture
def note(pytestconfig: pytest.Config) -> Note:
    """Put a number into the table: ``note('window opens', seconds, 's', floor=2.5, aim=1.5)``."""

    def note(
        what: str,
        values: list[float],
        unit: str,
        *,
        floor: float | None = None,
        aim: float | None = None,
    ) -> Row:
        return _add(pytestconfig, value_row(what, values, unit, floor=floor, aim=aim))

    return note


def _add(config: pytest.Config, row: Row) -> Row:
    config.stash[ROWS].append(row)
    assert not row.fails, f'{row.what}: {row.value:.3g} {row.unit}, the floor is {row.floor}'
    return row


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash[ROWS]
    if not rows:
        return
    from importlib.metadata import version

    import torch

    threads = torch.get_num_threads()
    terminalreporter.section(f'plain ÷ fast, {threads} threads, float32')
    for line in table(rows):
        terminalreporter.write_line(line)
    history = config.getoption('history')
    append_history(history, rows, version('napari-mobilesam'), threads)
    terminalreporter.write_line(f'added to {history}')

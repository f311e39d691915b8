"""Measuring two forms of the same work against each other, on a machine that is not idle.

A ratio of two times is worth something only if both were taken under the same conditions. So the
two forms take turns within one process, each turn gives one ratio, and what is reported is the
median of those with their quartiles. Besides the time on the wall there is the processor time of
the process, all threads together: it hardly notices what else runs on the machine.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds that one call of each form took, on the wall and of the processors; page faults."""

    plain_wall: float
    plain_cpu: float
    fast_wall: float
    fast_cpu: float
    plain_faults: int = 0
    fast_faults: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Parameters
    ----------
    what : str
        What was measured.
    value, low, high : float
        Median and quartiles.
    unit : str
        ``'×'`` for a ratio, plain over fast: more is better. Less is better for any other unit.
    floor, aim : float or None
        What must be, and what should be reached, in the same unit.
    plain, fast : float or None
        Median seconds on the wall of the two forms of a ratio.
    cpu : float or None
        Median ratio of processor times.
    plain_faults, fast_faults : int or None
        Median pages of memory that the system had to supply to the two forms of a ratio. What one
        costs differs from day to day, so that ratios of rows with many of them differ too.
    """

    what: str
    value: float
    low: float
    high: float
    unit: str = '×'
    floor: float | None = None
    aim: float | None = None
    plain: float | None = None
    fast: float | None = None
    cpu: float | None = None
    plain_faults: int | None = None
    fast_faults: int | None = None

    @property
    def verdict(self) -> str:
        """How the median stands to floor and aim; empty where there is neither."""
        sign = 1 if self.unit == '×' else -1
        for name in ('aim', 'floor'):
            bound = getattr(self, name)
            if bound is not None and sign * self.value >= sign * bound:
                return name
        return '' if self.floor is None else 'below floor'

    @property
    def fails(self) -> bool:
        """Whether even the better quartile misses the floor."""
        if self.floor is None:
            return False
        return self.high < self.floor if self.unit == '×' else self.low > self.floor


class Turns:
    """Two forms that take turns, and the seconds that each turn took.

    Parameters
    ----------
    plain, fast : callable
        The same work in two forms.
    """

    def __init__(self, plain: Callable[[], Any], fast: Callable[[], Any]) -> None:
        self._plain, self._fast = plain, fast
        self._first, self._faults = (0.0, 0.0), 0
        self.taken: list[Turn] = []

    def begin(self) -> None:
        """Run the plain form."""
        before = page_faults()
        self._first = timed(self._plain)
        self._faults = page_faults() - before

    def end(self) -> None:
        """Run the fast form, right after."""
        before = page_faults()
        fast = timed(self._fast)
        self.taken.append(Turn(*self._first, *fast, self._faults, page_faults() - before))


def ratio_row(what: str, turns: Sequence[Turn], **bounds: float | None) -> Row:
    """Sum up turns as the ratio plain over fast."""
    low, value, high = np.quantile([t.plain_wall / t.fast_wall for t in turns], (0.25, 0.5, 0.75))
    return Row(
        what,
        float(value),
        float(low),
        float(high),
        plain=float(np.median([t.plain_wall for t in turns])),
        fast=float(np.median([t.fast_wall for t in turns])),
        cpu=float(np.median([t.plain_cpu / max(t.fast_cpu, 1e-9) for t in turns])),
        plain_faults=round(np.median([t.plain_faults for t in turns])),
        fast_faults=round(np.median([t.fast_faults for t in turns])),
        **bounds,
    )


def value_row(what: str, values: Sequence[float], unit: str, **bounds: float | None) -> Row:
    """Sum up repeated measurements of one number."""
    low, value, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Row(what, float(value), float(low), float(high), unit, **bounds)


def in_own_process(code: str, **environment: str) -> Any:
    """Run code in a Python of its own; what it prints last is JSON, and is given back.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    result = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f'the measured process failed:\n{result.stderr}')
    return json.loads(result.stdout.splitlines()[-1])


def peak_above_idle(prepare: str, work: str) -> float:
    """Give the MiB by which the peak memory of a new process grows while `work` is done.

    `prepare` is run before, and is not counted. Linux only, as the peak has to be reset in between.
    """
    code = f"""
def status(field):
    with open('/proc/self/status') as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

{prepare}
with open('/proc/self/clear_refs', 'w') as stream:
    stream.write('5')  # the peak is now what is in use
idle = status('VmRSS')
{work}
import json
print(json.dumps(status('VmHWM') - idle))
"""
    return float(in_own_process(code))


def table(rows: Iterable[Row]) -> list[str]:
    """Set rows as lines of text, columns aligned."""
    head = ('what', 'median', 'quartiles', 'cpu', 'plain', 'fast', 'faults', 'floor', 'aim', '')
    lines = [head]
    for row in rows:
        plain, fast = _seconds(row.plain), _seconds(row.fast)
        spread = f'{_number(row.low)} – {_number(row.high)}'
        cpu, floor, aim = (_number(value) for value in (row.cpu, row.floor, row.aim))
        median = f'{_number(row.value)} {row.unit}'
        faults = '' if row.plain_faults is None else f'{row.plain_faults} / {row.fast_faults}'
        lines.append((row.what, median, spread, cpu, plain, fast, faults, floor, aim, row.verdict))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return [
        '  '.join(
            cell.ljust(width) if i in (0, len(head) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def append_history(path: Path, rows: Sequence[Row], version: str, threads: int) -> None:
    """Add rows to a CSV file, one line each, with when and where they were measured."""
    about = {
        'when': datetime.now(UTC).isoformat(timespec='seconds'),
        'version': version,
        'machine': f'{platform.machine()} {_processor()}',
        'threads': threads,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open('a', newline='', encoding='utf-8') as stream:
        writer = csv.DictWriter(stream, [*about, *(field.name for field in fields(Row))])
        if new:
            writer.writeheader()
        for row in rows:
            numbers = {
                name: round(value, 5) if isinstance(value, float) else value
                for name, value in asdict(row).items()
            }
            writer.writerow({**about, **numbers})


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Give the seconds that a call takes, on the wall and of the processors."""
    wall, cpu = perf_counter(), process_time()
    call()
    return perf_counter() - wall, process_time() - cpu


def page_faults() -> int:
    """Count the pages that the system has supplied to this process so far; 0 where unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _processor() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as lines:
            return next(line.split(':')[1].strip() for line in lines if line.startswith('model n'))
    except (OSError, StopIteration):
        return platform.processor()


def _number(value: float | None) -> str:
    if value is None:
        return ''
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def _seconds(value: float | None) -> str:
    if value is None:
        return ''
    return f'{value * 1000:.3g} ms' if value < 1 else f'{value:.3g} s'

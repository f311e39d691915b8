"""What the benchmarks' table is computed with."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from measuring import (
    Row,
    Turn,
    Turns,
    append_history,
    in_own_process,
    peak_above_idle,
    ratio_row,
    table,
    value_row,
)


def test_forms_take_turns() -> None:
    calls: list[str] = []
    turns = Turns(lambda: (calls.append('plain'), sleep(0.002)), lambda: calls.append('fast'))
    for _ in range(3):
        turns.begin()
        turns.end()
    assert calls == ['plain', 'fast'] * 3
    assert len(turns.taken) == 3
    assert all(turn.plain_wall >= 0.002 > turn.fast_wall for turn in turns.taken)


def test_pages_that_a_form_makes_the_system_supply_are_counted() -> None:
    pages = 10_000
    turns = Turns(lambda: np.ones(4096 * pages, np.uint8), lambda: None)
    turns.begin()
    turns.end()
    (turn,) = turns.taken
    assert turn.fast_faults < turn.plain_faults
    if sys.platform == 'linux':
        assert turn.plain_faults > 10  # of huge pages, where the system gives such
    row = ratio_row('it', [turn])
    assert f'{row.plain_faults} / {row.fast_faults}' in table([row])[1]


def test_a_ratio_is_the_median_of_the_turns_ratios() -> None:
    turns = [Turn(wall, 2, 1, 1) for wall in (2.0, 3.0, 4.0, 5.0, 99.0)]
    row = ratio_row('it', turns, floor=3, aim=5)
    assert (row.value, row.low, row.high, row.cpu) == (4, 3, 5, 2)
    assert (row.plain, row.fast) == (4, 1)


@pytest.mark.parametrize(
    ('unit', 'value', 'verdict', 'fails'),
    [
        ('×', 2.7, 'aim', False),
        ('×', 2.0, 'floor', False),
        ('×', 1.75, 'below floor', False),  # within the spread
        ('×', 1.0, 'below floor', True),
        ('s', 1.0, 'aim', False),
        ('s', 2.0, 'floor', False),
        ('s', 9.0, 'below floor', True),
    ],
)
def test_verdicts(unit: str, value: float, verdict: str, fails: bool) -> None:
    floor, aim = (1.8, 2.6) if unit == '×' else (2.5, 1.5)
    row = Row('it', value, value - 0.1, value + 0.1, unit, floor, aim)
    assert (row.verdict, row.fails) == (verdict, fails)


def test_table_and_history(tmp_path: Path) -> None:
    rows = [
        ratio_row('encoder', [Turn(2.6, 2.6, 1, 1)], floor=1.8, aim=2.6),
        value_row('window opens', [1.2, 1.3], 's'),
    ]
    head, first, second = table(rows)
    assert head.split()[:2] == ['what', 'median']
    assert 'encoder' in first
    assert '2.6 ×' in first
    assert first.endswith('aim')
    assert '1.25 s' in second
    path = tmp_path / 'deep' / 'history.csv'
    append_history(path, rows, '1.0', 2)
    append_history(path, rows, '1.1', 2)
    with path.open(newline='', encoding='utf-8') as stream:
        lines = list(csv.DictReader(stream))
    assert [line['version'] for line in lines] == ['1.0', '1.0', '1.1', '1.1']
    assert float(lines[0]['value']) == 2.6
    assert lines[1]['plain'] == ''


def test_own_processes() -> None:
    assert in_own_process('print("noise"); print([1, 2])') == [1, 2]
    with pytest.raises(RuntimeError, match='no such thing'):
        in_own_process('raise ValueError("no such thing")')


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_peak_above_idle() -> None:
    peak = peak_above_idle('kept = b"x" * (64 << 20)', 'a = b"x" * (32 << 20); del a')
    assert peak == pytest.approx(32, abs=4)

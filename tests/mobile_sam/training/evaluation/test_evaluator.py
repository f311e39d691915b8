from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from contestants import Knowing

from mobile_sam.training.data import read_items
from mobile_sam.training.evaluation import (
    Evaluator,
    comparison,
    plain,
    table,
    write_report,
)


def eaten(mask: np.ndarray) -> np.ndarray:
    """A disc without its left half and a bit."""
    cut = mask.copy()
    cut[:, : int(np.nonzero(mask)[1].mean())] = False
    return cut


def test_a_perfect_contestant_scores_one_everywhere(folder: Path):
    items = read_items(folder)
    seen = []
    report = Evaluator(items, images=2, corrections=2, everything=1)(Knowing(), seen.append)
    assert len(seen) == 4
    assert set(report.modalities) == {'fluorescence', 'em'}
    macro = report.macro
    assert (macro.images, macro.objects) == (4, 16)
    assert macro.click == macro.box == macro.oracle == 1
    assert macro.corrected == (1, 1)
    assert macro.calibration == 0.25
    assert macro.bias == -0.25
    assert (macro.to90.clicks, macro.to90.failed) == (1, 0)
    assert macro.everything is not None
    assert (macro.everything.images, macro.everything.ap50, macro.everything.msa) == (2, 1, 1)


def test_a_half_blind_contestant_needs_a_second_click(folder: Path):
    report = Evaluator(read_items(folder), images=1, corrections=1)(Knowing(eaten))
    macro = report.macro
    assert 0.4 < macro.click < 0.7
    assert macro.oracle == 1
    assert (macro.to80.clicks, macro.to80.failed) == (2, 0)
    assert macro.everything is None
    never = Evaluator(read_items(folder), images=1, corrections=0)(Knowing(eaten)).macro
    # Nobody got there with one click: all count as two.
    assert (never.to80.clicks, never.to80.failed) == (2, 1)


def test_chunks_change_nothing(folder: Path):
    items = read_items(folder)
    whole, parts = (
        Evaluator(items, corrections=1, chunk=chunk)(Knowing(eaten)) for chunk in (100, 1)
    )
    assert whole.modalities == parts.modalities


def test_tables_and_json(folder: Path, tmp_path: Path):
    evaluator = Evaluator(read_items(folder), images=1, corrections=1)
    reports = [
        evaluator(Knowing()),
        Evaluator(read_items(folder), images=1, corrections=1, everything=1)(Knowing(eaten)),
    ]
    lines = table(reports[0], 'cpu, 3 threads').splitlines()
    assert lines[0] == (
        '| modality | images | objects | 1 click | best of 3 | box | +1 click '
        '| clicks to 0.8 | clicks to 0.9 | calibration |'
    )
    assert lines[4] == (
        '| macro | 2 | 8 | 1.000 | 1.000 | 1.000 | 1.000 | 1.0 (0% failed) | 1.0 (0% failed) '
        '| 0.250 |'
    )
    assert lines[-1].endswith('s per click (cpu, 3 threads)')
    assert 'AP@0.5 | mSA |' in table(reports[1])
    rows = comparison(reports).splitlines()
    assert rows[0].startswith('| macro | 1 click')
    assert len(rows) == 4
    assert rows[2].count('|') == rows[0].count('|')
    assert '| – | – |' in rows[2]
    assert comparison(reports, modality='em').splitlines()[0].startswith('| em |')
    write_report(reports[0], tmp_path / 'report.json')
    content = json.loads((tmp_path / 'report.json').read_text())
    assert content['macro']['images'] == 2
    assert content['about'] == {'made': 'up'}


def test_what_is_not_known_is_null_in_json(folder: Path):
    class Modest(Knowing):
        def answer(self, asked, memory=None):
            reply = super().answer(asked, memory)
            reply.scores[:] = np.nan
            return reply

    report = Evaluator(read_items(folder), images=1, corrections=0)(Modest())
    assert plain(report)['macro']['calibration'] is None
    assert '| – |' in table(report)


def test_nothing_to_evaluate_on(folder: Path):
    with pytest.raises(ValueError, match='no object'):
        Evaluator([])(Knowing())

"""Reports as Markdown tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .agreement import Agreement
    from .report import Effort, Report, Scores

NOTHING = '–'


def table(report: Report, where: str | None = None) -> str:
    """Format a report as a Markdown table, one modality a row, and the times below it.

    Parameters
    ----------
    report : Report
    where : str, optional
        What the times were measured on.
    """
    heads = ['modality', 'images', 'objects', *_heads([report])]
    rows = [
        [name, str(part.images), str(part.objects), *_cells(part, [report])]
        for name, part in [*report.modalities.items(), ('macro', report.macro)]
    ]
    times = [
        f'{report.seconds_per_image:.2f} s per image',
        f'{report.seconds_per_click:.3f} s per click',
    ]
    if report.macro.everything is not None:
        times.append(f'{report.macro.everything.seconds:.1f} s per image segmented whole')
    below = ', '.join(times) + (f' ({where})' if where else '')
    return '\n'.join([*_lines(heads, rows), '', below])


def comparison(reports: Sequence[Report], *, modality: str | None = None) -> str:
    """Format several reports as a Markdown table, one contestant a row.

    Parameters
    ----------
    reports : sequence of Report
    modality : str, optional
        Compare on it; by default the macro means are compared.
    """
    rows = []
    for report in reports:
        part = report.macro if modality is None else report.modalities[modality]
        times = [f'{report.seconds_per_image:.2f}', f'{report.seconds_per_click:.3f}']
        rows.append([report.name, *_cells(part, reports), *times])
    heads = [modality or 'macro', *_heads(reports), 's per image', 's per click']
    return '\n'.join(_lines(heads, rows))


def agreement_table(found: Sequence[Agreement]) -> str:
    """Format agreements with one teacher as a Markdown table, one student a row."""
    heads = ['mIoU', *(f'{distance} px' for distance in found[0].distances)]
    rows = [[one.name, *(_number(value) for value in one.iou)] for one in found]
    counts = ['pairs', *(str(count) for count in found[0].pairs)]
    return '\n'.join(_lines(heads, [*rows, counts]))


def _heads(reports: Sequence[Report]) -> list[str]:
    turns = max(len(report.macro.corrected) for report in reports)
    heads = ['1 click', 'best of 3', 'box', *(f'+{i + 1} click' for i in range(turns))]
    heads += ['clicks to 0.8', 'clicks to 0.9', 'calibration']
    if any(report.macro.everything for report in reports):
        heads += ['AP@0.5', 'mSA']
    return heads


def _cells(part: Scores, reports: Sequence[Report]) -> list[str]:
    cells = [_number(v) for v in (part.click, part.oracle, part.box, *part.corrected)]
    cells += [_effort(part.to80), _effort(part.to90), _number(part.calibration)]
    if any(report.macro.everything for report in reports):
        every = part.everything
        cells += [NOTHING] * 2 if every is None else [_number(every.ap50), _number(every.msa)]
    return cells


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f'{value:.3f}'


def _effort(effort: Effort) -> str:
    return f'{effort.clicks:.1f} ({effort.failed:.0%} failed)'


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ['---'] * len(heads), *rows]
    return ['| ' + ' | '.join(cells) + ' |' for cells in lines]

"""What an evaluation found out, as values and as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .metrics import clicks_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .agreement import Agreement
    from .robot import Played


@dataclass(frozen=True, slots=True)
class Effort:
    """Clicks to an IoU.

    Attributes
    ----------
    clicks : float
        Mean number of clicks; an object that never got there counts with one more than tried.
    failed : float
        Share of objects that never got there.
    """

    clicks: float
    failed: float


@dataclass(frozen=True, slots=True)
class Everything:
    """Segmentation without prompts.

    Attributes
    ----------
    images : int
        Planes segmented.
    ap50, msa : float
        Mean over planes of the average precision at IoU 0.5, and of its mean over 0.5 … 0.95.
    seconds : float
        Per plane, the encoder included.
    """

    images: int
    ap50: float
    msa: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Results of one modality, or their plain mean over modalities.

    Attributes
    ----------
    images, objects : int
    click, box : float
        Mean IoU after one click (answer with the best predicted IoU) and after an exact box.
    oracle : float
        Mean IoU of the best of the answers to a click.
    corrected : tuple of float
        Mean IoU after 1, 2, … correction clicks that follow the first click.
    to80, to90 : Effort
        Clicks, the first one included, to an IoU of 0.8 and 0.9.
    calibration, bias : float
        Mean absolute difference of predicted and true IoU after one click, and mean difference
        (positive: it thinks too well of itself). NaN where nothing is predicted.
    everything : Everything, optional
    """

    images: int
    objects: int
    click: float
    oracle: float
    box: float
    corrected: tuple[float, ...]
    to80: Effort
    to90: Effort
    calibration: float
    bias: float
    everything: Everything | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Scores of one contestant.

    Attributes
    ----------
    name : str
    about : dict
        What identifies the contestant (digest, architecture, settings).
    modalities : dict of str to Scores
    macro : Scores
        Plain mean over modalities; images and objects are sums.
    seconds_per_image, seconds_per_click : float
        Median time to take in a plane, and of a single click, answered alone, mask at full size.
    """

    name: str
    about: dict[str, Any]
    modalities: dict[str, Scores]
    macro: Scores
    seconds_per_image: float
    seconds_per_click: float


def scores_of(
    played: Sequence[Played], images: int, everything: Everything | None = None
) -> Scores:
    """Sum up the games of one modality."""

    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in played])

    click, corrected = joined('click'), joined('corrected')
    ious = np.concatenate([click[:, None], corrected], 1)
    error = joined('predicted') - click

    def effort(threshold: float) -> Effort:
        clicks = clicks_until(ious, threshold)
        return Effort(float(clicks.mean()), float((clicks > ious.shape[1]).mean()))

    return Scores(
        images,
        len(click),
        float(click.mean()),
        float(joined('oracle').mean()),
        float(joined('box').mean()),
        tuple(float(v) for v in corrected.mean(0)),
        effort(0.8),
        effort(0.9),
        float(np.abs(error).mean()),
        float(error.mean()),
        everything,
    )


def macro_of(parts: Sequence[Scores]) -> Scores:
    """Return the plain mean over modalities.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not parts:
        raise ValueError('There is no object to evaluate on; check the labels and the split.')

    def mean(*names: str) -> float:
        values: list[Any] = list(parts)
        for name in names:
            values = [getattr(value, name) for value in values if value is not None]
        return float(np.mean(values))

    everything = None
    if any(part.everything for part in parts):
        everything = Everything(
            sum(part.everything.images for part in parts if part.everything),
            mean('everything', 'ap50'),
            mean('everything', 'msa'),
            mean('everything', 'seconds'),
        )
    return Scores(
        sum(part.images for part in parts),
        sum(part.objects for part in parts),
        mean('click'),
        mean('oracle'),
        mean('box'),
        tuple(float(v) for v in np.mean([part.corrected for part in parts], axis=0)),
        Effort(mean('to80', 'clicks'), mean('to80', 'failed')),
        Effort(mean('to90', 'clicks'), mean('to90', 'failed')),
        mean('calibration'),
        mean('bias'),
        everything,
    )


def plain(report: Report | Agreement) -> dict[str, Any]:
    """Return a report as JSON-ready values; what is not known (NaN) is None."""
    cleaned: dict[str, Any] = _without_nan(dataclasses.asdict(report))
    return cleaned


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    path.write_text(json.dumps(plain(report), indent=2), encoding='utf-8')


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value

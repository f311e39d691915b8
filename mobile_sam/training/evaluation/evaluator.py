"""Evaluation of contestants on a fixed choice of planes and objects."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch

from mobile_sam.training.data import Reader

from .asking import Asked
from .choice import choose_items, choose_objects
from .metrics import THRESHOLDS, precision
from .model import SamContestant
from .report import Everything, Report, macro_of, scores_of
from .robot import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from mobile_sam.modeling import Sam
    from mobile_sam.training.data import Item, Sample

    from .asking import Answers, Contestant
    from .robot import Played

PIXELS_AT_ONCE = 2**24
"""Masks are held at full size for so many pixels at a time."""


class Evaluator:
    """Evaluates contestants on a fixed choice of planes and objects.

    Parameters
    ----------
    items : iterable of Item
        Held-out planes.
    images : int, optional
        At most so many planes per modality, chosen by the hash of their names.
    objects : int, optional
        At most so many objects per plane, chosen evenly in order of area.
    corrections : int
        Correction clicks after the first click.
    everything : int
        Segment so many of the planes of each modality without prompts, too. Slow.
    remind : bool
        Whether a correction comes with the memory of the mask it corrects; see `play`.
    chunk : int
        Objects answered together, at most.
    reader : Reader, optional
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        images: int | None = None,
        objects: int | None = None,
        corrections: int = 7,
        everything: int = 0,
        remind: bool = True,
        chunk: int = 8,
        reader: Reader | None = None,
    ) -> None:
        self.items = choose_items(items, images)
        self.objects, self.corrections, self.everything = objects, corrections, everything
        self.remind, self.chunk = remind, chunk
        self.reader = reader or Reader()

    def __call__(
        self, contestant: Contestant | Sam, say: Callable[[Item], None] | None = None
    ) -> Report:
        """Evaluate a contestant, or a model in eval mode.

        Parameters
        ----------
        contestant : Contestant or Sam
        say : callable, optional
            Told each plane when it is done.

        Raises
        ------
        ValueError
            If there is no object to evaluate on, or the model is in training mode.
        """
        if isinstance(contestant, torch.nn.Module):
            contestant = SamContestant(contestant)
        games: dict[str, list[Played]] = defaultdict(list)
        images: dict[str, int] = defaultdict(int)
        whole: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        looking: list[float] = []
        clicking: list[float] = []
        for item in self.items:
            sample = self.reader(item)
            chosen = choose_objects(sample, self.objects)
            if not chosen:
                continue
            images[item.modality] += 1
            start = time.perf_counter()
            answers = contestant.look(sample)
            looking.append(time.perf_counter() - start)
            clicking.append(_time_of_a_click(answers, sample, chosen[len(chosen) // 2]))
            for masks in self._chunks(sample, chosen):
                games[item.modality].append(
                    play(answers, masks, self.corrections, remind=self.remind)
                )
            if len(whole[item.modality]) < self.everything:
                found = _everything(answers, sample)
                if found is not None:
                    whole[item.modality].append(found)
            if say is not None:
                say(item)
        modalities = {
            name: scores_of(played, images[name], _mean(whole[name]))
            for name, played in sorted(games.items())
        }
        return Report(
            contestant.name,
            contestant.about,
            modalities,
            macro_of(list(modalities.values())),
            float(np.median(looking)),
            float(np.median(clicking)),
        )

    def _chunks(self, sample: Sample, chosen: list[int]) -> Iterable[NDArray[np.bool_]]:
        size = min(self.chunk, max(1, PIXELS_AT_ONCE // sample.labels.size))
        for first in range(0, len(chosen), size):
            wanted = np.array(chosen[first : first + size])
            yield sample.labels[None] == wanted[:, None, None]


def _time_of_a_click(answers: Answers, sample: Sample, label: int) -> float:
    row, col = np.argwhere(sample.labels == label)[0]
    asked = Asked.clicks(np.array([[row, col]], float))
    start = time.perf_counter()
    answers.answer(asked)
    return time.perf_counter() - start


def _everything(answers: Answers, sample: Sample) -> tuple[float, float, float] | None:
    start = time.perf_counter()
    found = answers.everything()
    seconds = time.perf_counter() - start
    if found is None:
        return None
    values = precision(found, sample.labels)
    return float(values[THRESHOLDS.index(0.5)]), float(values.mean()), seconds


def _mean(whole: list[tuple[float, float, float]]) -> Everything | None:
    if not whole:
        return None
    ap50, msa, seconds = (float(v) for v in np.mean(whole, axis=0))
    return Everything(len(whole), ap50, msa, seconds)

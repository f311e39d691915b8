"""Candidates: the masks that the decoder offers for the current prompts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobile_sam.fast.masks import upscaler

from .patch import Patch

# A logit above this is object; SAM's own mask threshold.
_THRESHOLD = 0.0


def best_index(scores: NDArray[np.floating]) -> int:
    """Pick the best candidate; every choice in the package is made here.

    Parameters
    ----------
    scores : ndarray of shape (N,)
        The decoder's estimates of each mask's intersection over union. NaN counts as the worst.

    Returns
    -------
    int
        Index of the highest score; the first one of equals.

    Raises
    ------
    ValueError
        If there is no score.
    """
    scores = np.asarray(scores)
    if scores.ndim != 1 or scores.size == 0:
        raise ValueError(f'expected scores of shape (N,) with N >= 1; got {scores.shape}')
    return int(np.argmax(np.where(np.isnan(scores), -np.inf, scores)))


def ranking(scores: NDArray[np.floating]) -> tuple[int, ...]:
    """Return all indices from the highest score to the lowest; equals as they are, NaN last."""
    # There are three or four: numpy takes ten times as long.
    values = [-math.inf if math.isnan(score) else score for score in np.asarray(scores).tolist()]
    return tuple(sorted(range(len(values)), key=values.__getitem__, reverse=True))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Masks offered for one object, as low-resolution logits.

    Parameters
    ----------
    logits : ndarray of float32, shape (N, S, S)
        S is 256 for SAM: a quarter of the square that the padded picture was encoded in. Copied.
    scores : ndarray of float32, shape (N,)
        The decoder's estimate of each mask's quality (intersection over union), nominally 0..1.
    original_size, input_size : tuple of (int, int)
        As in `Embedding`.
    others : tuple of float
        Scores of further masks that there are for the same prompts, and that were left out.

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    others: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        logits = np.array(self.logits, np.float32)
        scores = np.array(self.scores, np.float32)
        if (
            logits.ndim != 3
            or logits.shape[1] != logits.shape[2]
            or scores.shape != logits.shape[:1]
        ):
            raise ValueError(
                f'expected logits (N, S, S) and scores (N,); got {logits.shape} and {scores.shape}'
            )
        if len(scores) == 0:
            raise ValueError('expected at least one candidate; got none')
        if not np.isfinite(logits).all():
            # interpolation would spread NaN over all of its neighbours
            logits = np.nan_to_num(logits, nan=-1e3, posinf=1e3, neginf=-1e3)
        logits.flags.writeable = scores.flags.writeable = False
        object.__setattr__(self, 'logits', logits)
        object.__setattr__(self, 'scores', scores)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def best(self) -> int:
        """Index of the candidate with the highest score."""
        return best_index(self.scores)

    @property
    def order(self) -> tuple[int, ...]:
        """All indices from the best to the worst."""
        return ranking(self.scores)

    def score(self, index: int | None = None) -> float:
        """Return the score of a candidate, by default of the best."""
        return float(self.scores[self._pick(index)])

    def mask(self, index: int | None = None) -> NDArray[np.bool_]:
        """Make the full-size mask of a candidate: bool, shape `original_size`.

        Bilinear to the model's square, padding cut away, bilinear to the original size, above 0:
        the order in which SAM does it. Takes milliseconds; belongs on the worker.

        Parameters
        ----------
        index : int, optional
            Which candidate; by default the best.
        """
        return self.patch(index).full()

    def patch(self, index: int | None = None, grid: tuple[int, int] | None = None) -> Patch:
        """Make the part of the mask that holds all of its pixels.

        Parameters
        ----------
        index : int, optional
            Which candidate; by default the best.
        grid : tuple of (int, int), optional
            Rows and columns to make the mask in, by default those of the picture. A coarser grid
            over the same area costs less, and can follow the mouse.
        """
        logits = self.logits[self._pick(index)]
        shape = self.original_size if grid is None else grid
        scale = upscaler(logits.shape[0], self.input_size, shape)
        rows, columns, mask = scale.above(logits, _THRESHOLD)
        return Patch(rows, columns, mask, shape)

    def _pick(self, index: int | None) -> int:
        if index is None:
            return self.best
        if not 0 <= index < len(self):
            raise IndexError(f'there are {len(self)} candidates, from 0; got index {index}')
        return index

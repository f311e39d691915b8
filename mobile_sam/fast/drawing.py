"""Masks of one prompt from what the transformer leaves: all of their logits, or a sketch of them.

The upscaling of the image is a third of the decoder's work, and most of it tells what is known: a
mask is drawn at 16 positions per cell, and all but the cells along its contour lie far inside or
far outside of it. A sketch draws one position per cell first, and the other fifteen only where the
cell or one of its neighbours is near the threshold, or of the other sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .crew import Crew
from .upscaling import FirstStep, Upscaling

# A cell is on one side with all of its positions if it and its neighbours are, by so many logits
# and a share of what they differ by. Of 288 masks that the bundled checkpoint drew on validation
# images none differed in a pixel; one did with a margin of 1, four without the share.
_MARGIN, _SHARE = 2.0, 0.25
# Of the cells in doubt: with more of them, drawing all is the quicker way.
_MOST = 0.6
# Rows that `linear` divides well.
_MULTIPLE = 16
# Cells that take longer to draw than to wake another member of the crew.
_WORTH_SHARING = 512


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """The means to draw the masks of one prompt.

    Parameters
    ----------
    upscaling
        Of the decoder.
    crew
        Shares the cells; called within or outside of its `run`.
    steps
        By part of the image, the number of its cells and their first step.
    centres
        By part, what `Upscaling.centres` gives, if it is known already.
    """

    upscaling: Upscaling
    crew: Crew
    steps: Sequence[tuple[int, FirstStep]]
    centres: Sequence[Tensor] = ()

    def full(self, kernels: Tensor) -> Tensor:
        """Draw all of the logits, (M, 4h, 4w), with kernels (M, c)."""
        return self.crew.run(lambda: self._full(kernels))

    def sketch(self, kernels: Tensor) -> Tensor:
        """Draw logits that are exact near the contour, and of one value per cell elsewhere.

        The threshold is 0; up to ±1 they serve as well. What is smaller than a cell, and not near
        the threshold at its centre, is missed. Devices that would wait for the count draw all.
        """
        if kernels.device.type != 'cpu':
            return self._full(kernels)
        return self.crew.run(lambda: self._sketch(kernels))

    def _full(self, kernels: Tensor) -> Tensor:
        upscaling = self.upscaling

        def some(part: tuple[int, FirstStep]) -> Tensor:
            count, step = part
            pieces = upscaling.pieces(lambda rows: step(rows, slice(None)), count, kernels)
            return upscaling.ordered(pieces)

        return torch.cat(self.crew.share(some, self.steps), 1)

    def _sketch(self, kernels: Tensor) -> Tensor:
        upscaling = self.upscaling
        centres = self.centres or self.crew.share(
            upscaling.centres, [step for _, step in self.steps]
        )
        coarse = torch.cat([kernels @ features.T for features in centres], 1)
        doubtful = in_doubt(coarse.view(len(kernels), *upscaling.shape).numpy())
        cells = np.flatnonzero(doubtful)
        if len(cells) > _MOST * doubtful.size:
            return self._full(kernels)
        pieces = coarse[:, :, None].expand(-1, -1, 16).contiguous()
        if len(cells):
            # Evenly among the crew, wherever in the image they lie, if there is enough to do.
            members = self.crew.few if len(cells) >= _WORTH_SHARING else 1
            portion = -(-len(cells) // (members * _MULTIPLE)) * _MULTIPLE
            drawn = self.crew.share(
                lambda start: self._pieces_of(cells[start : start + portion], kernels),
                range(0, len(cells), portion),
            )
            pieces.index_copy_(1, torch.from_numpy(cells), torch.cat(drawn, 1))
        return upscaling.ordered(pieces.flatten(1))

    def _pieces_of(self, cells: NDArray[np.intp], kernels: Tensor) -> Tensor:
        """Draw all positions of some cells, by ascending index: (M, n, 16)."""
        padded = np.append(cells, np.repeat(cells[-1:], -len(cells) % _MULTIPLE))
        starts = [0, *accumulate(count for count, _ in self.steps)]
        bounds = np.searchsorted(padded, starts).tolist()
        quarters = torch.cat(
            [
                step(torch.from_numpy(padded[first:last] - start), slice(None))
                for (_, step), start, (first, last) in zip(
                    self.steps, starts, pairwise(bounds), strict=False
                )
                if first < last
            ]
        )
        pieces = self.upscaling.pieces(lambda rows: quarters[rows], len(padded), kernels)
        return pieces.view(len(kernels), -1, 16)[:, : len(cells)]


class Drawn:
    """Masks of a few prompts that are drawn already.

    Parameters
    ----------
    logits
        (B, M, 4h, 4w).
    scores
        (B, M), predicted IoU.
    """

    def __init__(self, logits: Tensor, scores: Tensor) -> None:
        self._logits, self.scores = logits, scores

    def draw(self, prompt: int, masks: Sequence[int] | None = None) -> Tensor:
        """Return masks of one prompt, by default all: logits (M, 4h, 4w)."""
        logits = self._logits[prompt]
        return logits if masks is None else logits[list(masks)]

    sketch = draw


def in_doubt(coarse: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which cells need all of their positions, bool (h, w), from one logit each, (M, h, w).

    In numpy, as so few numbers cost torch more to call than to compare.
    """
    highest, lowest = (_among_neighbours(coarse, pick) for pick in (np.maximum, np.minimum))
    margin = (highest - lowest) * np.float32(_SHARE) + np.float32(_MARGIN)
    doubtful = (highest >= -margin) & (lowest <= margin)
    return np.logical_or.reduce(doubtful)


def _among_neighbours(x: NDArray[np.float32], pick: np.ufunc) -> NDArray[np.float32]:
    """Pick the highest or lowest of 3 × 3 cells, (M, h, w)."""
    rows = x.copy()
    pick(rows[:, :-1], x[:, 1:], out=rows[:, :-1])
    pick(rows[:, 1:], x[:, :-1], out=rows[:, 1:])
    picked = rows.copy()
    pick(picked[:, :, :-1], rows[:, :, 1:], out=picked[:, :, :-1])
    pick(picked[:, :, 1:], rows[:, :, :-1], out=picked[:, :, 1:])
    return picked

"""Far tokens: a sample of all that a frame holds outside of each prompt's view.

At inference a prompt's own tokens are 64 × 64 among which it must find its object, and leave all
others alone. A decoder that is only ever shown the surroundings of its prompts does not learn
that. So every prompt also sees a random choice of tokens from elsewhere, each weighed by how many
it stands for: in expectation the whole frame, for a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .config import FRAME, LOGIT_STEP, STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .crops import Crop
    from .views import View

TOKENS = FRAME // STRIDE
"""Tokens along a side of the frame."""

OWN_SHARE = 0.3
"""Share of far tokens taken from the view's own window, where others are seen as well."""


@dataclass(frozen=True, slots=True, eq=False)
class Far:
    """K tokens for each of N prompts.

    Attributes
    ----------
    sources : Tensor, int64, (N, K)
        Which they are among the tokens of all of a batch's embeddings, window by window, row by
        row.
    places : Tensor, int64, (N, K)
        Where they lie: numbers among the frame's 64 × 64, row by row.
    targets : Tensor, float32, (N, K, 16)
        The share of their logit pixels that is object.
    weights : Tensor, float32, (K,)
        How many tokens of the frame each one stands for.
    """

    sources: torch.Tensor
    places: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor

    @property
    def count(self) -> int:
        """Tokens for each prompt."""
        return self.sources.shape[1]

    @classmethod
    def none(cls, prompts: int) -> Far:
        """Return what stands for no far tokens at all."""
        empty = torch.zeros(prompts, 0)
        return cls(empty.long(), empty.long(), torch.zeros(prompts, 0, 16), torch.zeros(0))


def draw_far(
    crops: Sequence[Crop],
    views: Sequence[View],
    objects: Sequence[int],
    count: int,
    rng: np.random.Generator,
    *,
    together: int = 1,
) -> Far:
    """Draw far tokens for each prompt.

    They come from the rest of its window, and from the other windows of the same picture. If there
    is only the former, it stands for the whole frame, if only the latter, so do they.

    Parameters
    ----------
    crops : sequence of Crop
        The windows of a batch, all of one size.
    views, objects : sequence of N
        Where each prompt is answered, and the label of its object.
    together : int
        So many windows in turn are of the same picture.
    """
    tokens = crops[0].window.side // STRIDE
    seen = (views[0].window.side // STRIDE) ** 2
    rest, others = tokens**2 - seen, (together - 1) * tokens**2
    own = min(rest, count if not others else round(OWN_SHARE * count))
    kin = min(others, count - own)
    if not (own + kin and count):
        return Far.none(len(views))
    blocks = [_label_blocks(crop.labels, tokens) for crop in crops]
    places = [_places(crop, tokens) for crop in crops]
    sources, frame_places, targets = [], [], []
    for view, label in zip(views, objects, strict=True):
        first = view.image // together * together
        near = np.zeros((tokens, tokens), bool)
        near[view.tokens] = True
        around = np.flatnonzero(~near.ravel()) + view.image * tokens**2
        family = np.arange(first * tokens**2, (first + together) * tokens**2)
        family = family[family // tokens**2 != view.image]
        drawn = np.concatenate(
            [rng.choice(around, own, replace=False), rng.choice(family, kin, replace=False)]
        )
        window, token = np.divmod(drawn, tokens**2)
        sources.append(drawn)
        frame_places.append(np.array([places[w][t] for w, t in zip(window, token, strict=True)]))
        of = np.stack([blocks[w][t] for w, t in zip(window, token, strict=True)]) == label
        targets.append(of.mean((2, 4), dtype=np.float32).reshape(len(drawn), 16))
    weights = np.concatenate(
        [
            np.full(own, (rest if kin else TOKENS**2 - seen) / max(1, own)),
            np.full(kin, (TOKENS**2 - (tokens**2 if own else seen)) / max(1, kin)),
        ]
    )
    return Far(
        torch.from_numpy(np.stack(sources)),
        torch.from_numpy(np.stack(frame_places)),
        torch.from_numpy(np.stack(targets)),
        torch.from_numpy(weights.astype(np.float32)),
    )


def _label_blocks(labels: NDArray[np.int32], tokens: int) -> NDArray[np.int32]:
    """Cut labels into 4 × 4 logit pixels for each token: (tokens², 4, p, 4, p)."""
    per = labels.shape[0] // tokens // (STRIDE // LOGIT_STEP)
    blocks = labels.reshape(tokens, 4, per, tokens, 4, per).transpose(0, 3, 1, 2, 4, 5)
    return blocks.reshape(tokens**2, 4, per, 4, per)


def _places(crop: Crop, tokens: int) -> NDArray[np.intp]:
    """Numbers in the frame of a window's tokens, row by row."""
    first = crop.window.top // STRIDE, crop.window.left // STRIDE
    rows, cols = (start + np.arange(tokens) for start in first)
    numbers: NDArray[np.intp] = (rows[:, None] * TOKENS + cols).ravel()
    return numbers

"""Masks of everything: what many points on one image propose, at the cost of the good ones.

Plainly, each of three masks per point is brought to the size of the picture before it is known to
be any good. Here a point's masks are drawn only if their predicted quality suffices, how stable
they are is seen on the 256 × 256 logits (`stability`), and only what is left is ever enlarged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobile_sam.modeling import Sam

from .decoder import PROMPTS_AT_ONCE
from .forms import DecoderForm


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A mask that a point proposes.

    Attributes
    ----------
    point
        Number of the point.
    score
        Predicted IoU.
    logits
        (S, S) float32.
    """

    point: int
    score: float
    logits: NDArray[np.float32]


def propose(
    model: Sam,
    form: DecoderForm,
    image: Any,
    points: Tensor,
    min_score: float,
    at_once: int,
    exact: bool = True,
) -> Iterator[list[Proposal]]:
    """Decode points on an image, a few at a time, and draw the masks that may be good.

    Parameters
    ----------
    model, form
        The model and the form of its decoder.
    image
        From the form's `image_side`.
    points
        (N, 2), x before y, in pixels of the model's square.
    min_score
        Masks with a predicted IoU of at most this are not drawn.
    at_once
        Most points decoded at once.
    exact
        Draw all logits, also those far from the masks' contours; False is quicker.

    Yields
    ------
    list of Proposal
        Of the next points, in order.
    """
    step = min(at_once, PROMPTS_AT_ONCE) if model.device.type == 'cpu' else at_once

    def decode(start: int) -> list[Proposal]:
        some = points[start : start + step].to(torch.float32).to(model.device)
        labels = torch.ones(len(some), 1, dtype=torch.int64, device=model.device)
        with torch.no_grad():
            sparse, _ = model.prompt_encoder(points=(some[:, None], labels), boxes=None, masks=None)
            found = form.attend(image, sparse, None, multimask=True)
            scores = found.scores.float().cpu().numpy()
            draw = found.draw if exact else found.sketch
            proposals = []
            for row, quality in enumerate(scores):
                good = np.flatnonzero(quality > min_score).tolist()
                if good:
                    drawn = draw(row, good).float().cpu().numpy()
                    proposals += [
                        Proposal(start + row, float(quality[mask]), logits)
                        for mask, logits in zip(good, drawn, strict=True)
                    ]
        return proposals

    starts = range(0, len(points), step)
    # Several for each lane, as one may take longer than another.
    group = 4 * form.lanes if form.lanes > 1 else 1
    for first in range(0, len(starts), group):
        yield from form.apart(decode, starts[first : first + group])

"""The robot that stands for the user: it clicks, boxes, and clicks again where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mobile_sam.training.prompts import correction_click

from .asking import Asked
from .metrics import iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .asking import Answers


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """IoU of N objects at each stage of the game.

    Attributes
    ----------
    click, oracle, box : ndarray, (N,)
        After one click (the candidate that the contestant thinks best of), the best candidate of
        that click, and after an exact box.
    predicted : ndarray, (N,)
        What the contestant thought of its answer to the click; NaN if it thinks nothing.
    corrected : ndarray, (N, K)
        After 1 … K further clicks.
    """

    click: NDArray[np.float64]
    oracle: NDArray[np.float64]
    box: NDArray[np.float64]
    predicted: NDArray[np.float64]
    corrected: NDArray[np.float64]


def play(
    answers: Answers, wanted: NDArray[np.bool_], corrections: int, *, remind: bool = True
) -> Played:
    """Prompt for N objects and correct the answers.

    The first click is in the middle of the object (the centre of its largest inscribed circle),
    each further one in the middle of the largest connected error: positive where the mask lacks
    it, negative where it is too much. A mask without error is left alone.

    Parameters
    ----------
    answers : Answers
        The contestant in front of the plane.
    wanted : ndarray, bool, (N, H, W)
        True masks, none of them empty.
    corrections : int
        Clicks after the first one.
    remind : bool
        Whether the contestant gets the memory of the mask that a click corrects (for SAM: its
        logits as mask prompt), or all clicks anew.
    """
    reply = answers.answer(Asked.rectangles(np.array([tight_box(mask) for mask in wanted])))
    boxed, _ = reply.chosen(reply.best())
    centres = [correction_click(np.zeros_like(mask), mask)[:2] for mask in wanted]
    asked = Asked.clicks(np.array(centres, float))
    reply = answers.answer(asked)
    best, index = reply.best(), np.arange(len(wanted))
    predicted = reply.scores[index, best]
    every = np.stack([iou(reply.masks[:, i], wanted) for i in range(reply.masks.shape[1])], 1)
    found, memory = reply.chosen(best)
    corrected = np.zeros((len(wanted), corrections))
    for turn in range(corrections):
        clicks = [correction_click(f, w) for f, w in zip(found, wanted, strict=True)]
        asked = asked.with_points(
            np.array([click[:2] for click in clicks], float),
            np.array([click[2] for click in clicks], bool),
        )
        reply = answers.answer(asked, memory if remind else None)
        perfect = (found == wanted).all((1, 2))
        fresh, memory = reply.chosen(reply.best())
        found = np.where(perfect[:, None, None], found, fresh)
        corrected[:, turn] = iou(found, wanted)
    return Played(every[index, best], every.max(1), iou(boxed, wanted), predicted, corrected)


def tight_box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return the box (row0, column0, row1, column1) on the outer edges of a mask's pixels."""
    rows, cols = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return rows[0] - 0.5, cols[0] - 0.5, rows[-1] + 0.5, cols[-1] + 0.5

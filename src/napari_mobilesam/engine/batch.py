"""One object each: prompts of many objects from labels, and masks for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .annotator import Annotator
from .cancel import CancelToken
from .mask_prompt import MaskPrompt
from .patch import Patch
from .plane import PlaneSource
from .prompts import Prompts


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """One object that is wanted.

    Parameters
    ----------
    prompts : Prompts
        In pixels of the plane.
    label : int
        The id it was found under in coarse labels; 0 for none.
    """

    prompts: Prompts
    label: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The mask for a wish, in the plane, and the decoder's estimate of its quality."""

    wish: Wish
    patch: Patch
    score: float


def wishes_of_labels(labels: NDArray[np.integer]) -> list[Wish]:
    """Turn each id of a labels plane, (H, W), into a box and a mask: roughly where the object is.

    An object in several parts is one wish.
    """
    from scipy import ndimage

    numbers = np.unique(labels)
    numbers = numbers[numbers > 0]
    compact = np.searchsorted(numbers, labels) + 1  # ids may be huge
    compact[~np.isin(labels, numbers)] = 0
    wishes = []
    for place, (number, box) in enumerate(
        zip(numbers, ndimage.find_objects(compact), strict=True), start=1
    ):
        mask = np.zeros(labels.shape, bool)
        mask[box] = compact[box] == place
        (top, left), (bottom, right) = ((part.start for part in box), (part.stop for part in box))
        corners = (float(top), float(left), float(bottom - 1), float(right - 1))
        wishes.append(Wish(Prompts(box=corners, mask=MaskPrompt.from_mask(mask)), int(number)))
    return wishes


def on_plane(wishes: Sequence[Wish], shape: tuple[int, int]) -> list[Wish]:
    """Leave out those whose prompts all lie beside the plane."""
    kept = []
    for wish in wishes:
        try:
            kept.append(replace(wish, prompts=wish.prompts.clipped(shape)))
        except ValueError:  # PromptOutsidePlaneError among them
            continue
    return kept


def answers(
    annotator: Annotator,
    source: PlaneSource,
    wishes: Sequence[Wish],
    cancel: CancelToken,
    prompted_only: bool = True,
) -> Iterator[Answer]:
    """Yield the best mask for each wish, in their order; empty masks too.

    Raises
    ------
    Cancelled
        If the token was cancelled; what was yielded before is whole.
    """
    found = annotator.predict_many(source, [wish.prompts for wish in wishes], cancel)
    for wish, prediction in zip(wishes, found, strict=True):
        patch = prediction.patch(prompted_only=prompted_only)
        yield Answer(wish, patch, prediction.candidates.score())

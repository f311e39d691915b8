"""One slice of propagation: from the shapes expected there to one mask for each object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_mobilesam.engine.cancel import CancelToken
from napari_mobilesam.engine.prompts import Point, Prompts

from .patch import MaskPatch, overlap, union_box
from .shapes import box_prompt, interior_points, mask_prompt, points_prompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_mobilesam.engine.annotator import Annotator
    from napari_mobilesam.engine.plane import PlaneSource

Mode = Literal['agreement', 'box', 'mask', 'points']
"""What an object is prompted with on the next slice; ``agreement`` tries all and lets them vote."""

# Points beside an object, on its nearest neighbours, at most so many, within so many radii.
_BESIDE = 3
_NEAR = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """An object that is looked for on a slice.

    Parameters
    ----------
    label : int
        Its id.
    shape : MaskPatch
        Where it should be: not empty, on the plane.
    reach : float
        How far beyond the shape it may go, in pixels.
    """

    label: int
    shape: MaskPatch
    reach: float


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What was found for an object on a slice.

    Parameters
    ----------
    patch : MaskPatch
        The mask; may be empty.
    score : float
        The model's estimate of its quality.
    agreement : float
        How much it agrees with the expected shape, and with what other prompts gave: 0..1.
    mode : str
        Which prompts gave it, or the mask that is most like it.
    """

    patch: MaskPatch
    score: float
    agreement: float
    mode: str


def find_on_slice(
    annotator: Annotator,
    source: PlaneSource,
    expected: Sequence[Expected],
    standing: Sequence[MaskPatch],
    mode: Mode,
    cancel: CancelToken | None = None,
) -> list[Chosen]:
    """Find objects on a slice, all of them in one batch of prompts.

    Parameters
    ----------
    annotator : Annotator
        The model and its embeddings.
    source : PlaneSource
        The slice.
    expected : sequence of Expected
        The objects.
    standing : sequence of MaskPatch
        Other objects, whose masks on this slice are settled: they keep their pixels.
    mode : str
        See `Mode`.
    cancel : CancelToken, optional
        Polled by the model.

    Returns
    -------
    list of Chosen
        One for each object expected. No two of the masks share a pixel.

    Raises
    ------
    Cancelled
        If the token was cancelled.
    """
    chosen = ask_on_slice(annotator, source, expected, standing, mode, cancel)
    return settle(chosen, expected, standing, source.shape)


def ask_on_slice(
    annotator: Annotator,
    source: PlaneSource,
    expected: Sequence[Expected],
    standing: Sequence[MaskPatch],
    mode: Mode,
    cancel: CancelToken | None = None,
) -> list[Chosen]:
    """Find objects as `find_on_slice` does, but let their masks overlap."""
    centres = [interior_points(one.shape)[0] for one in expected]
    others = [interior_points(patch)[0] for patch in standing if patch]
    wishes: list[tuple[int, str, Prompts]] = []
    for number, one in enumerate(expected):
        beside = _beside(one.shape, centres[:number] + centres[number + 1 :] + others)
        if mode in ('agreement', 'box'):
            wishes.append((number, 'box', box_prompt(one.shape)))
        if mode in ('agreement', 'mask'):
            wishes.append((number, 'mask', mask_prompt(one.shape, source.shape)))
        if mode in ('agreement', 'points'):
            wishes.append((number, 'points', points_prompt(one.shape, beside)))
    offers: list[list[Chosen]] = [[] for _ in expected]
    found = annotator.predict_many(source, [prompts for _, _, prompts in wishes], cancel)
    for (number, kind, _), prediction in zip(wishes, found, strict=True):
        for index in range(len(prediction.candidates)):
            found_patch = prediction.patch(index)
            patch = MaskPatch.cut(found_patch.mask, *found_patch.corner)
            score = prediction.candidates.score(index)
            offers[number].append(Chosen(_reachable(patch, expected[number]), score, 0.0, kind))
    return [choose(offer, one.shape) for offer, one in zip(offers, expected, strict=True)]


def choose(offers: Sequence[Chosen], shape: MaskPatch) -> Chosen:
    """Let the masks on offer vote on each pixel.

    A vote weighs the more, the surer the model is of the mask, the more the other masks agree with
    it, and the more it is like the expected shape. That likeness must not decide alone: the mask
    that is most like the slice before follows an object least where it shrinks towards its end.
    """
    if not offers:
        raise ValueError('expected at least one mask to choose from; got none')
    if len(offers) == 1:
        (only,) = offers
        return replace(only, agreement=overlap(only.patch, shape))
    likeness = [overlap(offer.patch, shape) for offer in offers]
    alike = np.array([[overlap(one.patch, other.patch) for other in offers] for one in offers])
    np.fill_diagonal(alike, 0)
    worth = np.array([max(offer.score, 0.0) for offer in offers]) * alike.sum(axis=1) * likeness
    fused = _vote([offer.patch for offer in offers], worth)
    close = [overlap(fused, offer.patch) for offer in offers]
    nearest = int(np.argmax(np.array(close) * (worth > 0)))
    if not fused:
        nearest = int(np.argmax([offer.score for offer in offers]))
        return replace(offers[nearest], agreement=0.0)
    score = float(np.average([offer.score for offer in offers], weights=worth))
    agreement = (overlap(fused, shape) + float(np.mean(close))) / 2
    return Chosen(fused, score, agreement, offers[nearest].mode)


def _vote(patches: Sequence[MaskPatch], weights: NDArray[np.float64]) -> MaskPatch:
    """Return the pixels that masks of more than half of the weight have."""
    rows, columns = union_box(list(patches))
    votes = np.zeros((rows.stop - rows.start, columns.stop - columns.start))
    for patch, weight in zip(patches, weights.tolist(), strict=True):
        votes += weight * patch.within(rows, columns)
    return MaskPatch.cut(votes > weights.sum() / 2, rows.start, columns.start)


def _beside(shape: MaskPatch, centres: list[Point]) -> tuple[Point, ...]:
    """Pick the centres of neighbours that are near, but not within, a shape."""
    own = np.array(shape.centroid)
    near = []
    for row, column in centres:
        distance = float(np.hypot(*(np.array((row, column)) - own)))
        if distance <= _NEAR * shape.radius + 1:
            place = slice(round(row), round(row) + 1), slice(round(column), round(column) + 1)
            if not shape.within(*place).any():
                near.append((distance, (row, column)))
    return tuple(point for _, point in sorted(near)[:_BESIDE])


def _reachable(patch: MaskPatch, one: Expected) -> MaskPatch:
    """Cut off what lies farther from the expected shape than an object moves or grows."""
    from scipy import ndimage

    if not patch:
        return patch
    margin = int(np.ceil(one.reach))
    rows, columns = union_box([one.shape], margin)
    if (
        patch.row >= one.shape.row
        and patch.column >= one.shape.column
        and patch.row + patch.height <= one.shape.row + one.shape.height
        and patch.column + patch.width <= one.shape.column + one.shape.width
    ):
        return patch
    near = ndimage.distance_transform_edt(~one.shape.within(rows, columns)) <= one.reach
    return MaskPatch.cut(patch.within(rows, columns) & near, rows.start, columns.start)


def settle(
    chosen: Sequence[Chosen],
    expected: Sequence[Expected],
    standing: Sequence[MaskPatch],
    size: tuple[int, int],
) -> list[Chosen]:
    """Give each pixel to one object, and keep the parts that belong to the expected shape.

    A pixel that two objects claim goes to the one that it was expected of; else to the one that
    agrees better. Settled masks keep theirs.
    """
    from scipy import ndimage

    owner = np.zeros(size, np.int32)
    order = sorted(range(len(chosen)), key=lambda number: chosen[number].agreement)
    for number in order:
        patch = chosen[number].patch
        owner[patch.rows, patch.columns][patch.mask] = number + 1
    for number in order:
        patch = chosen[number].patch
        own = patch.mask & expected[number].shape.within(patch.rows, patch.columns)
        owner[patch.rows, patch.columns][own] = number + 1
    for patch in standing:
        owner[patch.rows, patch.columns][patch.mask] = -1
    settled = []
    for number, one in enumerate(chosen):
        patch = one.patch
        mask = patch.mask & (owner[patch.rows, patch.columns] == number + 1)
        parts, count = ndimage.label(mask)
        if count > 1:
            hit = np.unique(parts[mask & expected[number].shape.within(patch.rows, patch.columns)])
            if hit.size:
                mask = np.isin(parts, hit)
        settled.append(replace(one, patch=MaskPatch.cut(mask, patch.row, patch.column)))
    return settled

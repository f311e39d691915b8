"""Proposals: where objects may be, guessed by classical means, for the model to look closer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine.cancel import CancelToken

from .choice import Chosen, Expected, Mode, ask_on_slice, settle
from .linking import SliceObject
from .patch import MaskPatch, overlap

if TYPE_CHECKING:
    from napari_mobilesam.engine.annotator import Annotator
    from napari_mobilesam.engine.plane import PlaneSource

# The model may change a proposal's outline by this part of its radius.
_REACH = 0.5
# Two masks that agree more than this are one object that was proposed twice.
_SAME = 0.5
# Smoothing before the threshold, and least distance of two centres, in pixels.
_SIGMA = 1.0
_APART = 4


def propose_blobs(image: NDArray[np.uint8], min_area: int = 20) -> list[MaskPatch]:
    """Guess where bright objects on a darker ground are: Otsu's threshold and a watershed.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        The mapped picture.
    min_area : int
        Smaller ones are left out, in pixels.

    Returns
    -------
    list of MaskPatch
        They do not overlap. Empty for a constant picture.
    """
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.segmentation import watershed

    grey = ndimage.gaussian_filter(image.mean(axis=2), _SIGMA)
    if grey.min() == grey.max():
        return []
    bright = ndimage.binary_fill_holes(grey > threshold_otsu(grey))
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), _SIGMA)
    peaks = peak_local_max(depth, min_distance=_APART, labels=bright.astype(np.int32))
    markers = np.zeros(grey.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    regions = watershed(-depth, markers, mask=bright)
    patches = [
        MaskPatch.cut(regions[box] == number, box[0].start, box[1].start)
        for number, box in enumerate(ndimage.find_objects(regions), 1)
        if box is not None
    ]
    return [patch for patch in patches if patch.area >= min_area]


def find_proposed(
    annotator: Annotator,
    source: PlaneSource,
    index: int,
    proposals: Sequence[MaskPatch],
    cancel: CancelToken | None = None,
    mode: Mode = 'agreement',
) -> list[SliceObject]:
    """Let the model find the objects that were proposed on a slice, in one batch.

    What was proposed twice is found once. Masks do not overlap.

    Parameters
    ----------
    annotator : Annotator
        The model and its embeddings.
    source : PlaneSource
        The slice.
    index : int
        Its number.
    proposals : sequence of MaskPatch
        Where objects may be.
    cancel : CancelToken, optional
        Polled by the model.
    mode : str
        How to prompt.

    Returns
    -------
    list of SliceObject
        The best first; their score is the model's estimate times the agreement of the prompts.
    """
    expected = [
        Expected(number, patch, max(2.0, _REACH * patch.radius))
        for number, patch in enumerate(proposals, 1)
        if patch
    ]
    if not expected:
        return []
    chosen = ask_on_slice(annotator, source, expected, [], mode, cancel)
    order = sorted(range(len(chosen)), key=lambda number: -_worth(chosen[number]))
    kept: list[int] = []
    for number in order:
        patch = chosen[number].patch
        if patch and all(overlap(patch, chosen[other].patch) < _SAME for other in kept):
            kept.append(number)
    best = [chosen[number] for number in kept]
    settled = settle(best, [expected[number] for number in kept], [], source.shape)
    return [SliceObject(index, one.patch, _worth(one)) for one in settled if one.patch]


def _worth(one: Chosen) -> float:
    return float(np.clip(one.score, 0, 1) * one.agreement)

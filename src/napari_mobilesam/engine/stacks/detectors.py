"""Detectors: what finds all objects of one slice, before they are linked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_mobilesam.engine.everything import EverythingOptions

from .linking import SliceObject
from .patch import MaskPatch
from .proposals import find_proposed, propose_blobs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_mobilesam.engine.annotator import Annotator
    from napari_mobilesam.engine.cancel import CancelToken
    from napari_mobilesam.engine.plane import PlaneSource

Detector = Callable[['PlaneSource', int, 'CancelToken | None'], Sequence[SliceObject]]
"""Finds all objects of a slice: the plane, its number, a token to poll."""

DETECTORS = ('bright', 'dark', 'grid')
"""Bright objects, dark objects, and whatever a grid of points finds."""

# What covers more of the plane than this is its ground.
_LARGEST = 0.4


def detector(what: str, annotator: Annotator) -> Detector:
    """Return a detector.

    Parameters
    ----------
    what : str
        ``'bright'`` or ``'dark'``: objects that stand out from their ground are proposed
        classically, and outlined by the model. ``'grid'``: the model is asked at each point of a
        grid, which is slower and needs no contrast.
    annotator : Annotator
        The model and its embeddings.

    Raises
    ------
    ValueError
        If there is no such detector.
    """
    if what in ('bright', 'dark'):
        return blob_detector(annotator, dark=what == 'dark')
    if what == 'grid':
        return grid_detector(annotator)
    raise ValueError(f'a detector is one of {DETECTORS}; got {what!r}')


def blob_detector(annotator: Annotator, *, dark: bool = False) -> Detector:
    """Return a detector for bright objects on a darker ground, or the other way round."""

    def detect(
        source: PlaneSource, index: int, cancel: CancelToken | None = None
    ) -> list[SliceObject]:
        picture = source.whole.image(cancel)
        proposals = _at_full_size(
            propose_blobs(255 - picture if dark else picture), source, picture
        )
        return find_proposed(annotator, source, index, proposals, cancel)

    return detect


def grid_detector(annotator: Annotator, options: EverythingOptions | None = None) -> Detector:
    """Return a detector that asks the model at each point of a grid.

    Where masks overlap the better one has the pixels, as in a slice of labels; what is within
    another one for the most part is left out, and so is what covers the plane.
    """
    options = EverythingOptions.suiting(annotator.segmenter) if options is None else options

    def detect(
        source: PlaneSource, index: int, cancel: CancelToken | None = None
    ) -> list[SliceObject]:
        proposals = None
        for progress in annotator.everything(source, options, cancel):
            proposals = progress.proposals
        owned = np.zeros(source.shape, bool)
        found = []
        for one in [] if proposals is None else proposals.select(options):
            rows, columns, mask = one.patch()
            taken = owned[rows, columns]
            area = np.count_nonzero(mask)
            if area > _LARGEST * owned.size or 2 * np.count_nonzero(mask & taken) > area:
                continue
            patch = MaskPatch.cut(mask & ~taken, rows.start, columns.start)
            taken |= mask
            if patch:
                found.append(SliceObject(index, patch, min(max(one.score, 0.0), 1.0)))
        return found

    return detect


def _at_full_size(
    proposals: list[MaskPatch], source: PlaneSource, picture: NDArray[np.uint8]
) -> list[MaskPatch]:
    """Return proposals in pixels of the plane, where the picture has others."""
    if picture.shape[:2] == source.shape:
        return proposals
    moved = []
    places = [
        ((np.arange(side) + 0.5) * count / side).astype(np.intp)
        for side, count in zip(source.shape, picture.shape[:2], strict=True)
    ]
    for patch in proposals:
        starts, chosen = [], []
        for part, where in zip((patch.rows, patch.columns), places, strict=True):
            first, last = np.searchsorted(where, (part.start, part.stop))
            starts.append(int(first))
            chosen.append(where[first:last] - part.start)
        cut = MaskPatch.cut(patch.mask[np.ix_(*chosen)], *starts)
        if cut:
            moved.append(cut)
    return moved

"""Frames put together of several pieces, so that their objects are small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .config import FRAME
from .crops import TARGET_STEP, Crop, Window, cut, reduction, true_window, typical_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from .data import Sample

TILES = 2, 4
"""Pieces along a side of the frame, at least and at most."""


def draw_mosaic(
    sample: Sample, rng: np.random.Generator, change: Callable[[Crop], Crop] = lambda crop: crop
) -> Crop:
    """Fill a frame with pieces of one picture at a lower magnification.

    A picture of larger objects in full view becomes one of many small ones, as a larger field would
    show them. Pieces meet at edges that no picture has, so there are few of them.

    Parameters
    ----------
    sample : Sample
    rng : numpy.random.Generator
    change : callable
        What is done to each piece, see `mobile_sam.training.augment.augment`.

    Returns
    -------
    Crop
        A whole frame; every piece has labels of its own.
    """
    height, width = sample.labels.shape
    diameter = typical_size(sample)
    wanted = 1 / reduction(diameter, rng) if diameter else TILES[0]
    count = next((n for n in TILES if n >= wanted), TILES[-1])
    side = FRAME // count
    # The shorter side of the picture fills a piece.
    scale = max(side / min(height, width), FRAME / max(height, width) / wanted)
    image = np.zeros((FRAME, FRAME, 3), np.uint8)
    labels = np.zeros((FRAME // TARGET_STEP,) * 2, np.int32)
    used = 0
    for row in range(count):
        for col in range(count):
            slack = (length - side / scale for length in (height, width))
            start = [float(rng.uniform(0, max(0.0, free))) for free in slack]
            piece = change(cut(sample, Window(0, 0, side, scale, *start)))
            inner = [slice(n * side, (n + 1) * side) for n in (row, col)]
            half = [slice(s.start // TARGET_STEP, s.stop // TARGET_STEP) for s in inner]
            image[*inner] = piece.image
            labels[*half] = np.where(piece.labels > 0, piece.labels + used, 0)
            used = int(max(used, labels[*half].max()))
    inside = np.ones((FRAME, FRAME), bool)
    return Crop(image, inside, labels, true_window((FRAME, FRAME), 0, 0, FRAME), sample.grey)

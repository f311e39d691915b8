"""Views: the part of a window in which one prompt is answered.

The decoder's cost grows with the tokens it looks at, and most objects are small against their
window. Answering in a view round the object costs a fraction; answering in whole windows and
frames, now and then, teaches the decoder to leave everything else alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from .config import STRIDE
from .crops import Window

SMALL_VIEW = 224
"""Views of up to so many model pixels are for small objects too."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class View:
    """A square of tokens within a window.

    Attributes
    ----------
    image : int
        Number of its window in the batch.
    row, col : int
        First token in that window.
    window : Window
        What is seen, as a window of its own in the frame.
    """

    image: int
    row: int
    col: int
    window: Window

    @property
    def tokens(self) -> tuple[slice, slice]:
        """Rows and columns of the window's embedding."""
        size = self.window.side // STRIDE
        return slice(self.row, self.row + size), slice(self.col, self.col + size)

    def cut(self, mask: NDArray[np.bool_], step: float) -> NDArray[np.bool_]:
        """Cut the view out of a mask of the window, which has a pixel per `step` model pixels."""
        top, left, size = (
            round(v * STRIDE / step) for v in (self.row, self.col, self.window.side / STRIDE)
        )
        return mask[top : top + size, left : left + size]


def pooled(masks: NDArray[np.bool_], by: int) -> NDArray[np.float32]:
    """Average masks (N, T, T) over squares of `by` pixels: the share of each that is object."""
    count, side = len(masks), masks.shape[-1] // by
    blocks = masks.reshape(count, side, by, side, by).astype(np.float32)
    return blocks.mean((2, 4), dtype=np.float32)


def token_blocks(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut maps (N, 4h, 4w) of logit pixels into blocks, one for each token: (N, h · w, 16)."""
    count, height, width = maps.shape
    blocks = maps.reshape(count, height // 4, 4, width // 4, 4).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(blocks).reshape(count, -1, 16)


def suiting_objects(
    labels: NDArray[np.int32], objects: Sequence[int], step: float, side: int
) -> NDArray[np.intp]:
    """Choose those objects of a window that suit views of `side` model pixels; all if none does.

    They fit, and do not waste the larger, expensive views.
    """
    boxes = ndimage.find_objects(labels)
    longest = np.array([max(s.stop - s.start for s in boxes[i - 1]) * step for i in objects])
    suiting = (longest <= side) & (longest >= (side - SMALL_VIEW) / 4)
    chosen = np.array(objects, np.intp)
    return chosen[suiting] if suiting.any() else chosen


def draw_view_side(side: int, shares: Sequence[float], rng: np.random.Generator) -> int:
    """Draw the side of a batch's views in model pixels: one of the shares of the window's side."""
    share = shares[int(rng.integers(len(shares)))]
    return max(STRIDE, round(side * share / STRIDE) * STRIDE)


def draw_view(
    mask: NDArray[np.bool_], window: Window, image: int, side: int, rng: np.random.Generator
) -> View:
    """Place a view of `side` model pixels so that it shows an object, whole if it fits.

    Of an object that does not fit, the surroundings of one of its pixels are seen.
    """
    step = window.side / mask.shape[0]
    last = (window.side - side) // STRIDE
    pixels = np.argwhere(mask) * step
    pixel = pixels[rng.integers(len(pixels))]
    starts = []
    for axis in (0, 1):
        low, high = pixels[:, axis].min(), pixels[:, axis].max() + step
        # Tokens at which the view may begin so that it holds everything from low to high.
        first, final = np.ceil((high - side) / STRIDE), np.floor(low / STRIDE)
        if first > final:
            first = final = np.round((pixel[axis] - side / 2) / STRIDE)
        first, final = (int(np.clip(v, 0, last)) for v in (first, final))
        starts.append(int(rng.integers(first, final + 1)))
    row, col = starts
    seen = Window(
        window.top + row * STRIDE,
        window.left + col * STRIDE,
        side,
        window.scale,
        window.row + row * STRIDE / window.scale,
        window.col + col * STRIDE / window.scale,
    )
    return View(image, row, col, seen)

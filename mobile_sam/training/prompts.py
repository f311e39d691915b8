"""Clicks and boxes as a person would make them, drawn from instance labels.

All positions in this module are (row, col) on the target grid of one window; `to_frame` turns
them into the (x, y) model pixels that the prompt encoder takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .crops import Window

NEGATIVE, POSITIVE, CORNER_0, CORNER_1 = 0, 1, 2, 3
NONE = -1

SMALLEST = 8.0
"""Smallest diameter of an object that is trained and validated on, in model pixels."""


@dataclass(frozen=True, slots=True)
class FirstPrompts:
    """One first prompt for each of N objects, as two tokens each.

    Attributes
    ----------
    coords : ndarray, float32, (N, 2, 2)
        (x, y) in the frame; a click is followed by an empty token, a box is its two corners.
    labels : ndarray, int64, (N, 2)
    is_box : ndarray, bool, (N,)
    """

    coords: NDArray[np.float32]
    labels: NDArray[np.int64]
    is_box: NDArray[np.bool_]


def visible_objects(labels: NDArray[np.int32], step: float) -> list[int]:
    """Labels of the objects worth prompting: not specks, and not slivers at the border."""
    areas = np.bincount(labels.ravel())
    least = np.pi / 4 * (SMALLEST / step) ** 2
    found: list[int] = []
    boxes = ndimage.find_objects(labels)
    for label in np.flatnonzero(areas[1:] >= least) + 1:
        rows, cols = boxes[label - 1]
        if min(rows.stop - rows.start, cols.stop - cols.start) * step >= SMALLEST / 2:
            found.append(int(label))
    return found


def interior_point(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """Draw a point inside a mask, mostly nearer to its middle than to its edge.

    A fifth of the points is the very centre of the largest inscribed circle, three tenths are
    anywhere inside, the rest is weighted by the squared distance to the edge.
    """
    rows, cols = (slice(int(v.min()), int(v.max()) + 1) for v in np.nonzero(mask))
    distance = _depth(mask[rows, cols])
    chance = rng.random()
    if chance < 0.2:
        index = int(distance.argmax())
    else:
        weight = (distance > 0).astype(float) if chance < 0.5 else distance.astype(float) ** 2
        index = int(rng.choice(weight.size, p=(weight / weight.sum()).ravel()))
    row, col = np.unravel_index(index, distance.shape)
    return int(row) + rows.start, int(col) + cols.start


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of each mask pixel to the nearest pixel outside, also outside the array."""
    padded = np.pad(mask, 1)
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    return depth


def jittered_box(
    mask: NDArray[np.bool_], rng: np.random.Generator, *, step: float = 1.0, exact: bool = False
) -> tuple[float, float, float, float]:
    """Bounding box (row0, col0, row1, col1; edges) of a mask with corners moved at random.

    The standard deviation is a twentieth of the side and at most 20 model pixels; half of the boxes
    are exact, and with `exact` all. (Kirillov et al. 2023 take a tenth; of a small object among
    others a box of that kind says too little.)
    """
    rows, cols = np.nonzero(mask)
    box = np.array([rows.min(), cols.min(), rows.max() + 1, cols.max() + 1], float)
    sides = np.array([box[2] - box[0], box[3] - box[1]] * 2)
    if not exact and rng.random() >= 0.5:
        moved = box + rng.normal(0, 1, 4) * np.minimum(0.05 * sides, 20 / step)
        if moved[2] - moved[0] > 1 and moved[3] - moved[1] > 1:
            box = moved
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])


def to_frame(row: float, col: float, window: Window, step: float) -> tuple[float, float]:
    """Turn an edge-based position on the target grid into (x, y) in the frame.

    The prompt encoder adds half a pixel, which is taken off here.
    """
    return col * step + window.left - 0.5, row * step + window.top - 0.5


def first_prompts(
    masks: NDArray[np.bool_],
    windows: Sequence[Window],
    rng: np.random.Generator,
    *,
    box_share: float,
    whole: NDArray[np.bool_] | None = None,
    window: Window | None = None,
    boxable: NDArray[np.bool_] | None = None,
    boxed: NDArray[np.bool_] | None = None,
) -> FirstPrompts:
    """Draw one first prompt for each mask: a click, or a box.

    Parameters
    ----------
    masks : ndarray, bool, (N, T, T)
        Not empty.
    windows : sequence of Window
        What each mask shows; all of one size.
    whole : ndarray, bool, (N, W, W), optional
        The same objects in `window`, of which the others are parts: boxes are drawn round these.
    boxable : ndarray, bool, (N,), optional
        Which objects may be prompted with a box; by default all.
    boxed : ndarray, bool, (N,), optional
        Which are prompted with a box in any case, and that exactly, as nothing else tells of them;
        by default none.
    """
    step = windows[0].side / masks.shape[-1]
    count = len(masks)
    coords = np.zeros((count, 2, 2), np.float32)
    labels = np.full((count, 2), NONE, np.int64)
    is_box = rng.random(count) < box_share
    if boxable is not None:
        is_box &= boxable
    exact = np.zeros(count, bool) if boxed is None else boxed
    is_box |= exact
    for i, (mask, view) in enumerate(zip(masks, windows, strict=True)):
        if is_box[i]:
            full, place = (mask, view) if whole is None else (whole[i], window or view)
            row0, col0, row1, col1 = jittered_box(full, rng, step=step, exact=bool(exact[i]))
            coords[i] = to_frame(row0, col0, place, step), to_frame(row1, col1, place, step)
            labels[i] = CORNER_0, CORNER_1
        else:
            row, col = interior_point(mask, rng)
            # Anywhere in the grid cell: the grid is coarser than the mouse.
            inside = rng.random(2)
            coords[i, 0] = to_frame(row + inside[0], col + inside[1], view, step)
            labels[i, 0] = POSITIVE
    return FirstPrompts(coords, labels, is_box)


def on_border(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the masks (N, T, T) reach the border of what they show."""
    edges = np.concatenate([masks[:, [0, -1]], masks[:, :, [0, -1]].swapaxes(1, 2)], 1)
    return np.asarray(edges.any((1, 2)))


def correction_click(
    found: NDArray[np.bool_],
    wanted: NDArray[np.bool_],
    rng: np.random.Generator | None = None,
) -> tuple[int, int, int]:
    """Choose the next click: (row, col, 1 where the object is missing, 0 where it is too much).

    Without `rng` it is the robot's click, in the middle of the largest error region; with it
    three in ten clicks are anywhere in the error. Without an error it is a click on the object.
    """
    wrong = found != wanted
    if not wrong.any():
        wrong = wanted
        if not wrong.any():
            raise ValueError('A correction click needs an object; the wanted mask is empty.')
    rows, cols = (slice(int(v.min()), int(v.max()) + 1) for v in np.nonzero(wrong))
    wrong, positive = wrong[rows, cols], wanted[rows, cols]
    if rng is not None and rng.random() < 0.3:
        inside = np.argwhere(wrong)
        row, col = inside[rng.integers(len(inside))]
    else:
        missing, surplus = wrong & positive, wrong & ~positive
        if rng is None:
            missing, surplus = _largest(missing), _largest(surplus)
            if missing.sum() >= surplus.sum():
                surplus = np.zeros_like(surplus)
            else:
                missing = np.zeros_like(missing)
        depth = np.maximum(_depth(missing), _depth(surplus))
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(row) + rows.start, int(col) + cols.start, int(positive[row, col])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected part of a mask."""
    parts, count = ndimage.label(mask)
    if count <= 1:
        return mask
    kept: NDArray[np.bool_] = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    return kept

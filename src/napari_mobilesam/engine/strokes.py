"""Strokes and regions that a user draws, as prompts that the model understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .drawing import grid_within
from .mask_prompt import MaskPrompt, mask_logits
from .patch import Patch
from .prompts import Drawn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .prompts import Point, Prompts

# A handful of points tells the model as much of a stroke as a hundred would.
STROKE_POINTS = 6
# Fine enough for a prompt that is read at 256.
_GRID = 1024


def sample_stroke(vertices: ArrayLike, count: int = STROKE_POINTS) -> tuple[Point, ...]:
    """Choose points along a stroke: always the same ones for the same line.

    The stroke is cut into pieces of equal length, and the middle of each is a point, so that none
    lies at the ends, where a hand is least exact. How many vertices the line has does not matter.

    Parameters
    ----------
    vertices : array-like of shape (N, 2)
        (row, column) along the stroke, in pixels of the plane.
    count : int
        How many points at most; a short stroke has one for each pixel of its length.

    Returns
    -------
    tuple of (row, column)
        Along the stroke, at least one.

    Raises
    ------
    ValueError
        If there are no vertices.
    """
    line = np.asarray(vertices, np.float64).reshape(-1, 2)
    if not len(line):
        raise ValueError('a stroke has at least one vertex; got none')
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    pieces = int(np.clip(np.floor(walked[-1]), 1, count))
    places = (np.arange(pieces) + 0.5) * walked[-1] / pieces
    rows, columns = (np.interp(places, walked, line[:, axis]) for axis in (0, 1))
    return tuple(zip(rows.tolist(), columns.tolist(), strict=True))


def ellipse_outline(corners: ArrayLike, count: int = 64) -> NDArray[np.float64]:
    """Return the outline, shape (count, 2), of the ellipse within a rectangle or parallelogram.

    Parameters
    ----------
    corners : array-like of shape (4, 2)
        (row, column) of the corners, in order round it.
    count : int
        How many vertices.
    """
    first, second, third, fourth = np.asarray(corners, np.float64)
    angles = 2 * np.pi * np.arange(count)[:, None] / count
    centre = (first + third) / 2
    outline: NDArray[np.float64] = (
        centre + np.cos(angles) * (second - first) / 2 + np.sin(angles) * (fourth - first) / 2
    )
    return outline


def region_prompt(outline: ArrayLike, shape: tuple[int, int]) -> MaskPrompt | None:
    """Make a mask prompt of the inside of an outline.

    Parameters
    ----------
    outline : array-like of shape (N, 2)
        (row, column) of the vertices in pixels of the plane; may lie beside it in part. Where it
        crosses itself, what is enclosed twice is outside.
    shape : tuple of (int, int)
        Rows and columns of the plane.

    Returns
    -------
    MaskPrompt or None
        None where nothing of the plane is inside.
    """
    from PIL import Image, ImageDraw

    grid = grid_within(shape, _GRID)
    places = (np.asarray(outline, np.float64) + 0.5) * np.divide(grid, shape) - 0.5
    if len(places) < 3:
        return None
    picture = Image.new('L', (grid[1], grid[0]))
    corners = [(float(column), float(row)) for row, column in places]
    ImageDraw.Draw(picture).polygon(corners, fill=1)
    inside = np.asarray(picture).astype(bool)
    return MaskPrompt(mask_logits(inside).astype(np.float16), shape) if inside.any() else None


def trace_outline(mask: NDArray[np.bool_], tolerance: float = 0.6) -> NDArray[np.float64]:
    """Return the outline of the largest part of a mask, with few vertices; holes are left out.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        The object.
    tolerance : float
        How far the outline may lie from the border of the mask, in pixels.

    Returns
    -------
    ndarray of shape (N, 2)
        (row, column) of the vertices.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    from skimage.measure import approximate_polygon, find_contours

    patch = Patch.of(mask)
    if not patch.n_pixels:
        raise ValueError('expected a mask with at least one pixel; got an empty one')
    lines = find_contours(np.pad(patch.mask, 1).astype(np.float32), 0.5)
    longest = max(lines, key=lambda line: float(np.ptp(line, axis=0).prod()))
    outline: NDArray[np.float64] = approximate_polygon(longest, tolerance)[:-1]
    return outline - 1 + np.array(patch.corner)


def mask_outline(prompt: MaskPrompt) -> NDArray[np.float64]:
    """Return the outline of a mask prompt, (N, 2) in pixels of the plane: as `trace_outline`."""
    cell = max(prompt.shape) / prompt.logits.shape[0]
    return (trace_outline(prompt.logits > 0) + 0.5) * cell - 0.5


def unmade(prompts: Prompts) -> tuple[list[tuple[Point, bool]], list[Drawn]]:
    """Take prompts apart into what a user did: points clicked, and shapes drawn.

    Where it is not known how a box or mask was drawn, a rectangle or an outline stands for it.

    Returns
    -------
    clicked : list of ((row, column), bool)
        Places and polarities.
    shapes : list of Drawn
        At most one box or region, then the strokes.
    """
    strokes = [shape for shape in prompts.drawn if shape.kind in ('path', 'line')]
    areas = [shape for shape in prompts.drawn if shape not in strokes][:1]
    if not areas and prompts.mask is not None and prompts.mask.extent:
        outline = mask_outline(prompts.mask)
        areas = [Drawn('polygon', tuple((row, column) for row, column in outline.tolist()))]
    elif not areas and prompts.box is not None:
        row0, column0, row1, column1 = prompts.box
        corners = ((row0, column0), (row0, column1), (row1, column1), (row1, column0))
        areas = [Drawn('rectangle', corners)]
    made = sum(len(sample_stroke(shape.vertices)) for shape in strokes)
    clicked = list(zip(prompts.points, prompts.positive, strict=True))
    return clicked[: max(0, len(clicked) - made)], [*areas, *strokes]

"""The demo's picture: for each sample a row of image, prompts and masks."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_mobilesam.engine.outline import CONTOUR, TINT, contour_width, outline

if TYPE_CHECKING:
    from .headless import Segmented

_PANEL = 420  # pixels of a panel's longer side
_GAP = 12
_CAPTION = 26
_BACKGROUND = (24, 26, 30)
_TEXT = (230, 232, 235)
_PROMPT = (23, 185, 120)
_TINT_STRENGTH = 0.4


def draw(results: Sequence[Segmented]) -> Image.Image:
    """Draw image, prompts and masks of each result in a row, under a line that names them."""
    rows = [_row(result) for result in results]
    width = max(row.width for row in rows)
    sheet = Image.new('RGB', (width, sum(row.height for row in rows)), _BACKGROUND)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def overlay(picture: NDArray[np.uint8], labels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Draw every object as a contour and a tint in a colour of its own.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        What lies below.
    labels : ndarray of uint16, shape (H, W)
        0 = nothing.
    """
    painted = picture.astype(np.float32)
    for label in np.unique(labels[labels > 0]):
        colour = np.asarray(_colour(int(label)), dtype=np.float32)
        drawn = outline(labels == label, contour_width((labels.shape[0], labels.shape[1])))
        tint = drawn == TINT
        painted[tint] += _TINT_STRENGTH * (colour - painted[tint])
        painted[drawn == CONTOUR] = colour
    return np.asarray(painted.round(), dtype=np.uint8)


def _row(result: Segmented) -> Image.Image:
    height, width = result.labels.shape
    scale = _PANEL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(result.picture).resize(size, Image.Resampling.BICUBIC)
    # Labels are enlarged first and drawn afterwards, so that contours are thin and clean.
    labels = np.asarray(Image.fromarray(result.labels).resize(size, Image.Resampling.NEAREST))
    prompts = picture.copy()
    masks = Image.fromarray(overlay(np.asarray(picture), labels))
    for click in result.sample.clicks:
        _mark(prompts, click, scale, radius=5)
        _mark(masks, click, scale, radius=2)
    clicks, count = len(result.sample.clicks), result.count
    overlap = '' if result.overlap is None else f', IoU with truth {result.overlap:.2f}'
    captions = (
        result.sample.name + (f', plane {result.sample.index[0]}' if result.sample.index else ''),
        f'{clicks} click{"s" * (clicks != 1)}',
        f'{count} object{"s" * (count != 1)}, score {np.mean(result.scores):.2f}{overlap}',
    )
    # All panels are as wide as a square one: rows of different shapes stay in columns.
    cell = (_PANEL + _GAP, size[1] + _CAPTION + _GAP)
    row = Image.new('RGB', (3 * cell[0] + _GAP, cell[1]), _BACKGROUND)
    pen = ImageDraw.Draw(row)
    font = ImageFont.load_default(15)
    for number, (panel, caption) in enumerate(
        zip((picture, prompts, masks), captions, strict=True)
    ):
        left = _GAP + number * cell[0]
        pen.text((left, 6), caption, fill=_TEXT, font=font)
        row.paste(panel, (left, _CAPTION))
    return row


def _mark(panel: Image.Image, click: tuple[float, float], scale: float, radius: int) -> None:
    """Draw a prompt; pixel centres are at integers, so half a pixel is added before scaling."""
    y, x = ((value + 0.5) * scale for value in click)
    pen = ImageDraw.Draw(panel)
    box = (x - radius, y - radius, x + radius, y + radius)
    pen.ellipse(box, fill=_PROMPT, outline=(255, 255, 255))


def _colour(label: int) -> tuple[int, int, int]:
    """Give the colour of a label: neighbours in number lie far apart on the colour circle."""
    red, green, blue = colorsys.hsv_to_rgb((0.13 + label * 0.61803) % 1.0, 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)

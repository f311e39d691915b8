"""Windows of the 1024 frame.

Inference scales an image so that its long side is 1024 model pixels, normalises it and pads
it with zeros at the bottom and right. Training cuts windows out of that frame without ever making
the rest of it: a window remembers where in the frame it lies, so position encodings and prompt
coordinates are those of inference.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .config import FRAME, STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .data import Sample

TARGET_STEP = 2
"""Model pixels per target pixel: targets are half as fine as the window."""

LARGEST, SMALLEST = 0.5, 12.0
"""Typical objects are kept below a share of the window's side and above so many model pixels."""

SMALL = 10.0, 30.0
"""Typical diameters of objects that are shown small on purpose, model pixels."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square of the frame and the piece of the image that is seen in it.

    Attributes
    ----------
    top, left : int
        Position in the frame, model pixels, multiples of 16.
    side : int
        Model pixels, a multiple of 16.
    scale : float
        Model pixels per image pixel.
    row, col : float
        Image position of the window's upper left corner, image pixels (edges at integers).
    """

    top: int
    left: int
    side: int
    scale: float
    row: float
    col: float


@dataclass(frozen=True, slots=True)
class Crop:
    """What is seen in a window.

    Attributes
    ----------
    image : ndarray, uint8, (side, side, 3)
    inside : ndarray, bool, (side, side)
        False where the frame is padding.
    labels : ndarray, int32, (side // 2, side // 2)
    window : Window
    grey : bool
    """

    image: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    labels: NDArray[np.int32]
    window: Window
    grey: bool


def frame_scale(shape: tuple[int, int]) -> float:
    """Model pixels per image pixel at inference, for an image of (H, W) pixels."""
    return FRAME / max(shape)


def true_window(shape: tuple[int, int], top: int, left: int, side: int) -> Window:
    """Return the window that inference sees at a position of the frame."""
    scale = frame_scale(shape)
    return Window(top, left, side, scale, top / scale, left / scale)


def draw_window(
    sample: Sample, side: int, rng: np.random.Generator, *, jitter: bool = True, small: float = 0.0
) -> Window:
    """Draw a window that shows at least one object, if one can be found.

    Two thirds of the windows are exactly those of inference, unless typical objects would not
    fit. The others show the image at another magnification and anywhere in the frame, as if it
    were a part of another image; of these one in eight reaches over the lower right border of
    the image into padding.

    Before that, a share `small` of all windows is set aside to show typical objects as small as in
    `SMALL`, if they are larger.
    """
    height, width = sample.labels.shape
    scale = frame_scale((height, width))
    # Half the windows centre on a random object, so that sparse images are not mostly empty.
    row, col = rng.uniform(0, height), rng.uniform(0, width)
    if rng.random() < 0.75:
        found = np.argwhere(sample.labels[:: max(1, height // 256), :: max(1, width // 256)])
        if len(found):
            pick = found[rng.integers(len(found))]
            row, col = pick * (max(1, height // 256), max(1, width // 256)) + rng.random(2)
    row += rng.normal(0, 0.2) * side / scale
    col += rng.normal(0, 0.2) * side / scale
    diameter = typical_size(sample)
    shrunk = small > 0 and rng.random() < small and diameter > SMALL[0]
    if not (jitter or shrunk) or (not shrunk and diameter < LARGEST * side and rng.random() < 0.67):
        last = (FRAME - side) // STRIDE
        token = [
            int(np.clip(round((centre * scale - side / 2) / STRIDE), 0, last))
            for centre in (row, col)
        ]
        return true_window((height, width), token[0] * STRIDE, token[1] * STRIDE, side)
    if shrunk:
        scale *= max(_filling(sample, scale, side), reduction(diameter, rng))
    else:
        scale *= _magnification(sample, diameter, scale, side, rng)
    extent = side / scale
    slack = 0.3 * extent if rng.random() < 0.125 else 0.0
    row = float(np.clip(row - extent / 2, 0, max(0.0, height - extent + slack)))
    col = float(np.clip(col - extent / 2, 0, max(0.0, width - extent + slack)))
    top, left = (int(v) * STRIDE for v in rng.integers(0, (FRAME - side) // STRIDE + 1, 2))
    return Window(top, left, side, scale, row, col)


def draw_kin(sample: Sample, first: Window, count: int, rng: np.random.Generator) -> list[Window]:
    """Draw other windows of the frame that a window is cut from, none overlapping another.

    Returns
    -------
    list of Window
        The given one first; fewer than `count` if the picture is too small at its magnification.
    """
    side, scale = first.side, first.scale
    origin = first.row - first.top / scale, first.col - first.left / scale
    height, width = sample.labels.shape
    starts = np.arange(0, FRAME - side + 1, STRIDE)
    top, left = (
        # At least half of a window should be picture.
        starts[(start + starts / scale >= 0) & (start + (starts + side / 2) / scale <= length)]
        for start, length in zip(origin, (height, width), strict=True)
    )
    windows = [first]
    for _ in range(20 * count):
        if len(windows) == count or not (len(top) and len(left)):
            break
        row, col = int(rng.choice(top)), int(rng.choice(left))
        if all(max(abs(row - w.top), abs(col - w.left)) >= side for w in windows):
            place = origin[0] + row / scale, origin[1] + col / scale
            windows.append(Window(row, col, side, scale, *place))
    return windows


def beside(crops: list[Crop], others: list[Crop], rng: np.random.Generator) -> list[Crop]:
    """Put windows of different pictures into one frame, in new places, with labels of their own.

    Those of another picture are for the prompts to leave alone.

    Raises
    ------
    ValueError
        If the frame has no room for so many.
    """
    together = [*crops, *others]
    side = together[0].window.side
    fitting = FRAME // side
    if len(together) > fitting**2:
        raise ValueError(
            f'{len(together)} windows of {side} model pixels do not fit into a frame of {FRAME}; '
            'put fewer together, or make them smaller.'
        )
    slack = rng.integers(0, (FRAME - fitting * side) // STRIDE + 1, 2) * STRIDE
    used = max((int(crop.labels.max()) for crop in crops), default=0)
    placed: list[Crop] = []
    for number, cell in enumerate(rng.permutation(fitting**2)[: len(together)]):
        crop = together[number]
        top, left = (int(v) for v in slack + np.array(divmod(int(cell), fitting)) * side)
        labels = crop.labels
        if number >= len(crops):
            labels = np.where(labels > 0, labels + used, 0)
        window = dataclasses.replace(crop.window, top=top, left=left)
        placed.append(dataclasses.replace(crop, labels=labels, window=window))
    return placed


def typical_size(sample: Sample) -> float:
    """Diameter of a disc of the objects' median area, model pixels at inference; 0 without any."""
    areas = np.bincount(sample.labels.ravel())[1:]
    areas = areas[areas > 0]
    scale = frame_scale(sample.labels.shape)
    return float(np.sqrt(np.median(areas) * 4 / np.pi)) * scale if len(areas) else 0.0


def _magnification(
    sample: Sample, diameter: float, scale: float, side: int, rng: np.random.Generator
) -> float:
    """Draw a factor that leaves typical objects (`diameter` in model pixels) recognisable."""
    factor = float(np.exp(rng.normal(0, 0.5)))
    if not diameter:
        return factor
    if diameter > LARGEST * side:
        # Objects that fill a window cannot be told from its background.
        return float(rng.uniform(0.2, LARGEST)) * side / diameter
    low, high = min(1.0, SMALLEST / diameter), max(1.0, LARGEST * side / diameter)
    low = max(low, _filling(sample, scale, side))
    return float(np.clip(factor, low, max(low, high)))


def _filling(sample: Sample, scale: float, side: int) -> float:
    """Lowest factor at which an image still fills most of a window."""
    return min(1.0, 0.8 * side / (max(sample.labels.shape) * scale))


def reduction(diameter: float, rng: np.random.Generator) -> float:
    """Draw a factor, 1 at most, that shows objects of a diameter in model pixels small."""
    low, high = np.log(SMALL)
    return min(1.0, float(np.exp(rng.uniform(low, high))) / diameter)


def cut(sample: Sample, window: Window) -> Crop:
    """Resample the part of a sample that a window shows.

    The image is resampled with the antialiased bilinear filter of inference, labels by nearest
    neighbour at half the window's resolution.
    """
    height, width = sample.labels.shape
    side, scale = window.side, window.scale
    rows = int(np.clip(round((height - window.row) * scale), 0, side))
    cols = int(np.clip(round((width - window.col) * scale), 0, side))
    image = np.zeros((side, side, 3), np.uint8)
    inside = np.zeros((side, side), bool)
    labels = np.zeros((side // TARGET_STEP, side // TARGET_STEP), np.int32)
    if rows and cols:
        image[:rows, :cols] = _resample(sample.image, window, rows, cols)
        inside[:rows, :cols] = True
        labels = _nearest(sample.labels, window, rows, cols)
    return Crop(image, inside, labels, window, sample.grey)


def _resample(image: NDArray[np.uint8], window: Window, rows: int, cols: int) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = image.shape[:2]
    right = min(width, window.col + cols / window.scale)
    bottom = min(height, window.row + rows / window.scale)
    # Only the needed region and the filter's reach around it are handed over.
    reach = int(np.ceil(2 / window.scale)) + 2
    r0, c0 = max(0, int(window.row) - reach), max(0, int(window.col) - reach)
    r1, c1 = int(np.ceil(bottom)) + reach, int(np.ceil(right)) + reach
    piece = Image.fromarray(np.ascontiguousarray(image[r0:r1, c0:c1]))
    box = (window.col - c0, window.row - r0, right - c0, bottom - r0)
    return np.asarray(piece.resize((cols, rows), Image.Resampling.BILINEAR, box=box))


def _nearest(labels: NDArray[np.int32], window: Window, rows: int, cols: int) -> NDArray[np.int32]:
    size = window.side // TARGET_STEP
    centres = (np.arange(size) + 0.5) * TARGET_STEP
    r = np.floor(window.row + centres / window.scale).astype(np.intp)
    c = np.floor(window.col + centres / window.scale).astype(np.intp)
    taken = labels[
        np.clip(r, 0, labels.shape[0] - 1)[:, None], np.clip(c, 0, labels.shape[1] - 1)
    ].copy()
    taken[centres >= rows] = 0
    taken[:, centres >= cols] = 0
    return taken

"""Draw a contact sheet: held-out objects and their masks after one click, a row per modality.

    python scripts/contact_sheet.py --data DIR --weights NAME|PATH --output docs/images/sheet.png

Truth is drawn as a cyan line just outside of the object, the mask as a magenta line just inside
of it, the click as a yellow cross, and the IoU is written below. Which planes and objects are
shown follows from their names and sizes alone, as in ``napari-mobilesam evaluate``.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

CYAN, MAGENTA, YELLOW = (0, 220, 230), (255, 40, 200), (255, 225, 0)
GROUND, INK = (18, 18, 20), (235, 235, 235)
GAP, HEAD, LINE = 6, 26, 18
CONTEXT = 2.6
"""Side of what is shown, in sides of the object's bounding box."""
SMALLEST = 40
"""And at least so many pixels of the image."""


@dataclass(frozen=True)
class Tile:
    """One object: the picture round it, the truth, the mask, the click (row, col), the IoU."""

    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    click: tuple[float, float]
    iou: float


def surroundings(truth: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return a square round an object, within the image."""
    rows, cols = (np.flatnonzero(truth.any(axis)) for axis in (1, 0))
    side = max(SMALLEST, round(CONTEXT * max(np.ptp(rows), np.ptp(cols))))
    place = []
    for found, length in zip((rows, cols), truth.shape, strict=True):
        start = int(np.clip((found[0] + found[-1]) // 2 - side // 2, 0, max(0, length - side)))
        place.append(slice(start, min(length, start + side)))
    return place[0], place[1]


def draw_tile(tile: Tile, side: int) -> Image.Image:
    """Draw one object at a size."""
    place = surroundings(tile.truth)
    cut = tile.image[place]
    scale = side / max(cut.shape[:2])
    size = (round(cut.shape[1] * scale), round(cut.shape[0] * scale))
    pixels = np.array(Image.fromarray(cut).resize(size, Image.Resampling.BILINEAR))
    truth, mask = (
        np.array(Image.fromarray(m[place]).resize(size, Image.Resampling.NEAREST))
        for m in (tile.truth, tile.mask)
    )
    pixels[ndimage.binary_dilation(truth) & ~truth] = CYAN
    pixels[mask & ~ndimage.binary_erosion(mask)] = MAGENTA
    drawn = Image.new('RGB', (side, side), GROUND)
    drawn.paste(Image.fromarray(pixels), (0, 0))
    y, x = ((v + 0.5 - p.start) * scale for v, p in zip(tile.click, place, strict=True))
    pen = ImageDraw.Draw(drawn)
    for dx, dy in ((4, 0), (0, 4)):
        pen.line((x - dx, y - dy, x + dx, y + dy), fill=YELLOW, width=2)
    return drawn


def draw_sheet(rows: dict[str, list[Tile]], title: str, side: int) -> Image.Image:
    """Draw all tiles under a title with the legend."""
    columns = max(len(tiles) for tiles in rows.values())
    width = GAP + columns * (side + GAP)
    sheet = Image.new('RGB', (width, HEAD + len(rows) * (side + 2 * LINE + GAP)), GROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    x = float(GAP)
    for text, colour in (
        (f'{title}    ', INK), ('truth   ', CYAN), ('mask   ', MAGENTA), ('click', YELLOW),
    ):  # fmt: skip
        pen.text((x, 6), text, fill=colour, font=font)
        x += pen.textlength(text, font=font)
    for number, (name, tiles) in enumerate(rows.items()):
        y = HEAD + number * (side + 2 * LINE + GAP)
        mean = np.mean([tile.iou for tile in tiles])
        pen.text((GAP, y), f'{name}, mean of these {mean:.2f}', fill=INK, font=font)
        for column, tile in enumerate(tiles):
            left = GAP + column * (side + GAP)
            sheet.paste(draw_tile(tile, side), (left, y + LINE))
            pen.text((left, y + LINE + side + 1), f'IoU {tile.iou:.2f}', fill=INK, font=font)
    return sheet


def encode(sheet: Image.Image, limit: int) -> bytes:
    """Return a PNG of at most `limit` bytes, with as many colours as that allows.

    Raises
    ------
    ValueError
        If 16 colours are too many.
    """
    own = [*CYAN, *MAGENTA, *YELLOW, *INK]
    for colours in (256, 128, 64, 32, 16):
        # A quantizer has no eye for a few bright pixels: ours are given, the pictures get the rest.
        rest = colours - len(own) // 3
        palette = Image.new('P', (1, 1))
        palette.putpalette([*(sheet.quantize(rest).getpalette() or [])[: 3 * rest], *own])
        stream = io.BytesIO()
        reduced = sheet.quantize(palette=palette, dither=Image.Dither.NONE)
        reduced.save(stream, 'PNG', optimize=True)
        if stream.tell() <= limit:
            return stream.getvalue()
    raise ValueError(
        f'With 16 colours the sheet still takes {stream.tell()} bytes, more than {limit}; '
        'show fewer objects (--images, --objects) or smaller ones (--side).'
    )


def collect(
    data: Path, weights: str, images: int, objects: int, split: str
) -> tuple[str, dict[str, list[Tile]]]:
    """Click on the chosen objects; return the model's name and the tiles of each modality."""
    from mobile_sam.checkpoints import load_model
    from mobile_sam.training.data import Reader, read_items, split_items
    from mobile_sam.training.evaluation import SamContestant, choose_items, choose_objects
    from mobile_sam.training.evaluation.asking import Asked
    from mobile_sam.training.evaluation.metrics import iou
    from mobile_sam.training.prompts import correction_click

    loaded = load_model(weights)
    contestant = SamContestant.of(loaded, loaded.name)
    items, reader = read_items(data), Reader()
    if split == 'held':
        items = split_items(items)[1]
    rows: dict[str, list[Tile]] = {}
    for item in choose_items(items, images):
        sample = reader(item)
        # The smallest and the largest of a plane show little; those between are typical.
        chosen = choose_objects(sample, objects + 2)
        chosen = chosen[1:-1] if len(chosen) == objects + 2 else chosen[:objects]
        look = contestant.look(sample)
        for label in chosen:
            truth = sample.labels == label
            click = correction_click(np.zeros_like(truth), truth)[:2]
            reply = look.answer(Asked.clicks(np.array([click], float)))
            found, _ = reply.chosen(reply.best())
            value = float(iou(found, truth[None])[0])
            rows.setdefault(item.modality, []).append(
                Tile(sample.image, truth, found[0], click, value)
            )
    return loaded.name, rows


def main(arguments: list[str] | None = None) -> int:
    """Draw the sheet that the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, required=True, help='folder, as for training')
    parser.add_argument('--weights', default='mobilesam-microscopy', help='name or path')
    parser.add_argument('--output', type=Path, required=True, help='PNG file')
    parser.add_argument('--split', choices=('held', 'all'), default='held')
    parser.add_argument('--images', type=int, default=3, help='planes of each modality')
    parser.add_argument('--objects', type=int, default=2, help='objects of each plane')
    parser.add_argument('--side', type=int, default=170, help='pixels of one picture')
    parser.add_argument('--limit', type=int, default=600_000, help='bytes of the file, at most')
    options = parser.parse_args(arguments)
    name, rows = collect(
        options.data, options.weights, options.images, options.objects, options.split
    )
    if not rows:
        print('There is no object to show; check the data, or use --split all.', file=sys.stderr)
        return 1
    content = encode(draw_sheet(rows, f'{name}, one click', options.side), options.limit)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(content)
    print(f'{options.output}: {sum(map(len, rows.values()))} objects, {len(content)} bytes')
    return 0


if __name__ == '__main__':
    sys.exit(main())

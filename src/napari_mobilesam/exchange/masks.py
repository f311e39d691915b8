"""One binary picture per object, in a folder: PNG for planes, TIFF for stacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .files import replacing
from .segmentation import Segmentation


def write(segmentation: Segmentation, path: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write the mask of each object to a file of its own, 0 and 255, in a new folder.

    The files are called after the ids: ``00001.png``. They have the size of the labels.
    """
    import tifffile
    from PIL import Image
    from scipy import ndimage

    labels = segmentation.labels
    ids, compact = np.unique(labels, return_inverse=True)
    numbers = compact.reshape(labels.shape).astype(np.int32) + int(ids[0] != 0)
    boxes = ndimage.find_objects(numbers)
    suffix = '.png' if labels.ndim == 2 else '.tif'
    names = []
    with replacing(path, overwrite, _is_masks) as part:
        part.mkdir()
        for number, (label, box) in enumerate(zip(ids[ids != 0], boxes, strict=True), 1):
            if segmentation.watch is not None:
                segmentation.watch(number - 1, len(boxes))
            mask = np.zeros(labels.shape, np.uint8)
            mask[box][numbers[box] == number] = 255
            names.append(f'{int(label):05d}{suffix}')
            if labels.ndim == 2:
                Image.fromarray(mask).save(part / names[-1], format='PNG')
            else:
                tifffile.imwrite(
                    part / names[-1],
                    mask,
                    photometric='minisblack',
                    compression='zlib',
                    metadata={'axes': segmentation.axes.upper()},
                )
    return tuple(path / name for name in names)


def read(path: Path) -> Segmentation:
    """Read a folder of masks: all files whose names are ids; where they overlap, later ids win.

    Raises
    ------
    ExchangeError
        If there are none, or of different sizes.
    """
    from . import png, tiff
    from .errors import ExchangeError

    if not path.is_dir():
        raise ExchangeError(f'"{path}" is no folder of masks')
    readers = {'.png': png.read, '.tif': tiff.read}
    files = sorted((int(file.stem), file) for file in path.iterdir() if _is_mask(file))
    labels, axes = None, ''
    for label, file in files:
        found = readers[file.suffix](file)
        if labels is None:
            labels, axes = np.zeros(found.shape, np.int64), found.axes
        if found.shape != labels.shape:
            raise ExchangeError(f'"{file}" has the shape {found.shape}, others {labels.shape}')
        labels[found.labels > 0] = label
    if labels is None:
        raise ExchangeError(f'"{path}" holds no masks: files named after ids, like 00001.png')
    return Segmentation(labels, axes, name=path.name)


def _is_masks(path: Path) -> bool:
    return all(_is_mask(file) for file in path.iterdir())


def _is_mask(file: Path) -> bool:
    return file.suffix in ('.png', '.tif') and file.stem.isascii() and file.stem.isdigit()

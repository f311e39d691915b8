"""Labels as 16-bit PNG: one picture of a plane, or one per plane of a stack."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .errors import ExchangeError
from .files import check_source, check_target, check_voxels, replacing
from .segmentation import Segmentation

_MODES = {'1', 'L', 'P', 'I', 'I;16', 'I;16B', 'I;16L', 'I;16N'}


def write(segmentation: Segmentation, path: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write labels to a PNG of 16 bits.

    A stack gets one file per plane, named after the position of each on the other axes:
    ``labels.png`` becomes ``labels_z0000.png``, ``labels_z0001.png``, ...

    Raises
    ------
    ExchangeError
        If an id needs more than 16 bits.
    """
    from PIL import Image

    largest = int(segmentation.labels.max())
    if largest >= 2**16:
        raise ExchangeError(
            f'PNG holds ids up to 65535; the largest is {largest}. Export TIFF or OME-Zarr, or '
            'renumber the objects'
        )
    planes = {
        path.with_name(path.stem + _position(segmentation, index) + path.suffix): index
        for index in segmentation.planes()
    }
    for target in planes:  # all of them, before the first one is written
        check_target(target, overwrite)
    for target, index in planes.items():
        with replacing(target, overwrite) as part:
            plane = np.ascontiguousarray(segmentation.labels[index], np.uint16)
            Image.fromarray(plane).save(part, format='PNG')
    return tuple(planes)


def read(path: Path) -> Segmentation:
    """Read the labels of one plane from a PNG: grey, or of numbered colours.

    Raises
    ------
    ExchangeError
        If it is a colour picture.
    """
    from PIL import Image

    check_source(path)
    with Image.open(path, formats=['PNG']) as picture:
        check_voxels((picture.height, picture.width))
        if picture.mode not in _MODES:
            raise ExchangeError(
                f'"{path}" is a colour picture (mode {picture.mode}); labels have one number per '
                'pixel'
            )
        labels = np.asarray(picture)
    return Segmentation(labels, name=path.stem)


def _position(segmentation: Segmentation, index: tuple[int, ...]) -> str:
    return ''.join(f'_{a}{i:04d}' for a, i in segmentation.position(index).items())

"""Images: opened for the command line and scripts, with axes and calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ExchangeError
from .files import check_source
from .segmentation import check_axes

SUFFIXES = ('.tif', '.tiff', '.png', '.jpg', '.jpeg', '.bmp', '.npy', '.zarr')


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image.

    Parameters
    ----------
    pixels : array-like
        Any number of axes, with 3 or 4 colours behind them if `rgb`. May be lazy.
    axes : str
        Letters of ``tczyx``, colours not counted.
    scale : tuple of float
        Size of a pixel along each axis.
    unit : str
        Of the scale.
    rgb : bool
        Whether the last axis is colour.
    path : Path, optional
        Where it came from.
    """

    pixels: Any
    axes: str
    scale: tuple[float, ...]
    unit: str = 'pixel'
    rgb: bool = False
    path: Path | None = None

    def __post_init__(self) -> None:
        check_axes(self.axes, len(self.shape))
        if len(self.scale) != len(self.shape):
            raise ExchangeError(f'the scale is one number per axis of "{self.axes}"')

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without colours: that of the labels."""
        shape = tuple(int(n) for n in self.pixels.shape)
        return shape[:-1] if self.rgb else shape

    @property
    def name(self) -> str:
        """What it is called: its file without endings."""
        if self.path is None:
            return 'image'
        return stem_of(self.path)


def stem_of(path: Path) -> str:
    """Return the name of an image without its endings."""
    name = path.name
    for suffix in ('.ome.tiff', '.ome.tif', '.ome.zarr', *SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or name
    return name


def open_image(path: str | Path) -> Picture:
    """Open a TIFF, PNG, JPEG, BMP, npy or OME-Zarr.

    Raises
    ------
    ExchangeError
        If it is none of them, or damaged.
    """
    path = Path(path)
    ending = path.name.lower()
    if not ending.endswith(SUFFIXES) and not path.is_dir():
        raise ExchangeError(f'"{path}" is no image that is read: {", ".join(SUFFIXES)}')
    try:
        if path.is_dir():
            return _zarr(path)
        check_source(path)
        if ending.endswith(('.tif', '.tiff')):
            return _tiff(path)
        if ending.endswith('.npy'):
            pixels = np.load(path, mmap_mode='r', allow_pickle=False)
            return from_array(pixels, path=path)
        return _flat(path)
    except ExchangeError:
        raise
    except Exception as error:  # whatever readers make of damaged files
        raise ExchangeError(f'"{path}" cannot be read: {error or type(error).__name__}') from None


def from_array(
    pixels: Any,
    axes: str = '',
    scale: tuple[float, ...] = (),
    unit: str = 'pixel',
    *,
    rgb: bool = False,
    path: Path | None = None,
) -> Picture:
    """Take an array for an image; axes as `Segmentation` has them by default."""
    ndim = len(pixels.shape) - int(rgb)
    axes = axes or {2: 'yx', 3: 'zyx', 4: 'tzyx', 5: 'tczyx'}.get(ndim, '')
    if np.dtype(pixels.dtype).kind not in 'buif':
        raise ExchangeError(f'images are real numbers; got {pixels.dtype}')
    return Picture(pixels, axes, tuple(scale) or (1.0,) * ndim, unit, rgb, path)


def images_in(path: Path) -> Iterator[Path]:
    """Give the images of a folder, sorted by name, or the path itself where it is an image.

    Raises
    ------
    ExchangeError
        If there is none.
    """
    if not path.is_dir() or any((path / name).exists() for name in ('zarr.json', '.zattrs')):
        yield path
        return
    found = sorted(
        file
        for file in path.iterdir()
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith('.')
    )
    if not found:
        raise ExchangeError(f'there are no images in "{path}"')
    yield from found


def _zarr(path: Path) -> Picture:
    from .omezarr import open_level

    array, axes, scale, unit = open_level(path)
    return Picture(array, axes, scale, unit, False, path)


def _tiff(path: Path) -> Picture:
    import tifffile

    from .tiff import axis_letters, check_whole, pixel_size

    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise ExchangeError(f'"{path}" holds no picture')
        series = file.series[0]
        check_whole(file, series, path)
        rgb = series.axes.endswith('S')
        axes = axis_letters(series.axes[:-1] if rgb else series.axes)
        sizes, unit = pixel_size(file)
        pixels = series.asarray()
    order = sorted(range(len(axes)), key=lambda i: 'tczyx'.index(axes[i]))
    names = ''.join(axes[i] for i in order)
    pixels = pixels.transpose((*order, len(order)) if rgb else order)
    return Picture(pixels, names, tuple(sizes.get(a, 1.0) for a in names), unit, rgb, path)


def _flat(path: Path) -> Picture:
    from PIL import Image

    with Image.open(path) as picture:
        if picture.mode in ('P', 'CMYK', 'YCbCr', 'LA', 'PA'):
            picture.load()
            pixels = np.asarray(picture.convert('RGB'))
        else:
            pixels = np.asarray(picture)
    return from_array(pixels, rgb=pixels.ndim == 3, path=path)

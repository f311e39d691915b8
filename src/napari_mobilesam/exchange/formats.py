"""Formats: which there are, how they are told apart, and what each one keeps.

`export` and `load` are the one way in and out for the window, the command line, napari's writers
and scripts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from napari_mobilesam.engine import Cancelled

from .errors import ExchangeError
from .files import reason
from .segmentation import Segmentation


@dataclass(frozen=True, slots=True)
class Format:
    """A format that segmentations can be written to or read from.

    Parameters
    ----------
    name : str
        What `export` and ``--format`` call it.
    title : str
        What a person calls it.
    suffixes : tuple of str
        Ends of file names, in small letters, the usual one first; none for a folder.
    module, writer, reader : str
        Where its functions are; empty where it can only be written or only be read.
    keeps : str
        What survives a round trip.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    module: str
    writer: str = ''
    reader: str = ''
    keeps: str = ''

    def function(self, name: str) -> Callable[..., Any]:
        """Import one of the format's functions: what it needs may be large."""
        found: Callable[..., Any] = getattr(import_module(f'.{self.module}', __package__), name)
        return found


_EXACT = 'masks exactly; ids, classes, flags, scores'

FORMATS = (
    Format(
        'tiff',
        'TIFF labels (ImageJ)',
        ('.tif', '.tiff'),
        'tiff',
        'write',
        'read',
        f'{_EXACT}; calibration',
    ),
    Format(
        'ome-zarr',
        'OME-Zarr labels',
        ('.ome.zarr', '.zarr'),
        'omezarr',
        'write',
        'read',
        f'{_EXACT}; calibration',
    ),
    Format('png', 'PNG labels (16 bit)', ('.png',), 'png', 'write', 'read', 'masks, ids to 65535'),
    Format('masks', 'Folder of binary masks', (), 'masks', 'write', 'read', 'masks and ids'),
    Format('coco', 'COCO', ('.coco.json', '.json'), 'coco', 'write', 'read', _EXACT),
    Format('geojson', 'GeoJSON (QuPath)', ('.geojson',), 'geojson', 'write', 'read', _EXACT),
    Format(
        'imagej-roi',
        'ImageJ ROIs',
        ('.zip', '.roi'),
        'imagej_roi',
        'write',
        'read',
        f'{_EXACT}; class colours become those of the outlines',
    ),
    Format('shapes', 'napari Shapes (CSV)', ('.shapes.csv',), 'shapes', 'write', 'read', _EXACT),
    Format('csv', 'Table of measurements', ('.csv',), 'table', 'write_csv'),
    Format('parquet', 'Table of measurements', ('.parquet',), 'table', 'write_parquet'),
)


def format_of(path: str | PathLike[str], name: str | None = None) -> Format:
    """Return the format of a name: `name` where given, else by how `path` ends.

    Raises
    ------
    ExchangeError
        If there is none.
    """
    if name is not None:
        for form in FORMATS:
            if form.name == name:
                return form
        raise ExchangeError(
            f'there is no format {name!r}; there are {", ".join(form.name for form in FORMATS)}'
        )
    ending = Path(path).name.lower()
    for form in FORMATS:
        if ending.endswith(form.suffixes) and form.suffixes:
            return form
    if Path(path).parent.name == 'labels' and Path(path).parent.parent.name.endswith('.zarr'):
        return format_of(path, 'ome-zarr')  # of an image's own labels
    suffixes = ', '.join(suffix for form in FORMATS for suffix in form.suffixes)
    raise ExchangeError(
        f'"{str(path)[-80:]}" does not say its format: end it with one of {suffixes}, or name one'
    )


def export(
    segmentation: Segmentation,
    path: str | PathLike[str],
    format: str | None = None,  # noqa: A002 - the word that callers look for
    *,
    overwrite: bool = False,
    **options: Any,
) -> tuple[Path, ...]:
    """Write a segmentation to a file or folder, whole or not at all.

    Parameters
    ----------
    segmentation : Segmentation
        What to write.
    path : path-like
        Where. How it ends decides on the format.
    format : str, optional
        Name of a format of `FORMATS`, where the ending does not tell.
    overwrite : bool
        Whether what is there may be replaced.
    **options
        Of the format: ``polygons=True`` for COCO, ``per_plane=True`` for tables.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    ExchangeError
        If it could not be written; what was there before is unharmed.
    """
    form = format_of(path, format)
    if not form.writer:
        raise ExchangeError(f'{form.title} can be read, not written')
    writer = form.function(form.writer)
    unknown = set(options) - set(inspect.signature(writer).parameters)
    if unknown:
        raise ExchangeError(f'{form.title} has no option {", ".join(sorted(unknown))}')
    with _explained(Path(path), 'written', form):
        written: tuple[Path, ...] = writer(segmentation, Path(path), overwrite=overwrite, **options)
    return written


def load(
    path: str | PathLike[str],
    format: str | None = None,  # noqa: A002
    *,
    shape: Sequence[int] | None = None,
    axes: str = '',
) -> Segmentation:
    """Read a segmentation: labels as they are, outlines painted.

    Parameters
    ----------
    path : path-like
        A file or folder. How it ends decides on the format.
    format : str, optional
        Name of a format, where the ending does not tell.
    shape : sequence of int, optional
        Of the image that it belongs to. Needed for formats that do not tell; checked for others.
    axes : str
        Its axes, letters of ``tczyx``.

    Raises
    ------
    ExchangeError
        If it cannot be read, or belongs to another image.
    """
    path = Path(path)
    if format is None and path.is_dir():
        zarr = any((path / name).exists() for name in ('zarr.json', '.zattrs'))
        format = 'ome-zarr' if zarr else 'masks'  # noqa: A001
    form = format_of(path, format)
    if not form.reader:
        raise ExchangeError(f'{form.title} can be written, not read')
    reader = form.function(form.reader)
    with _explained(path, 'read', form):
        if 'shape' in inspect.signature(reader).parameters:
            found: Segmentation = reader(path, shape=shape, axes=axes)
        else:
            found = reader(path)
    if shape is not None and found.shape != tuple(shape):
        raise ExchangeError(
            f'"{path}" holds labels of shape {found.shape}, the image has {tuple(shape)}: choose '
            'the image that they belong to'
        )
    return found


@contextmanager
def _explained(path: Path, verb: str, form: Format) -> Iterator[None]:
    """Turn whatever a library makes of a damaged file into a sentence.

    Readers of foreign formats raise nearly anything on hostile bytes; this border is where that
    ends.
    """
    try:
        yield
    except (ExchangeError, Cancelled):
        raise
    except Exception as error:
        detail = reason(error) if isinstance(error, OSError) else f'{error or type(error).__name__}'
        raise ExchangeError(
            f'"{str(path)[-160:]}" cannot be {verb} as {form.title}: {detail:.300}'
        ) from error

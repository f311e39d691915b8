"""Labels as TIFF: hyperstacks that ImageJ opens, or OME-TIFF where ids need 32 bits.

ImageJ's own format has 16-bit integers at most. Ids above 65535 go into OME-TIFF of int32, which
ImageJ opens as well (through Bio-Formats, and its own reader as 32-bit numbers, exact up to 2^24).
"""

from __future__ import annotations

import json
import struct
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from .errors import ExchangeError
from .files import check_source, check_voxels, replacing
from .segmentation import Segmentation, read_metadata

_IMAGEJ_BYTES = 2**32 - 2**20
_SHORT = {'micrometer': 'um', 'nanometer': 'nm', 'millimeter': 'mm', 'pixel': 'pixel'}
_LONG = {
    **{short: long for long, short in _SHORT.items()},
    'µm': 'micrometer',
    'μm': 'micrometer',
    '\\u00B5m': 'micrometer',
    'micron': 'micrometer',
    'microns': 'micrometer',
    '': 'pixel',
}


def write(segmentation: Segmentation, path: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write labels to a TIFF; an OME-TIFF if the name ends in ``.ome.tif`` or ids ask for it."""
    import tifffile

    labels, sizes = (
        segmentation.labels,
        dict(zip(segmentation.axes, segmentation.scale, strict=True)),
    )
    small = int(labels.max()) < 2**16
    ome = path.name.lower().endswith(('.ome.tif', '.ome.tiff'))
    if not small or ome:
        with replacing(path, overwrite) as part:
            tifffile.imwrite(
                part,
                labels.astype(np.uint16 if small else np.int32, copy=False),
                ome=True,
                bigtiff=labels.size >= 2**29,
                compression='zlib',
                metadata=_ome_metadata(segmentation, sizes),
            )
        return (path,)
    if labels.size * 2 > _IMAGEJ_BYTES:
        raise ExchangeError(
            f'a TIFF for ImageJ ends at 4 GiB; the labels need {labels.size * 2 / 2**30:.1f}. '
            'Export an OME-TIFF (labels.ome.tif) or OME-Zarr (labels.ome.zarr)'
        )
    metadata: dict[str, Any] = {
        'axes': segmentation.axes.upper(),
        'unit': _SHORT.get(segmentation.unit, segmentation.unit),
        'Info': json.dumps(segmentation.metadata(), ensure_ascii=True),
    }
    if 'z' in sizes:
        metadata['spacing'] = sizes['z']
    if 't' in sizes:
        metadata['finterval'] = sizes['t']
    with replacing(path, overwrite) as part:
        tifffile.imwrite(
            part,
            labels.astype(np.uint16, copy=False),
            imagej=True,
            resolution=(1 / sizes['x'], 1 / sizes['y']),
            metadata=metadata,
        )
    return (path,)


def read(path: Path) -> Segmentation:
    """Read labels from the first series of a TIFF.

    Raises
    ------
    ExchangeError
        If it holds no labels.
    """
    import tifffile

    check_source(path)
    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise ExchangeError(f'"{path}" holds no picture')
        series = file.series[0]
        if 'S' in series.axes:
            raise ExchangeError(
                f'"{path}" is a colour picture (axes {series.axes}); labels have one number per '
                'pixel'
            )
        shape = tuple(int(n) for n in series.shape)
        check_voxels(shape)
        if series.dtype is None or series.dtype.kind not in 'bui':
            raise ExchangeError(
                f'"{path}" holds values of type {series.dtype}; labels are integers. If they are '
                'whole numbers all the same, convert them to int32 first'
            )
        axes = axis_letters(series.axes)
        metadata = dict(file.imagej_metadata or {})
        objects, colours = read_metadata(_info(metadata, file.ome_metadata))
        sizes, unit = pixel_size(file)
        check_whole(file, series, path)
        labels = series.asarray()
    order = sorted(range(len(axes)), key=lambda i: 'tczyx'.index(axes[i]))
    names = ''.join(axes[i] for i in order)
    return Segmentation(
        labels.transpose(order),
        names,
        tuple(sizes.get(axis, 1.0) for axis in names),
        unit,
        objects,
        colours,
        path.stem,
    )


def check_whole(file: Any, series: Any, path: Path) -> None:
    """Make sure that all is there: tifffile takes missing pixels for zeros, and skips tags."""
    handle = file.filehandle
    size, first = handle.size, file.pages.first
    handle.seek(first.offset)
    (stated,) = struct.unpack(file.tiff.tagnoformat, handle.read(file.tiff.tagnosize))
    if len(first.tags) < stated:
        raise ExchangeError(f'"{path}" is cut off: its description is missing; copy it again')
    for page in series.pages:
        if page is None:
            raise ExchangeError(f'"{path}" is cut off: pages are missing')
        ends = (a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=True))
        if max(ends, default=0) > size:
            raise ExchangeError(f'"{path}" is cut off: pixels are missing; copy it again')


def axis_letters(axes: str) -> str:
    """Translate tifffile's axes to letters of ``tczyx``; those that it does not know are z, t, c.

    Raises
    ------
    ExchangeError
        If there are more axes than that.
    """
    found = [axis.lower() if axis in 'TCZYX' else '' for axis in axes]
    for i in reversed(range(len(found))):
        free = [axis for axis in 'xyztc' if axis not in found]
        if not found[i]:
            if not free:
                raise ExchangeError(f'images have up to five axes (tczyx); found {axes}')
            found[i] = free[0]
    letters = ''.join(found)
    if len(set(letters)) < len(letters) or not {'y', 'x'} <= set(letters):
        raise ExchangeError(f'expected axes among tczyx, with y and x; found {axes}')
    return letters


def pixel_size(file: Any) -> tuple[dict[str, float], str]:
    """Return the size of a pixel by axis letter, and its unit, of an open TIFF; 1 where unknown."""
    sizes: dict[str, float] = {}
    unit = 'pixel'
    if file.ome_metadata:
        pixels = _ome_pixels(file.ome_metadata)
        for axis in 'XYZ':
            sizes[axis.lower()] = _positive(pixels.get(f'PhysicalSize{axis}'))
        sizes['t'] = _positive(pixels.get('TimeIncrement'))
        if 'PhysicalSizeX' in pixels:
            unit = _LONG.get(pixels.get('PhysicalSizeXUnit', 'µm'), 'micrometer')
    elif file.imagej_metadata:
        found = file.imagej_metadata
        unit = _LONG.get(str(found.get('unit', '')), str(found.get('unit', 'pixel')))
        sizes['z'], sizes['t'] = _positive(found.get('spacing')), _positive(found.get('finterval'))
        for axis, name in (('x', 'XResolution'), ('y', 'YResolution')):
            tag = file.pages.first.tags.get(name)
            if tag is not None and isinstance(tag.value, tuple) and len(tag.value) == 2:
                numerator, denominator = tag.value
                sizes[axis] = _positive(denominator / numerator if numerator else None)
    return sizes, unit


def _positive(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 1.0
    return number if isfinite(number) and number > 0 else 1.0


def _ome_metadata(segmentation: Segmentation, sizes: dict[str, float]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        'axes': segmentation.axes.upper(),
        'Name': segmentation.name,
        'Description': json.dumps(segmentation.metadata(), ensure_ascii=True),
    }
    if segmentation.unit != 'pixel':
        short = _SHORT.get(segmentation.unit, segmentation.unit)
        for axis in 'xyz':
            if axis in sizes:
                metadata[f'PhysicalSize{axis.upper()}'] = sizes[axis]
                metadata[f'PhysicalSize{axis.upper()}Unit'] = 'µm' if short == 'um' else short
    if 't' in sizes:
        metadata['TimeIncrement'] = sizes['t']
    return metadata


def _info(imagej: dict[str, Any], ome: str | None) -> Any:
    text = imagej.get('Info')
    if ome:
        image = _ome_element(ome, 'Description')
        text = None if image is None else image.text
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None  # of another program's


def _ome_pixels(xml: str) -> dict[str, str]:
    element = _ome_element(xml, 'Pixels')
    return {} if element is None else dict(element.attrib)


def _ome_element(xml: str, name: str) -> ElementTree.Element | None:
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    return next((e for e in root.iter() if e.tag.rpartition('}')[2] == name), None)

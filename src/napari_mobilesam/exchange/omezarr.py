"""Labels as OME-Zarr: a multiscale label image with colours and properties.

Source: the Next-Generation File Format specification 0.5, https://ngff.openmicroscopy.org/0.5/,
sections "multiscales", "labels" and "image-label". Files of 0.4 are read as well.
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ExchangeError
from .files import MAX_TEXT, check_source, check_target, check_voxels, child, parse_json, replacing
from .segmentation import Colour, ObjectInfo, Segmentation, is_integer, read_colour

_VERSION = '0.5'
_SMALLEST = 512  # pixels along y and x, below which no further level is made
_KINDS = {'t': 'time', 'c': 'channel', 'z': 'space', 'y': 'space', 'x': 'space'}
_OURS = 'napari_mobilesam'


def write(segmentation: Segmentation, path: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write labels to an OME-Zarr of their own, or into the ``labels`` of an image.

    A path ``image.ome.zarr/labels/NAME``, in an OME-Zarr that is there, adds to that image; its
    list of labels is brought up to date.
    """
    inside = _image_group(path)
    if inside is not None and not path.parent.exists():
        check_target(path.parent, overwrite)
        _write_group(path.parent, {'labels': []})
    with replacing(path, overwrite, is_omezarr) as part:
        _write_labels(segmentation, part, in_image=inside is not None)
    if inside is not None:
        names = _attributes(path.parent).get('labels', [])
        if path.name not in names:
            _write_group(path.parent, {'labels': [*names, path.name]})
    return (path,)


def read(path: Path) -> Segmentation:
    """Read labels from an OME-Zarr: itself, or the first of its ``labels``.

    Raises
    ------
    ExchangeError
        If there are none.
    """
    attributes = _attributes(path)
    if 'image-label' not in attributes and (path / 'labels').is_dir():
        names = _attributes(path / 'labels').get('labels')
        if not isinstance(names, list) or not names:
            raise ExchangeError(f'"{path}" lists no labels')
        return read(child(path / 'labels', names[0]))
    array, axes, scale, unit = open_level(path)
    if array.dtype.kind not in 'bui':
        raise ExchangeError(
            f'"{path}" holds values of type {array.dtype}; labels are integers. If this is the '
            'image, its labels are in the folder "labels", and there is none'
        )
    objects, colours = _read_properties(attributes)
    return Segmentation(
        np.asarray(array[...]), axes, scale, unit, objects, colours, path.name.split('.')[0]
    )


def open_level(path: Path, level: int = 0) -> tuple[Any, str, tuple[float, ...], str]:
    """Open one level of an OME-Zarr; its pixels are not read yet.

    Returns
    -------
    array : zarr.Array
    axes : str
        Letters of ``tczyx``.
    scale : tuple of float
        Size of a pixel along each axis.
    unit : str
        Unit along x.

    Raises
    ------
    ExchangeError
        If this is none.
    """
    import zarr

    attributes = _attributes(path)
    try:
        multiscale = attributes['multiscales'][0]
        dataset = multiscale['datasets'][level]
        axes = ''.join(str(axis['name']).lower() for axis in multiscale['axes'])
        units = {str(axis['name']).lower(): axis.get('unit') for axis in multiscale['axes']}
        transforms = dataset.get('coordinateTransformations', [])
        factors = next((t['scale'] for t in transforms if t.get('type') == 'scale'), None)
        scale = (1.0,) * len(axes) if factors is None else tuple(float(f) for f in factors)
        where = child(path, dataset['path'])
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, ExchangeError):
            raise
        raise ExchangeError(f'"{path}" has no multiscale picture of NGFF 0.4 or 0.5') from None
    array: Any = zarr.open_array(where, mode='r')
    if array.ndim != len(axes) or len(scale) != len(axes):
        raise ExchangeError(
            f'"{path}" says that its axes are "{axes}", and holds an array of shape {array.shape}'
        )
    check_voxels(array.shape)
    if not all(isfinite(factor) and factor > 0 for factor in scale):
        raise ExchangeError(f'"{path}" has the scale {scale}; sizes of pixels are positive')
    return array, axes, scale, str(units.get('x') or 'pixel')


def is_omezarr(path: Path) -> bool:
    """Whether a folder has the metadata of an OME-Zarr picture."""
    try:
        return 'multiscales' in _attributes(path)
    except ExchangeError:
        return False


def _write_labels(segmentation: Segmentation, folder: Path, *, in_image: bool) -> None:
    import zarr

    axes, scale = segmentation.axes, segmentation.scale
    levels = _pyramid(segmentation.labels)
    unit = segmentation.unit
    entries: list[dict[str, Any]] = [
        {'name': axis, 'type': _KINDS[axis]}
        | ({'unit': unit} if axis in 'zyx' and unit != 'pixel' else {})
        for axis in axes
    ]
    datasets = []
    for number in range(len(levels)):
        factor = 2**number
        factors = [s * (factor if a in 'yx' else 1) for a, s in zip(axes, scale, strict=True)]
        # no translation: of two pixels the first one is kept, and its centre is not moved
        transforms = [{'type': 'scale', 'scale': factors}]
        datasets.append({'path': str(number), 'coordinateTransformations': transforms})
    multiscale: dict[str, Any] = {
        'name': segmentation.name,
        'axes': entries,
        'datasets': datasets,
        'type': 'nearest',
    }
    label = {'version': _VERSION, **_properties(segmentation)}
    if in_image:
        label['source'] = {'image': '../../'}
    root = zarr.open_group(folder, mode='w-', zarr_format=3)
    root.attrs['ome'] = {
        'version': _VERSION,
        'multiscales': [multiscale],
        'image-label': label,
    }
    root.attrs[_OURS] = segmentation.metadata()
    for number, level in enumerate(levels):
        chunks = tuple(
            min(n, 1024 if a in 'yx' else 1) for a, n in zip(axes, level.shape, strict=True)
        )
        array = root.create_array(
            str(number),
            shape=level.shape,
            chunks=chunks,
            dtype=level.dtype,
            dimension_names=list(axes),
        )
        array[...] = level


def _pyramid(labels: NDArray[Any]) -> list[NDArray[Any]]:
    levels = [labels]
    while min(levels[-1].shape[-2:]) >= 2 * _SMALLEST:
        levels.append(levels[-1][..., ::2, ::2])
    return levels


def _properties(segmentation: Segmentation) -> dict[str, Any]:
    ids = segmentation.ids
    properties = []
    for label in ids:
        found = segmentation.info(label).to_json()
        properties.append({'label-value': found.pop('label'), **found})
    colours = [{'label-value': i, 'rgba': [*segmentation.colour(i), 255]} for i in ids]
    # the specification has no empty lists here
    return {'colors': colours, 'properties': properties} if ids else {}


def _read_properties(attributes: dict[str, Any]) -> tuple[dict[int, ObjectInfo], dict[str, Colour]]:
    label = attributes.get('image-label')
    properties = label.get('properties') if isinstance(label, dict) else None
    objects: dict[int, ObjectInfo] = {}
    for entry in properties if isinstance(properties, list) else []:
        if isinstance(entry, dict) and is_integer(entry.get('label-value')):
            info = ObjectInfo.from_json({**entry, 'label': entry['label-value']})
            objects[info.label] = info
    ours = attributes.get(_OURS)
    classes = ours.get('classes') if isinstance(ours, dict) else None
    colours = classes.items() if isinstance(classes, dict) else ()
    return objects, {str(k): colour for k, v in colours if (colour := read_colour(v))}


def _attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a group, those under "ome" (0.5) beside the others.

    Read as files, not through zarr: a hostile one must not make it look elsewhere.
    """
    for name in ('zarr.json', '.zattrs'):
        file = path / name
        if not file.is_file():
            continue
        check_source(file, MAX_TEXT)
        try:
            found = parse_json(file.read_bytes())
        except ExchangeError as error:
            raise ExchangeError(f'"{file}" {error}') from None
        if name == 'zarr.json' and isinstance(found, dict):
            found = found.get('attributes')
        if not isinstance(found, dict):
            raise ExchangeError(f'"{file}" has no attributes')
        ome = found.get('ome')
        return {**found, **ome} if isinstance(ome, dict) else found
    raise ExchangeError(f'"{path}" is no OME-Zarr: it has neither zarr.json nor .zattrs')


def _image_group(path: Path) -> Path | None:
    """Return the OME-Zarr image that a path ``IMAGE/labels/NAME`` lies in."""
    image = path.parent.parent
    if path.parent.name != 'labels' or not is_omezarr(image):
        return None
    if not (image / 'zarr.json').is_file():
        raise ExchangeError(
            f'"{image}" is an OME-Zarr of version 0.4, and labels are written as 0.5, which cannot '
            'be mixed; export to a file of its own'
        )
    return image


def _write_group(path: Path, ome: dict[str, Any]) -> None:
    import zarr

    group = zarr.open_group(path, mode='a', zarr_format=3)
    group.attrs['ome'] = {'version': _VERSION, **ome}

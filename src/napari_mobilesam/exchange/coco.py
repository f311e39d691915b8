"""COCO: one image per plane, one annotation per object and plane.

Masks are run-length encoded, exactly, or polygons along pixel edges, in which COCO's own API finds
the same pixels. COCO has no holes in polygons: they hang on a bridge of no width. An object on
several planes is one annotation on each; they share their ``object_id``, which readers that do not
know it skip over.

Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import rle
from .errors import ExchangeError
from .files import load_json, write_json
from .painting import Canvas, Numbers
from .patches import Patch
from .polygons import fill_patch, keyhole, trace
from .segmentation import ObjectInfo, Segmentation, is_integer, read_colour

_OURS = 'napari_mobilesam'
_NO_CLASS = 'object'


def write(
    segmentation: Segmentation, path: Path, *, overwrite: bool = False, polygons: bool = False
) -> tuple[Path, ...]:
    """Write a COCO file; masks as polygons if asked for, else run-length encoded."""
    write_json(path, to_coco(segmentation, polygons=polygons), overwrite)
    return (path,)


def to_coco(segmentation: Segmentation, *, polygons: bool = False) -> dict[str, Any]:
    """Return a segmentation as the content of a COCO file."""
    height, width = segmentation.shape[-2:]
    indices = list(np.ndindex(segmentation.shape[:-2]))
    image_ids = {index: number for number, index in enumerate(indices, 1)}
    images = [
        {
            'id': image_ids[index],
            'file_name': _file_name(segmentation, index),
            'width': width,
            'height': height,
            'plane': segmentation.position(index),
        }
        for index in indices
    ]
    categories: dict[str, dict[str, Any]] = {}
    annotations = []
    for number, patch in enumerate(segmentation.patches(), 1):
        info = segmentation.info(patch.label)
        category = _category(categories, info.class_name, segmentation)
        found = info.to_json()
        annotations.append(
            {
                'id': number,
                'image_id': image_ids[patch.index],
                'category_id': category,
                'object_id': found.pop('label'),
                'segmentation': _polygons(patch) if polygons else _rle(patch, height, width),
                'area': patch.area,
                'bbox': [patch.column, patch.row, patch.mask.shape[1], patch.mask.shape[0]],
                'iscrowd': 0,
                'attributes': {key: value for key, value in found.items() if key != 'class'},
            }
        )
    return {
        'info': {'description': segmentation.name, 'version': '1.0'},
        'licenses': [],
        'images': images,
        'annotations': annotations,
        'categories': list(categories.values()),
        _OURS: {
            'version': 1,
            'axes': segmentation.axes,
            'shape': list(segmentation.shape),
            'scale': list(segmentation.scale),
            'unit': segmentation.unit,
        },
    }


def read(path: Path, *, shape: Sequence[int] | None = None, axes: str = '') -> Segmentation:
    """Read a COCO file; its images are the planes of a stack.

    Parameters
    ----------
    path : Path
    shape, axes
        Of the image that the objects belong to, where it is known; the file's own otherwise.

    Raises
    ------
    ExchangeError
        If it is no such file, or of another image.
    """
    content = load_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ('images', 'annotations')
    ):
        raise ExchangeError(f'"{path}" is no COCO file: it has no "images" and "annotations"')
    images = content['images']
    if not images or not all(
        isinstance(i, dict) and _is_size(i.get('width')) and _is_size(i.get('height'))
        for i in images
    ):
        raise ExchangeError(f'"{path}" names no images with an integer "width" and "height"')
    size = images[0]['height'], images[0]['width']
    if any((i['height'], i['width']) != size for i in images):
        raise ExchangeError(
            f'"{path}" is of {len(images)} images of different sizes; only those of one stack can '
            'be read at once'
        )
    found = content.get(_OURS)
    ours: dict[str, Any] = found if isinstance(found, dict) else {}
    if shape is None:
        shape, axes = _own_shape(ours, len(images), size)
    if tuple(shape[-2:]) != size:
        raise ExchangeError(
            f'"{path}" is of images of {size[1]} x {size[0]} pixels, not of {shape[-1]} x '
            f'{shape[-2]}: choose the image that it belongs to'
        )
    canvas = Canvas(shape, axes)
    planes = _planes(images, canvas)
    classes = _classes(content, canvas)
    numbers = Numbers()
    for annotation in content['annotations']:
        _read_annotation(annotation, planes, classes, canvas, numbers, size)
    scale = ours.get('scale') if ours.get('axes') == canvas.axes else None
    name = Path(str(images[0].get('file_name', path.stem))).stem
    return canvas.finished(tuple(scale or ()), str(ours.get('unit', 'pixel')), name)


def _read_annotation(
    annotation: Any,
    planes: dict[Any, tuple[int, ...]],
    classes: dict[Any, str],
    canvas: Canvas,
    numbers: Numbers,
    size: tuple[int, int],
) -> None:
    if not isinstance(annotation, dict):
        raise ExchangeError('a COCO annotation is a JSON object; found something else')
    image = annotation.get('image_id')
    if not is_integer(image) or image not in planes:
        raise ExchangeError(f'a COCO annotation names the image {image!r:.40}, which is not there')
    label = numbers.give(annotation.get('object_id', annotation.get('id')))
    for row, column, mask in _masks(annotation.get('segmentation'), size):
        canvas.paint(label, planes[image], row, column, mask)
    attributes = annotation.get('attributes')
    known = attributes if isinstance(attributes, dict) and 'object_id' in annotation else {}
    category = annotation.get('category_id')
    name = classes.get(category, '') if is_integer(category) else ''
    canvas.objects[label] = ObjectInfo.from_json({**known, 'label': label, 'class': name})


def _masks(found: Any, size: tuple[int, int]) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Give the parts of an annotation: row, column, mask."""
    if isinstance(found, dict):
        stated = found.get('size')
        if stated != list(size):
            raise ExchangeError(f'a COCO mask has the size {stated!r:.40}, its image {list(size)}')
        counts = found.get('counts')
        if isinstance(counts, str):
            counts = rle.decompress(counts)
        if not isinstance(counts, list):
            raise ExchangeError('a COCO mask has "counts", a string or a list of integers')
        column, mask = rle.decode_columns(counts, size)
        yield 0, column, mask
        return
    if not isinstance(found, list) or not found:
        raise ExchangeError('a COCO segmentation is a list of polygons, or a mask')
    for polygon in found:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ExchangeError('a COCO polygon is a list of at least 3 times x and y')
        try:
            flat = np.array(polygon, np.float64).reshape(-1, 2)
        except (TypeError, ValueError, OverflowError):
            raise ExchangeError('the coordinates of a COCO polygon are numbers') from None
        yield fill_patch([flat[:, ::-1] - 0.5], size)


def _planes(images: list[Any], canvas: Canvas) -> dict[Any, tuple[int, ...]]:
    """Return the plane of each image: as it says, or in the order of the file."""
    stated = all(isinstance(image.get('plane'), dict) for image in images)
    indices = list(np.ndindex(canvas.shape[:-2]))
    if not stated and len(indices) != len(images):
        raise ExchangeError(
            f'the file is of {len(images)} images, the stack has {len(indices)} planes: choose the '
            'image that it belongs to'
        )
    planes: dict[Any, tuple[int, ...]] = {}
    for image, index in zip(images, indices if not stated else [()] * len(images), strict=True):
        number = image.get('id')
        if not is_integer(number) or number in planes:
            raise ExchangeError('COCO images have an integer "id" each, all different')
        position = image.get('plane')
        if stated and not all(is_integer(value) for value in position.values()):
            raise ExchangeError('the "plane" of an image is an integer per axis')
        planes[number] = canvas.index(position) if stated else index
    return planes


def _classes(content: dict[str, Any], canvas: Canvas) -> dict[Any, str]:
    classes: dict[Any, str] = {}
    categories = content.get('categories', [])
    for category in categories if isinstance(categories, list) else []:
        if not isinstance(category, dict) or not is_integer(category.get('id')):
            raise ExchangeError('COCO categories have an integer "id" each')
        name = '' if category.get('unclassified') is True else str(category.get('name', ''))
        classes[category['id']] = name
        colour = read_colour(category.get('color'))
        if name and colour:
            canvas.colours[name] = colour
    return classes


def _own_shape(ours: Any, images: int, size: tuple[int, int]) -> tuple[tuple[int, ...], str]:
    shape, axes = ours.get('shape'), ours.get('axes')
    if isinstance(shape, list) and all(_is_size(n) for n in shape) and isinstance(axes, str):
        return tuple(shape), axes
    return (size, 'yx') if images == 1 else ((images, *size), 'zyx')


def _is_size(value: Any) -> bool:
    return is_integer(value) and value >= 1


def _rle(patch: Patch, height: int, width: int) -> dict[str, Any]:
    # In a column-major mask, the rows above and below the patch are part of its columns' runs.
    framed = np.zeros((height, patch.mask.shape[1]), bool)
    framed[patch.row : patch.row + patch.mask.shape[0]] = patch.mask
    counts = rle.encode_counts(framed)
    before = patch.column * height
    after = (width - patch.column - patch.mask.shape[1]) * height
    counts[0] += before
    if len(counts) % 2:
        counts[-1] += after
    elif after:
        counts.append(after)
    return {'size': [height, width], 'counts': rle.compress(counts)}


def _polygons(patch: Patch) -> list[list[float]]:
    traced = trace(patch.mask, (patch.row, patch.column))
    return [(keyhole(polygon)[:, ::-1] + 0.5).ravel().tolist() for polygon in traced]


def _category(categories: dict[str, dict[str, Any]], name: str, s: Segmentation) -> int:
    if name not in categories:
        entry: dict[str, Any] = {'id': len(categories) + 1, 'name': name, 'supercategory': ''}
        if not name:
            taken = {info.class_name for info in s.objects.values()}
            free = _NO_CLASS if _NO_CLASS not in taken else 'unclassified'
            entry |= {'name': free, 'unclassified': True}
        elif name in s.colours:
            entry['color'] = list(s.colours[name])
        categories[name] = entry
    return int(categories[name]['id'])


def _file_name(segmentation: Segmentation, index: tuple[int, ...]) -> str:
    position = ''.join(f'_{a}{i:04d}' for a, i in segmentation.position(index).items())
    return f'{segmentation.name}{position}'

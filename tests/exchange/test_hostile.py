"""Hostile files: each ends in a sentence, and harms no file."""

from __future__ import annotations

import functools
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from folders import contents
from PIL import Image
from segmentations import segmentation as make

from napari_mobilesam.exchange import ExchangeError, export, load

SHAPE = (3, 60, 60)
NAN, INF = float('nan'), float('inf')
Case = Callable[[Path], Path]
CASES: dict[str, Case] = {}
SINGLE = ['a.tif', 'a.ome.tif', 'a.json', 'a.geojson', 'a.zip']
NAMES = [*SINGLE, 'a.png', 'a.roi']


segmentation = functools.cache(make)


def good(folder: Path, name: str) -> Path:
    """Write a good file, for being damaged."""
    folder.mkdir(exist_ok=True)
    shape = SHAPE[1:] if name.endswith('.png') else SHAPE
    if name.endswith('.roi'):
        (path,) = export(segmentation(shape), folder / 'all.zip')
        with zipfile.ZipFile(path) as archive:
            (folder / name).write_bytes(archive.read(archive.namelist()[0]))
        path.unlink()
        return folder / name
    return export(segmentation(shape), folder / name)[0]


def raw(name: str, data: bytes | str) -> Case:
    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return build


def cut(name: str, part: float) -> Case:
    def build(folder: Path) -> Path:
        path = good(folder, name)
        data = path.read_bytes()
        path.write_bytes(data[: max(1, int(len(data) * part))])
        return path

    return build


def disguised(name: str, other: str) -> Case:
    def build(folder: Path) -> Path:
        return good(folder, other).rename(folder / name)

    return build


def link(name: str, target: str) -> Case:
    def build(folder: Path) -> Path:
        (folder / name).symlink_to(target)
        return folder / name

    return build


def as_folder(name: str) -> Case:
    def build(folder: Path) -> Path:
        (folder / name).mkdir()
        return folder / name

    return build


def fifo(name: str) -> Case:
    def build(folder: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    return build


for name in NAMES:
    for part in (0.02, 0.3, 0.6, 0.9):
        CASES[f'{name} cut at {part}'] = cut(name, part)
    CASES[f'{name} empty'] = raw(name, b'')
    CASES[f'{name} noise'] = raw(name, np.random.default_rng(1).bytes(4096))
    CASES[f'{name} zeros'] = raw(name, bytes(512))
    CASES[f'{name} text'] = raw(name, 'no such thing\n' * 9)
    CASES[f'{name} is a folder'] = as_folder(name)
    CASES[f'{name} is a dead link'] = link(name, 'nowhere')
    CASES[f'{name} is a link to itself'] = link(name, name)
    CASES[f'{name} is a pipe'] = fifo(name)
    CASES[f'{name} is missing'] = lambda folder, name=name: folder / name  # type: ignore[misc]
for name in SINGLE:
    for other in ('b.tif', 'b.json', 'b.geojson', 'b.zip', 'b.png'):
        if Path(name).suffix != Path(other).suffix:
            CASES[f'{name} is really {other}'] = disguised(name, other)


# -- outlines

RING = [[1, 1], [5, 1], [5, 5], [1, 5], [1, 1]]


def geojson(geometry: Any, properties: Any = None) -> Case:
    feature = {'type': 'Feature', 'geometry': geometry, 'properties': properties}
    return raw('a.geojson', json.dumps({'type': 'FeatureCollection', 'features': [feature]}))


def polygon(coordinates: Any, **more: Any) -> dict[str, Any]:
    return {'type': 'Polygon', 'coordinates': coordinates, **more}


for key, coordinates in {
    'NaN': [[[NAN, 1], [5, 1], [5, 5]]],
    'infinity': [[[INF, 1], [5, 1], [5, 5]]],
    'overflow': '[[[1e999, 1], [5, 1], [5, 5]]]',
    'two points': [[[1, 1], [5, 5]]],
    'one number': [[[1], [5], [5]]],
    'words': [[['a', 'b'], ['c', 'd'], ['e', 'f']]],
    'null': [[[None, 1], [5, 1], [5, 5]]],
    'no rings': [],
    'a number': 5,
    'a word': 'polygon',
    'numbers': [1, 2, 3],
    'uneven': [[[1, 2], [3], [4, 5]]],
    'objects': [[{'x': 1}, {'y': 2}, {}]],
}.items():
    if isinstance(coordinates, str) and coordinates.startswith('['):
        text = json.dumps({'type': 'Feature', 'geometry': polygon('@')})
        CASES[f'GeoJSON coordinates {key}'] = raw('a.geojson', text.replace('"@"', coordinates))
    else:
        CASES[f'GeoJSON coordinates {key}'] = geojson(polygon(coordinates))
for key, plane in {
    'beside': {'z': 99},
    'negative': {'z': -1},
    'words': {'z': 'one'},
    'fraction': {'z': 1.5},
    'true': {'z': True},
    'another axis': {'t': 1},
    'huge': {'z': 10**30},
}.items():
    CASES[f'GeoJSON plane {key}'] = geojson(polygon([RING], plane=plane))
for key, label in {'over 2^31': 2**31, 'over 2^63': 2**63}.items():
    CASES[f'GeoJSON id {key}'] = geojson(polygon([RING]), {'metadata': {'label': str(label)}})
for key, text in {
    'features no list': '{"type": "FeatureCollection", "features": 5}',
    'no features': '{"type": "FeatureCollection"}',
    'feature is null': '[null]',
    'no geometry': '[{"type": "Feature"}]',
    'null': 'null',
    'number': '5',
    'deep': '[' * 100_000,
    'deep objects': '{"a":' * 100_000,
    'NaN': 'NaN',
    'long number': '1' * 100_000,
    'wrong encoding': b'\xff\xfe\x00{',
    'two documents': '{}{}',
    'comment': '// {}',
}.items():
    CASES[f'GeoJSON content {key}'] = raw('a.geojson', text)
    CASES[f'COCO content {key}'] = raw('a.json', text)


def coco(**changes: Any) -> Case:
    annotation = {'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [[1, 1, 5, 1, 5, 5]]}
    images = changes.pop('images', [{'id': 1, 'width': 60, 'height': 60}] * 1)
    content = {
        'images': images,
        'annotations': changes.pop('annotations', [annotation | changes]),
        'categories': [{'id': 1, 'name': 'x'}],
    }
    return raw('flat.json', json.dumps(content))


for key, changes in {
    'NaN': {'segmentation': [[NAN, 1, 5, 1, 5, 5]]},
    'words': {'segmentation': [['a', 1, 5, 1, 5, 5]]},
    'odd': {'segmentation': [[1, 1, 5, 1, 5]]},
    'short': {'segmentation': [[1, 1, 5, 1]]},
    'no segmentation': {'segmentation': None},
    'empty segmentation': {'segmentation': []},
    'negative runs': {'segmentation': {'size': [60, 60], 'counts': [-5, 3605]}},
    'too many runs': {'segmentation': {'size': [60, 60], 'counts': [10**12]}},
    'overflowing runs': {'segmentation': {'size': [60, 60], 'counts': [2**63, 2**63]}},
    'damaged runs': {'segmentation': {'size': [60, 60], 'counts': 'zzzz\x7f'}},
    'endless runs': {'segmentation': {'size': [60, 60], 'counts': 'o' * 200}},
    'no runs': {'segmentation': {'size': [60, 60]}},
    'size of a bomb': {'segmentation': {'size': [10**9, 10**9], 'counts': [10**18]}},
    'another size': {'segmentation': {'size': [50, 60], 'counts': [3000]}},
    'no image': {'image_id': 5},
    'image is a list': {'image_id': [1]},
    'id over 2^31': {'id': 2**31},
    'object id over 2^31': {'object_id': 2**40},
    'annotation is null': {'annotations': [None]},
    'images of different sizes': {
        'images': [{'id': 1, 'width': 60, 'height': 60}, {'id': 2, 'width': 9, 'height': 60}]
    },
    'no images': {'images': []},
    'image without size': {'images': [{'id': 1}]},
    'image of negative size': {'images': [{'id': 1, 'width': -60, 'height': 60}]},
    'image as large as a bomb': {'images': [{'id': 1, 'width': 10**9, 'height': 10**9}]},
    'image ids twice': {'images': [{'id': 1, 'width': 60, 'height': 60}] * 3},
    'image without id': {'images': [{'width': 60, 'height': 60}]},
    'plane beside': {'images': [{'id': 1, 'width': 60, 'height': 60, 'plane': {'z': 60}}]},
    'plane of words': {'images': [{'id': 1, 'width': 60, 'height': 60, 'plane': {'z': 'a'}}]},
}.items():
    CASES[f'COCO {key}'] = coco(**changes)


# -- archives


def archive(*members: tuple[str, bytes]) -> Case:
    def build(folder: Path) -> Path:
        with zipfile.ZipFile(folder / 'a.zip', 'w', zipfile.ZIP_DEFLATED) as file:
            for member, data in members:
                file.writestr(member, data)
        return folder / 'a.zip'

    return build


def bomb(folder: Path) -> Path:
    """Say in the directory that each member is 4 GiB."""
    path = archive(('a.roi', bytes(2**20)))(folder)
    data = bytearray(path.read_bytes())
    at = data.index(b'PK\x01\x02')
    data[at + 24 : at + 28] = struct.pack('<I', 2**32 - 2)
    path.write_bytes(data)
    return path


def liar(folder: Path) -> Path:
    """Say in the directory that a member is small."""
    path = archive(('a.roi', bytes(2**24)))(folder)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b'PK\x01\x02', 24), (b'PK\x03\x04', 22)):
        at = data.index(mark)
        data[at + offset : at + offset + 4] = struct.pack('<I', 64)
    path.write_bytes(data)
    return path


def encrypted(folder: Path) -> Path:
    path = archive(('a.roi', bytes(64)))(folder)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b'PK\x01\x02', 8), (b'PK\x03\x04', 6)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    return path


def roi(**fields: int) -> bytes:
    """Make the header of a polygon, with more points than there are."""
    values = {'version': 228, 'kind': 0, 'points': 9, 'shape': 0, 'second': 0} | fields
    head = (b'Iout', values['version'], values['kind'], 0, 0, 9, 9, values['points'])
    rest = (0, values['shape'], b'', b'', 0, 0, 0, 0, 0, 0, values['second'])
    return struct.pack('>4shBxhhhhH', *head) + struct.pack('>16xhi4s4shhBBhii', *rest)


CASES |= {
    'zip bomb': bomb,
    'zip that lies about sizes': liar,
    'zip encrypted': encrypted,
    'zip without ROIs': archive(('readme.txt', b'x')),
    'zip of nothing': archive(),
    'zip of climbing names only': archive(('../../evil.roi', b'x')),
    'zip of absolute names': archive(('/etc/evil.roi', bytes(80))),
    'zip in a zip': archive(('a.zip', b'PK')),
    'ROI of zeros': archive(('a.roi', bytes(64))),
    'ROI too short': archive(('a.roi', b'Iout')),
    'ROI of too many points': archive(('a.roi', roi(points=60_000))),
    'ROI of negative points': archive(('a.roi', roi(points=0) + b'\xff' * 8)),
    'ROI of a wrong composite': archive(('a.roi', roi(kind=1, shape=10**8))),
    'ROI of no path': archive(('a.roi', roi(kind=1, shape=4) + struct.pack('>4f', 9, 9, 9, 9))),
    'ROI of a curve': archive(('a.roi', roi(kind=1, shape=4) + struct.pack('>4f', 2, 9, 9, 9))),
    'ROI of an unfinished path': archive(('a.roi', roi(kind=1, shape=1) + struct.pack('>f', 0))),
    'ROI of NaN': archive(
        ('a.roi', roi(kind=1, shape=9) + struct.pack('>9f', 0, NAN, 1, 1, 2, 2, 1, 3, 3))
    ),
    'ROI of a wrong second header': archive(('a.roi', roi(second=10**6) + bytes(120))),
}


# -- pictures


def picture(pixels: Any, **options: Any) -> Case:
    def build(folder: Path) -> Path:
        tifffile.imwrite(folder / 'a.tif', pixels, **{'photometric': 'minisblack', **options})
        return folder / 'a.tif'

    return build


def png(pixels: Any) -> Case:
    def build(folder: Path) -> Path:
        Image.fromarray(pixels).save(folder / 'a.png')
        return folder / 'a.png'

    return build


def jpeg(folder: Path) -> Path:
    Image.new('L', (60, 60)).save(folder / 'a.png', 'JPEG')
    return folder / 'a.png'


def huge_png(folder: Path) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + check

    head = chunk(b'IHDR', struct.pack('>IIBBBBB', 2**31 - 1, 2**31 - 1, 16, 0, 0, 0, 0))
    data = b'\x89PNG\r\n\x1a\n' + head + chunk(b'IDAT', zlib.compress(bytes(99)))
    (folder / 'a.png').write_bytes(data + chunk(b'IEND', b''))
    return folder / 'a.png'


def huge_tiff(folder: Path) -> Path:
    """Write 100 KB that say that they are a picture of 10^12 pixels."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((64, 64), np.uint16), compression='zlib')
    data = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for tag in ('ImageWidth', 'ImageLength', 'RowsPerStrip'):
            entry = file.pages.first.tags[tag]
            data[entry.offset + 2 : entry.offset + 12] = struct.pack('<HII', 4, 1, 10**6)
    (folder / 'a.tif').write_bytes(data)
    return folder / 'a.tif'


CASES |= {
    'TIFF of floats': picture(np.zeros(SHAPE, np.float32)),
    'TIFF of NaN': picture(np.full(SHAPE, np.nan)),
    'TIFF of complex': picture(np.zeros(SHAPE, np.complex64)),
    'TIFF of colours': picture(np.zeros((60, 60, 3), np.uint8), photometric='rgb'),
    'TIFF of ids over 2^31': picture(np.full(SHAPE, 2**31, np.uint32)),
    'TIFF of ids over 2^63': picture(np.full(SHAPE, 2**63, np.uint64)),
    'TIFF of negative ids': picture(np.full(SHAPE, -1, np.int16)),
    'TIFF of another shape': picture(np.zeros((3, 60, 61), np.uint16)),
    'TIFF of other axes': picture(np.zeros((60, 60, 3), np.uint16), metadata={'axes': 'ZYX'}),
    'TIFF of too many axes': picture(np.zeros((1, 2, 1, 2, 1, 2, 9, 9), np.uint16)),
    'TIFF as large as a bomb': huge_tiff,
    'PNG of colours': png(np.zeros((60, 60, 3), np.uint8)),
    'PNG with transparency': png(np.zeros((60, 60, 4), np.uint8)),
    'PNG of another shape': png(np.zeros((60, 61), np.uint16)),
    'PNG as large as a bomb': huge_png,
    'PNG that is a JPEG': jpeg,
}


# -- OME-Zarr


def damaged(change: Callable[[Path], object]) -> Case:
    def build(folder: Path) -> Path:
        (path,) = export(segmentation(SHAPE), folder / 'a.ome.zarr')
        change(path)
        return path

    return build


def ome(**changes: Any) -> Case:
    def change(path: Path) -> None:
        content = json.loads((path / 'zarr.json').read_text())
        multiscale = content['attributes']['ome']['multiscales'][0]
        multiscale |= changes.get('multiscale', {})
        multiscale['datasets'][0] |= changes.get('dataset', {})
        content['attributes']['ome'] |= changes.get('ome', {})
        (path / 'zarr.json').write_text(json.dumps(content))

    return damaged(change)


def array(**changes: Any) -> Case:
    def change(path: Path) -> None:
        content = json.loads((path / '0' / 'zarr.json').read_text())
        (path / '0' / 'zarr.json').write_text(json.dumps(content | changes))

    return damaged(change)


def first_chunk(path: Path) -> Path:
    return next(p for p in sorted((path / '0').rglob('*')) if p.is_file() and p.suffix != '.json')


AXES = [{'name': name} for name in 'zyx']
CASES |= {
    'zarr without metadata': as_folder('a.ome.zarr'),
    'zarr is a file': raw('a.ome.zarr', 'x'),
    'zarr metadata empty': damaged(lambda p: (p / 'zarr.json').write_text('')),
    'zarr metadata cut': damaged(lambda p: (p / 'zarr.json').write_text('{"attributes": {"ome"')),
    'zarr metadata a list': damaged(lambda p: (p / 'zarr.json').write_text('[]')),
    'zarr metadata no attributes': damaged(lambda p: (p / 'zarr.json').write_text('{}')),
    'zarr without array': damaged(lambda p: (p / '0' / 'zarr.json').unlink()),
    'zarr chunk cut': damaged(lambda p: os.truncate(first_chunk(p), 40)),
    'zarr chunk noise': damaged(lambda p: first_chunk(p).write_bytes(b'noise' * 99)),
    'zarr no multiscales': ome(ome={'multiscales': []}),
    'zarr multiscales null': ome(ome={'multiscales': None}),
    'zarr axes missing': ome(multiscale={'axes': []}),
    'zarr axes null': ome(multiscale={'axes': None}),
    'zarr axes unknown': ome(multiscale={'axes': [{'name': n} for n in 'qyx']}),
    'zarr axes in another order': ome(multiscale={'axes': [{'name': n} for n in 'xyz']}),
    'zarr axes twice': ome(multiscale={'axes': [{'name': n} for n in 'yyx']}),
    'zarr axes of words': ome(multiscale={'axes': ['z', 'y', 'x']}),
    'zarr path climbing': ome(dataset={'path': '../../../etc/passwd'}),
    'zarr path absolute': ome(dataset={'path': '/etc'}),
    'zarr path missing': ome(dataset={'path': 'nowhere'}),
    'zarr path a number': ome(dataset={'path': 0}),
    'zarr path with a zero': ome(dataset={'path': '0\0'}),
    'zarr scale zero': ome(
        dataset={'coordinateTransformations': [{'type': 'scale', 'scale': [0, 1, 1]}]}
    ),
    'zarr scale short': ome(
        dataset={'coordinateTransformations': [{'type': 'scale', 'scale': [1]}]}
    ),
    'zarr scale words': ome(
        dataset={'coordinateTransformations': [{'type': 'scale', 'scale': ['a', 'b', 'c']}]}
    ),
    'zarr as large as a bomb': array(shape=[10**6, 10**6, 10**6]),
    'zarr of another shape': array(shape=[3, 60, 59]),
    'zarr of floats': array(data_type='float32', fill_value=0.0),
    'zarr of unknown codecs': array(codecs=[{'name': 'evil', 'configuration': {}}]),
    'zarr of an unknown type': array(data_type='evil'),
    'zarr property ids over 2^31': ome(
        ome={'image-label': {'properties': [{'label-value': 2**40}]}}
    ),
    'zarr property scores of words': ome(
        ome={'image-label': {'properties': [{'label-value': 1, 'score': 'high'}]}}
    ),
}


def mask_folder(name: str, kind: Any) -> Case:
    def build(folder: Path) -> Path:
        (folder / 'masks').mkdir()
        pixels = np.ones(SHAPE, kind)
        tifffile.imwrite(folder / 'masks' / name, pixels, photometric='minisblack')
        return folder / 'masks'

    return build


CASES |= {
    'masks none': as_folder('masks'),
    'masks of floats': mask_folder('1.tif', np.float32),
    'masks of ids over 2^31': mask_folder('2147483648.tif', np.uint8),
    'unknown ending': raw('a.xyz', 'x'),
    'no ending': raw('a', 'x'),
    'tables are not read': raw('a.csv', 'id\n1\n'),
}


def test_there_are_200_of_them() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize('case', CASES)
# tifffile and roifile log what they stumble over; zarr 3 warns of names it does not know
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_sentence_says_what_is_wrong(
    case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = CASES[case](tmp_path)
    before = contents(tmp_path)
    shape = SHAPE[1:] if path.suffix == '.png' or path.name == 'flat.json' else SHAPE
    with pytest.raises(ExchangeError) as caught:
        load(path, shape=shape)
    message = str(caught.value)
    assert 20 < len(message) < 700
    assert 'Traceback' not in message
    assert contents(tmp_path) == before

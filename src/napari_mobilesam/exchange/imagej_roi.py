"""ImageJ ROIs: a zip of outlines for the ROI Manager, one per object and plane.

Coordinates are (x, y), the corner of the first pixel at (0, 0), so that outlines along pixel edges
are whole numbers. A single outline is a polygon; holes and parts make a composite. The position
in the stack is kept: the slice number for stacks of one more axis, channel, slice and frame for
hyperstacks. The id, class and the rest are properties of each ROI.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ExchangeError
from .files import MAX_TEXT, check_source, replacing
from .painting import Canvas, Numbers
from .patches import Patch
from .polygons import Polygon, fill_patch, trace
from .segmentation import ObjectInfo, Segmentation

_LARGEST = 32767
_MAX_ROIS = 10**6
_AREAS = ('POLYGON', 'FREEHAND', 'TRACED')


def write(segmentation: Segmentation, path: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write all objects to a zip for ImageJ's ROI Manager."""
    if max(segmentation.shape[-2:]) > _LARGEST:
        raise ExchangeError(
            f'coordinates of ImageJ ROIs end at {_LARGEST}; the image has the shape '
            f'{segmentation.shape}. Export GeoJSON or COCO'
        )
    with replacing(path, overwrite) as part, zipfile.ZipFile(part, 'w') as archive:
        for patch in segmentation.patches():
            roi = _roi(segmentation, patch)
            archive.writestr(
                zipfile.ZipInfo(f'{roi.name}.roi'), roi.tobytes(), zipfile.ZIP_DEFLATED
            )
    return (path,)


def read(path: Path, *, shape: Sequence[int] | None = None, axes: str = '') -> Segmentation:
    """Read the areas of a ``.roi`` or of a zip of them; points and lines are left out.

    Parameters
    ----------
    path : Path
    shape, axes
        Of the image, which ROIs do not tell.

    Raises
    ------
    ExchangeError
        If these are no ROIs, of another image, or `shape` is missing.
    """
    rois = read_rois(path)
    canvas, numbers, left_out = Canvas.like(path, shape, axes), Numbers(), 0
    for roi in rois:
        rings = _rings(roi)
        if not rings:
            left_out += 1
            continue
        known = _properties(roi.props)
        label = numbers.give(int(known['label']) if known.get('label', '').isdecimal() else None)
        size = canvas.shape[-2], canvas.shape[-1]
        canvas.paint(label, roi_plane(roi, canvas), *fill_patch(rings, size))
        canvas.objects[label] = _info(label, known)
    if left_out:
        canvas.notices.append(f'{left_out} ROIs are no areas, and were left out')
    return canvas.finished(name=path.stem)


def read_rois(path: Path) -> list[Any]:
    """Return each `roifile.ImagejRoi` of a ``.roi`` or a zip; nothing is unpacked to disk.

    Raises
    ------
    ExchangeError
        If these are none, damaged, or far larger unpacked than ROIs are.
    """
    check_source(path, MAX_TEXT)
    data = path.read_bytes()
    if data[:4] == b'Iout':
        return [_parse(path, path.name, data)]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith('.roi')]
            total = sum(member.file_size for member in members)
            if len(members) > _MAX_ROIS or total > MAX_TEXT:
                raise ExchangeError(
                    f'"{path}" holds {len(members)} ROIs of {total} bytes; up to {_MAX_ROIS} of '
                    f'{MAX_TEXT} together are read'
                )
            if not members:
                raise ExchangeError(f'"{path}" holds no ROIs')
            rois = []
            for member in members:
                with archive.open(member) as file:
                    # the size that a zip states need not be true
                    content = file.read(member.file_size + 1)
                if len(content) != member.file_size:
                    raise ExchangeError(f'"{path}" is damaged at {member.filename[:80]!r}')
                rois.append(_parse(path, member.filename, content))
            return rois
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ExchangeError(f'"{path}" is no zip of ROIs, or damaged: {error}') from None


def roi_plane(roi: Any, canvas: Canvas) -> tuple[int, ...]:
    """Return the plane that a ROI is on."""
    leading = canvas.axes[:-2]
    position = {'c': roi.c_position, 'z': roi.z_position, 't': roi.t_position}
    if any(value > 0 for value in position.values()):
        # a stack of one axis more has one number, whatever ImageJ calls it
        if len(leading) == 1 and position[leading] <= 0:
            return canvas.index({leading: max(position.values()) - 1})
        kept = {a: v - 1 for a, v in position.items() if v > 0 and (a in leading or v > 1)}
        return canvas.index(kept)
    if roi.position <= 0:
        return canvas.index({})
    if not leading:
        return canvas.index({'z': roi.position - 1})
    # ImageJ counts channels first, then slices, then frames
    order = [axis for axis in 'czt' if axis in leading]
    left, found = roi.position - 1, {}
    for axis in order[:-1]:
        left, found[axis] = divmod(left, canvas.shape[canvas.axes.index(axis)])
    return canvas.index({**found, order[-1]: left})


def _parse(path: Path, name: str, data: bytes) -> Any:
    from roifile import ImagejRoi

    if not _is_whole(data):
        raise ExchangeError(f'"{path}": {name[:80]!r} is cut off')
    try:
        return ImagejRoi.frombytes(data)
    except Exception as error:  # whatever a damaged one makes of its offsets and counts
        raise ExchangeError(f'"{path}": {name[:80]!r} is no ImageJ ROI: {error}') from None


def _is_whole(data: bytes) -> bool:
    """Whether the name and the properties of a ROI are there; roifile leaves them out if not."""
    if len(data) < 64:
        return False
    (second,) = struct.unpack('>i', data[60:64])
    if second <= 0:
        return True
    if second + 52 > len(data):
        return False
    for offset in (16, 40):
        start, length = struct.unpack('>ii', data[second + offset : second + offset + 8])
        if start + 2 * length > len(data):
            return False
    return True


def _rings(roi: Any) -> list[NDArray[np.float64]]:
    """Return the (row, column) outlines of an area; none of other ROIs."""
    kind, subtype = roi.roitype.name, roi.subtype.name
    if kind == 'RECT' and roi.multi_coordinates is not None:
        try:
            found = roi.coordinates(multi=True)
        except Exception as error:
            raise ExchangeError(f'a composite ROI cannot be read: {error}') from None
        rings = [ring for ring in found if len(ring) >= 3]
    elif kind in _AREAS and subtype == 'UNDEFINED':
        rings = [roi.coordinates()]
    elif kind in ('RECT', 'OVAL') and subtype == 'UNDEFINED':
        rings = [_box(roi) if kind == 'RECT' else _ellipse(roi)]
    else:
        return []
    return [np.asarray(ring, np.float64)[:, ::-1] - 0.5 for ring in rings]


def _box(roi: Any) -> NDArray[np.float64]:
    left, top, width, height = _bounds(roi)
    return np.array(
        [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    )


def _ellipse(roi: Any) -> NDArray[np.float64]:
    left, top, width, height = _bounds(roi)
    # with this many corners no pixel of any image is missed
    angle = np.linspace(0, 2 * np.pi, 2048, endpoint=False)
    x = left + width / 2 * (1 + np.cos(angle))
    y = top + height / 2 * (1 + np.sin(angle))
    return np.stack([x, y], axis=1)


def _bounds(roi: Any) -> tuple[float, float, float, float]:
    if roi.subpixelrect:
        return roi.xd, roi.yd, roi.widthd, roi.heightd
    return roi.left, roi.top, roi.right - roi.left, roi.bottom - roi.top


def _roi(segmentation: Segmentation, patch: Patch) -> Any:
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    polygons = trace(patch.mask, (patch.row, patch.column))
    position = segmentation.position(patch.index)
    name = f'{patch.label:05d}' + ''.join(f'-{a}{i + 1:04d}' for a, i in position.items())
    roi: Any
    if len(polygons) == 1 and not polygons[0].holes:
        corners = (polygons[0].shell[:, ::-1] + 0.5).astype(np.int32)
        roi = ImagejRoi.frompoints(corners, name=name)
        roi.roitype = ROI_TYPE.TRACED
        # roifile counts the pixel after the last corner in
        roi.right, roi.bottom = (int(n) for n in corners.max(axis=0))
    else:
        path = _path(polygons)
        roi = ImagejRoi(
            roitype=ROI_TYPE.RECT,
            options=ROI_OPTIONS.OVERLAY_LABELS | ROI_OPTIONS.OVERLAY_BACKGROUNDS,
            name=name,
            left=patch.column,
            top=patch.row,
            right=patch.column + patch.mask.shape[1],
            bottom=patch.row + patch.mask.shape[0],
            shape_roi_size=len(path),
            multi_coordinates=path,
        )
    if len(position) == 1:
        roi.position = patch.index[0] + 1
    elif position:
        roi.c_position, roi.z_position, roi.t_position = (position.get(a, 0) + 1 for a in 'czt')
    roi.stroke_color = bytes((255, *segmentation.colour(patch.label)))
    known = segmentation.info(patch.label).to_json()
    known['flags'] = ' '.join(known.get('flags', ()))
    roi.props = ''.join(
        f'{key}: {" ".join(str(value).split())}\n' for key, value in known.items() if value != ''
    )
    return roi


def _path(polygons: list[Polygon]) -> NDArray[np.float32]:
    move, line, close = 0.0, 1.0, 4.0
    path: list[float] = []
    for polygon in polygons:
        for ring in polygon.rings:
            for i, (row, column) in enumerate(ring + 0.5):
                path += [line if i else move, column, row]
            path.append(close)
    return np.array(path, np.float32)


def _properties(text: str) -> dict[str, str]:
    pairs = (line.partition(':') for line in text.splitlines())
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}


def _info(label: int, known: dict[str, str]) -> ObjectInfo:
    try:
        score = float(known['score']) if 'score' in known else None
    except ValueError:
        score = None
    prompts = known.get('prompts', '')
    return ObjectInfo(
        label,
        known.get('class', ''),
        tuple(known.get('flags', '').split()),
        score,
        int(prompts) if prompts.isdecimal() and len(prompts) < 10 else 0,
    )

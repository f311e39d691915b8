"""Engine values as JSON, and back: what journals and session files are made of.

Everything that is read is checked; what does not fit is an `ExchangeError`.
"""

from __future__ import annotations

import base64
import dataclasses
import zlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import (
    Frame,
    IntensityMapping,
    LabelEdit,
    Making,
    PlaneKey,
    PromptedPlane,
    Prompts,
    RecordChange,
    SegmentedObject,
    Step,
    TidyOptions,
)
from napari_mobilesam.engine.classes import Classes, ObjectClass
from napari_mobilesam.engine.mask_prompt import SIDE, MaskPrompt
from napari_mobilesam.engine.prompts import Drawn

from . import rle
from .errors import ExchangeError
from .files import MAX_VOXELS

Json = dict[str, Any]
T = TypeVar('T')

_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, zlib.error)


def _guarded(read: Callable[[Any], T]) -> Callable[[Any], T]:
    """Turn whatever a malformed value makes constructors raise into one error."""

    def guarded(found: Any) -> T:
        try:
            return read(found)
        except ExchangeError:
            raise
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
            zlib.error,
        ) as error:
            what = read.__name__.removeprefix('read_')
            raise ExchangeError(f'a {what} is damaged: {error}') from None

    return guarded


# -- records


def plane_to_json(key: PlaneKey) -> Json:
    """Return a plane; which image it is of is said elsewhere."""
    return {'displayed': list(key.displayed), 'index': list(key.index), 'level': key.level}


@_guarded
def read_plane(found: Any) -> PlaneKey:
    """Read a plane; its source is empty."""
    return PlaneKey('', tuple(found['displayed']), tuple(found['index']), found.get('level', 0))


def prompts_to_json(prompts: Prompts) -> Json:
    """Return points, polarities, box, mask and what was drawn, in (row, column)."""
    found: Json = {}
    if prompts.points:
        found['points'] = [list(point) for point in prompts.points]
        found['positive'] = list(prompts.positive)
    if prompts.box is not None:
        found['box'] = list(prompts.box)
    if prompts.mask is not None:
        logits = zlib.compress(prompts.mask.logits.astype('<f2').tobytes())
        found['mask'] = {
            'shape': list(prompts.mask.shape),
            'logits': base64.b85encode(logits).decode('ascii'),
        }
    if prompts.drawn:
        found['drawn'] = [
            {
                'kind': shape.kind,
                'vertices': [list(vertex) for vertex in shape.vertices],
                'positive': shape.positive,
            }
            for shape in prompts.drawn
        ]
    return found


@_guarded
def read_prompts(found: Any) -> Prompts:
    """Read prompts."""
    mask = None
    if found.get('mask') is not None:
        size = SIDE * SIDE * 2
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b85decode(found['mask']['logits']), size)
        if len(data) != size:
            raise ExchangeError('the logits of a mask prompt are damaged')
        rows, columns = found['mask']['shape']
        logits = np.frombuffer(data, '<f2').reshape(SIDE, SIDE).astype(np.float16)
        mask = MaskPrompt(logits, (rows, columns))
    box = found.get('box')
    drawn = tuple(
        Drawn(
            shape['kind'],
            tuple((row, column) for row, column in shape['vertices']),
            bool(shape['positive']),
        )
        for shape in found.get('drawn', ())
    )
    return Prompts(
        tuple((row, column) for row, column in found.get('points', ())),
        tuple(found.get('positive', ())),
        None if box is None else tuple(box),
        mask,
        drawn,
    )


def mapping_to_json(mapping: IntensityMapping) -> Json:
    """Return how pixel values became the picture that the model saw."""
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(mapping)
        if (value := getattr(mapping, field.name)) != field.default
        and isinstance(value, str | int | float | tuple)
    }


@_guarded
def read_mapping(found: Any) -> IntensityMapping:
    """Read an intensity mapping."""
    values: Json = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
    return IntensityMapping(**values)


def making_to_json(making: Making) -> Json:
    """Return how a mask was made from prompts: what differs from the usual."""
    found: Json = {}
    if making.candidate is not None:
        found['candidate'] = making.candidate
    if not making.prompted_only:
        found['prompted_only'] = False
    if making.frame is not None:
        found['frame'] = list(dataclasses.astuple(making.frame))
    if making.tidy:
        found['tidy'] = dataclasses.asdict(making.tidy)
    if making.spacing is not None:
        found['spacing'] = list(making.spacing)
    if not making.plain:
        found['plain'] = False
    return found


@_guarded
def read_making(found: Any) -> Making:
    """Read how a mask was made."""
    frame, spacing, tidy = found.get('frame'), found.get('spacing'), found.get('tidy')
    candidate = found.get('candidate')
    return Making(
        None if candidate is None else int(candidate),
        found.get('prompted_only') is not False,
        None if frame is None else Frame(*frame),
        TidyOptions() if tidy is None else TidyOptions(**tidy),
        None if spacing is None else (float(spacing[0]), float(spacing[1])),
        found.get('plain') is not False,
    )


def object_to_json(record: SegmentedObject) -> Json:
    """Return all that is recorded of an object."""
    found: Json = {'label': record.label, 'area': record.area}
    found['bounds'] = [list(axis) for axis in record.bounds]
    if record.prompted:
        found['prompted'] = [_prompted_to_json(part) for part in record.prompted]
    if record.score is not None:
        found['score'] = record.score
    if record.class_id:
        found['class'] = record.class_id
    for flag in ('unclear', 'reviewed'):
        if getattr(record, flag):
            found[flag] = True
    if record.model_digest:
        found['model'] = record.model_digest
    if record.mapping is not None:
        found['mapping'] = mapping_to_json(record.mapping)
    return found


@_guarded
def read_object(found: Any) -> SegmentedObject:
    """Read the record of an object."""
    prompted = tuple(
        PromptedPlane(
            read_plane(entry['plane']),
            read_prompts(entry['prompts']),
            None if entry.get('making') is None else read_making(entry['making']),
        )
        for entry in found.get('prompted', ())
    )
    score, mapping = found.get('score'), found.get('mapping')
    return SegmentedObject(
        label=int(found['label']),
        prompted=prompted,
        score=None if score is None else float(score),
        area=int(found['area']),
        bounds=tuple((int(start), int(stop)) for start, stop in found['bounds']),
        class_id=int(found.get('class', 0)),
        unclear=found.get('unclear') is True,
        reviewed=found.get('reviewed') is True,
        model_digest=str(found.get('model', '')),
        mapping=None if mapping is None else read_mapping(mapping),
    )


def classes_to_json(classes: Classes) -> list[Json]:
    """Return all classes."""
    return [{'id': c.class_id, 'name': c.name, 'colour': c.colour} for c in classes]


@_guarded
def read_classes(found: Any) -> Classes:
    """Read classes."""
    return Classes(tuple(ObjectClass(c['id'], str(c['name']), c['colour']) for c in found))


# -- edits and steps


def edit_to_json(edit: LabelEdit) -> Json:
    """Return which pixels change, and from what to what; the mask run-length encoded."""
    flat = edit.mask.reshape(-1, edit.mask.shape[-1])
    return {
        'start': list(edit.start),
        'shape': list(edit.mask.shape),
        'mask': rle.encode(flat),
        'before': _runs(edit.before),
        'after': _runs(edit.after),
    }


@_guarded
def read_edit(found: Any) -> LabelEdit:
    """Read an edit."""
    start, shape = tuple(found['start']), tuple(found['shape'])
    if len(start) != len(shape) or not shape or not all(_is_index(n) for n in (*start, *shape)):
        raise ExchangeError('an edit has a start and a shape, integers per axis')
    rows = 1
    for side in shape[:-1]:
        rows *= side
    if rows * shape[-1] > MAX_VOXELS:
        raise ExchangeError(f'an edit of the shape {shape} is too large')
    mask = rle.decode(found['mask'], (rows, shape[-1])).reshape(shape)
    count = int(np.count_nonzero(mask))
    return LabelEdit(start, mask, _values(found['before'], count), _values(found['after'], count))


def step_to_json(step: Step) -> Json:
    """Return a step, without the prompts on either side: their owner keeps these as it likes."""
    return {
        'title': step.title,
        'edits': [edit_to_json(edit) for edit in step.edits],
        'changes': [_change_to_json(change) for change in step.changes],
        'maximum': [step.maximum_before, step.maximum_after],
    }


@_guarded
def read_step(found: Any) -> Step:
    """Read a step."""
    before, after = found['maximum']
    return Step(
        str(found['title']),
        tuple(read_edit(edit) for edit in found['edits']),
        tuple(_read_change(change) for change in found['changes']),
        int(before),
        int(after),
    )


def read_all(read: Callable[[Any], T], found: Any) -> tuple[T, ...]:
    """Read a list of things.

    Raises
    ------
    ExchangeError
        If it is none, or one of them is damaged.
    """
    if not isinstance(found, list):
        raise ExchangeError(f'expected a list; found {type(found).__name__}')
    return tuple(read(entry) for entry in found)


def write_edits(edits: Iterable[LabelEdit], labels: NDArray[Any]) -> None:
    """Write edits to labels, whatever is there.

    Raises
    ------
    ExchangeError
        If one lies beside the labels, or has ids that do not fit into them.
    """
    for edit in edits:
        if len(edit.region) != labels.ndim or any(
            stop > side for (_, stop), side in zip(edit.region, labels.shape, strict=True)
        ):
            raise ExchangeError(
                f'an edit of {edit.region} lies beside labels of shape {labels.shape}'
            )
        limits = np.iinfo(labels.dtype)
        if int(edit.after.min()) < 0 or int(edit.after.max()) > limits.max:
            raise ExchangeError(f'an edit has ids that labels of {labels.dtype} cannot hold')
        view = labels[tuple(slice(start, stop) for start, stop in edit.region)]
        view[edit.mask] = edit.after


def _prompted_to_json(part: PromptedPlane) -> Json:
    found = {'plane': plane_to_json(part.plane), 'prompts': prompts_to_json(part.prompts)}
    if part.making is not None:
        found['making'] = making_to_json(part.making)
    return found


def _change_to_json(change: RecordChange) -> Json:
    found: Json = {'label': change.label}
    if change.before is not None:
        found['before'] = object_to_json(change.before)
    if change.after is not None:
        found['after'] = object_to_json(change.after)
    return found


@_guarded
def _read_change(found: Any) -> RecordChange:
    before, after = found.get('before'), found.get('after')
    return RecordChange(
        int(found['label']),
        None if before is None else read_object(before),
        None if after is None else read_object(after),
    )


def _runs(values: NDArray[Any]) -> list[int]:
    """Return a value and how often it comes, in turn; a single number for equal ones."""
    if len(values) == 1:
        return [int(values[0])]
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    lengths = np.diff(np.append(starts, len(values)))
    pairs: list[int] = np.stack([values[starts].astype(np.int64), lengths], axis=1).ravel().tolist()
    return pairs


def _values(found: Any, count: int) -> NDArray[np.int64]:
    numbers = np.asarray(found, np.int64)
    if numbers.shape == (1,):
        return numbers
    if numbers.ndim != 1 or len(numbers) % 2 or (numbers[1::2] < 0).any():
        raise ExchangeError('the ids of an edit are one number, or pairs of id and length')
    if numbers[1::2].sum(dtype=object) != count:
        raise ExchangeError(f'an edit of {count} pixels has ids for another number of them')
    return np.repeat(numbers[::2], numbers[1::2])


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40

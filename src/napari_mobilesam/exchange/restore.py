"""Restoring: from a journal to labels and a session, as they were."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import Session, Step

from . import codec
from .errors import ExchangeError
from .files import MAX_TEXT, check_source, check_voxels, parse_json
from .identity import ImageIdentity
from .journal import VERSION
from .segmentation import is_integer


@dataclass(slots=True, eq=False)
class Restored:
    """What a journal tells.

    Attributes
    ----------
    identity : ImageIdentity
        The image.
    labels : ndarray of int
        All pixels, exactly.
    session : Session
        Objects, classes and history: what was done can be undone.
    notices : list of str
        What the user should know: that the end was damaged, and what came of it.
    lines, size : int
        How many lines are good, and how many bytes they have; `Journal` goes on there.
    steps : dict of int to Step
        Steps by the numbers of their lines.
    """

    identity: ImageIdentity
    labels: NDArray[Any]
    session: Session
    notices: list[str] = field(default_factory=list)
    lines: int = 1
    size: int = 0
    steps: dict[int, Step] = field(default_factory=dict)


def restore(path: Path, source: str = '') -> Restored:
    """Read a journal, up to the first damage.

    A process that was killed while it wrote leaves half a line at the end; a bad disk, anything.
    What comes before is whole, and is what is given back.

    Parameters
    ----------
    path : Path
        The journal.
    source : str
        What the image is called in `PlaneKey.source`; files do not know.

    Raises
    ------
    ExchangeError
        If not even the first line can be read, or it is a journal of a later version.
    """
    check_source(path)
    with path.open('rb') as file:
        first = file.readline(MAX_TEXT)
        restored = _begin(path, _parse(first, 0))
        restored.size = len(first)
        while line := file.readline(MAX_TEXT):
            try:
                _follow(restored, _parse(line, restored.lines), source)
            except ExchangeError as error:
                lost = path.stat().st_size - restored.size
                restored.notices.append(
                    f'The journal is damaged after {restored.lines} entries, and was read up to '
                    f'there; {lost} bytes behind it are left out ({error}).'
                )
                break
            restored.lines += 1
            restored.size += len(line)
    return restored


def identity_of(path: Path) -> ImageIdentity:
    """Return which image a journal is about; reads its first line only."""
    check_source(path)
    with path.open('rb') as file:
        return ImageIdentity.from_json(_head(path, _parse(file.readline(MAX_TEXT), 0))['image'])


def _parse(line: bytes, number: int) -> dict[str, Any]:
    entry = parse_json(line)
    if not line.endswith(b'\n'):
        raise ExchangeError('the last line is cut off')
    if not isinstance(entry, dict) or entry.get('n') != number:
        raise ExchangeError(f'line {number} is missing')
    stated = entry.pop('crc', None)
    text = json.dumps(entry, ensure_ascii=True, allow_nan=False, separators=(',', ':'))
    if stated != f'{zlib.crc32(text.encode()):08x}':
        raise ExchangeError(f'line {number} does not match its checksum')
    return entry


def _head(path: Path, entry: dict[str, Any]) -> dict[str, Any]:
    version = entry.get('journal')
    if version != VERSION:
        raise ExchangeError(
            f'"{path}" is no journal of version {VERSION} (found {version!r:.20}); a newer '
            'napari-mobilesam may read it'
        )
    return entry


def _begin(path: Path, entry: dict[str, Any]) -> Restored:
    head = _head(path, entry)
    identity = ImageIdentity.from_json(head.get('image'))
    try:
        shape = tuple(int(n) for n in head['labels']['shape'])
        dtype = np.dtype(str(head['labels']['dtype']))
    except (KeyError, TypeError, ValueError):
        raise ExchangeError(f'"{path}" does not tell what labels it is about') from None
    check_voxels(shape)
    if dtype.kind not in 'iu':
        raise ExchangeError(f'"{path}" is about labels of {dtype}; they are integers')
    return Restored(identity, np.zeros(shape, dtype), Session())


def _follow(restored: Restored, entry: dict[str, Any], source: str) -> None:
    session, labels = restored.session, restored.labels
    kind = next((key for key in entry if key != 'n'), '')
    value = entry.get(kind)
    if kind == 'do':
        step = codec.read_step(value).of_image(source)
        codec.write_edits(step.edits, labels)
        session.push(step)
        restored.steps[entry['n']] = step
    elif kind in ('undo', 'redo'):
        step_then = restored.steps.get(value) if isinstance(value, int) else None
        if step_then is None or session.history.is_done(step_then) != (kind == 'undo'):
            raise ExchangeError(f'line {entry["n"]} speaks of a step that is not there')
        if kind == 'undo':
            codec.write_edits([edit.inverse() for edit in reversed(step_then.edits)], labels)
            session.step_back(step_then)
        else:
            codec.write_edits(step_then.edits, labels)
            session.step_forward(step_then)
    elif kind == 'classes':
        session.classes = codec.read_classes(value)
    elif kind == 'known':
        known = codec.read_all(codec.read_object, value)
        session.learn(record.of_image(source) for record in known)
        session.forget(codec.read_all(_read_id, entry.get('gone', [])))
    elif kind == 'base':
        edit = codec.read_edit(value)
        codec.write_edits([edit], labels)
        session.observe(int(edit.after.max()))
    else:
        raise ExchangeError(f'line {entry["n"]} is of an unknown kind, {kind!r:.20}')


def _read_id(found: Any) -> int:
    if not is_integer(found):
        raise ExchangeError(f'ids are integers; found {found!r:.20}')
    return found

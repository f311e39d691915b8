"""What there is to restore for an image, and journals made short again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import codec
from .errors import ExchangeError
from .files import replacing
from .identity import ImageIdentity
from .journal import base_entries, format_line, head_entry, journals_of, known_entry
from .locks import FileLock
from .patches import patches
from .restore import Restored, restore

LONG = 500
"""Lines from which on it is looked whether a journal can be made shorter."""


@dataclass(frozen=True, slots=True)
class FoundJournal:
    """A journal that can be restored.

    Parameters
    ----------
    path : Path
        The file.
    objects : int
        How many objects there were at its end.
    changed : float
        When it was written to last, in seconds since 1970.
    """

    path: Path
    objects: int
    changed: float


def find_journals(identity: ImageIdentity, folder: Path | None = None) -> list[FoundJournal]:
    """Return the journals of an image that hold objects and that nobody writes, newest first.

    Reads them whole: for a worker. What cannot be read at all holds no objects.
    """
    found = []
    for path in journals_of(identity, folder):
        try:
            FileLock(path).release()
            objects = len(restore(path).session)
            if objects:
                found.append(FoundJournal(path, objects, path.stat().st_mtime))
        except (ExchangeError, OSError):
            continue
    return found


def compact(path: Path, restored: Restored, source: str = '') -> Restored:
    """Make a journal short again, where most of it is about what cannot be undone any more.

    What is left is the base, the records, and the steps that undo and redo reach. The file is
    replaced in one stroke, and only by one that says the same.

    Parameters
    ----------
    path : Path
        The journal, which nobody may be writing.
    restored : Restored
        What `restore` gave for it.
    source : str
        As of `restore`.

    Returns
    -------
    Restored
        What `restore` gives for it now.

    Raises
    ------
    ExchangeError
        If it could not be written; it is unharmed then.
    """
    session = restored.session
    steps = len(session.history.done) + 2 * len(session.history.undone)
    if restored.lines < LONG or restored.lines < 2 * (steps + len(session)):
        return restored
    lock = FileLock(path)
    try:
        with replacing(path, overwrite=True) as part:
            part.write_bytes(b''.join(_lines(restored)))
            again = restore(part, source)
            if not _same(again, restored):
                raise _DifferentError
    except _DifferentError:
        return restored
    finally:
        lock.release()
    return again


class _DifferentError(Exception):
    """The short journal does not say the same: it is thrown away."""


def _lines(restored: Restored) -> Iterator[bytes]:
    return (format_line({'n': n, **entry}) for n, entry in enumerate(_entries(restored)))


def _entries(restored: Restored) -> Iterator[dict[str, Any]]:
    session = restored.session
    done, undone = session.history.done, session.history.undone
    base = restored.labels.copy()
    records = {record.label: record for record in session}
    for step in reversed(done):
        codec.write_edits(step.inverse().edits, base)
        for change in step.changes:
            if change.before is None:
                records.pop(change.label, None)
            else:
                records[change.label] = change.before
    yield head_entry(restored.identity, base.shape, base.dtype)
    yield from base_entries(base)
    yield {'classes': codec.classes_to_json(session.classes)}
    yield known_entry(records.values())
    first = 3 + _count(base)
    for step in (*done, *reversed(undone)):
        yield {'do': codec.step_to_json(step)}
    for number in range(len(done) + len(undone) - 1, len(done) - 1, -1):
        yield {'undo': first + number}


def _count(base: NDArray[Any]) -> int:
    return sum(1 for _ in patches(base))


def _same(one: Restored, other: Restored) -> bool:
    return (
        not one.notices
        and np.array_equal(one.labels, other.labels)
        and one.session.objects == other.session.objects
        and one.session.classes == other.session.classes
        and one.session.maximum == other.session.maximum
        and len(one.session.history.done) == len(other.session.history.done)
        and len(one.session.history.undone) == len(other.session.history.undone)
    )

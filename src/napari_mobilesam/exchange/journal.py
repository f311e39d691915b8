"""The journal of a session: every step, on disk as soon as it is done.

A journal is a file of JSON lines, only ever appended to. The first line says which image and
which labels it is about; each further line is one thing that happened, with its number and a
checksum. A thread of its own writes and syncs: whoever calls gets a number back at once, and can
ask how far the disk is. A process that is killed loses nothing that was durable.

Lines (version 1)::

    {"n": 0, "journal": 1, "image": {…}, "labels": {"shape": […], "dtype": …}, "crc": …}
    {"n": 1, "base": {edit}}         pixels that were there before the first step
    {"n": 2, "classes": […]}         the classes from now on
    {"n": 3, "known": [{object}]}    records of objects that were there already; "gone": [ids]
    {"n": 4, "do": {step}}           a step
    {"n": 5, "undo": 4}              step 4 was taken back
    {"n": 6, "redo": 4}              and done again

See `codec` for edits, steps and objects, and `restore` for reading.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import LabelEdit, SegmentedObject, Step
from napari_mobilesam.engine.classes import Classes

from . import codec
from .errors import ExchangeError
from .identity import ImageIdentity
from .locks import FileLock
from .patches import patches

VERSION = 1
_REMEMBERED = 4096
_STOP = None


def journal_path(identity: ImageIdentity, folder: Path | None = None) -> Path:
    """Return where the journal of an image is kept: in the user's data folder by default."""
    return (journal_folder() if folder is None else folder) / f'{identity.fingerprint}.jsonl'


def journal_folder() -> Path:
    """Return where journals are kept: in the user's data folder."""
    from platformdirs import user_data_path

    return user_data_path('napari-mobilesam', appauthor=False) / 'journals'


def new_path(identity: ImageIdentity, folder: Path | None = None) -> Path:
    """Return a name for another journal of an image: each of its sessions has its own."""
    first = journal_path(identity, folder)
    number, path = 1, first
    while path.exists():
        number += 1
        path = first.with_name(f'{identity.fingerprint}-{number}.jsonl')
    return path


def journals_of(identity: ImageIdentity, folder: Path | None = None) -> list[Path]:
    """Return the journals of an image, the one last written to first."""
    first = journal_path(identity, folder)
    found = [first, *first.parent.glob(f'{identity.fingerprint}-*.jsonl')]
    dated = [(path.stat().st_mtime, path) for path in found if path.is_file()]
    return [path for _, path in sorted(dated, reverse=True)]


def head_entry(identity: ImageIdentity, shape: Iterable[int], dtype: Any) -> dict[str, Any]:
    """Return what the first line says."""
    labels = {'shape': [int(n) for n in shape], 'dtype': np.dtype(dtype).name}
    return {'journal': VERSION, 'image': identity.to_json(), 'labels': labels}


def base_entries(base: NDArray[Any]) -> Iterator[dict[str, Any]]:
    """Give the entries of pixels that were there before the first step: one per plane."""
    for patch in patches(base):
        start = (*patch.index, patch.row, patch.column)
        mask = patch.mask.reshape((1,) * len(patch.index) + patch.mask.shape)
        edit = LabelEdit(start, mask, np.zeros(1, np.int64), np.array([patch.label]))
        yield {'base': codec.edit_to_json(edit)}


def known_entry(records: Iterable[SegmentedObject], gone: Iterable[int] = ()) -> dict[str, Any]:
    """Return an entry of objects that were in the labels already, and of ids that were not."""
    entry: dict[str, Any] = {'known': [codec.object_to_json(record) for record in records]}
    if ids := [int(label) for label in gone]:
        entry['gone'] = ids
    return entry


def format_line(entry: dict[str, Any]) -> bytes:
    """Return an entry as a line, with the checksum of everything before it."""
    text = json.dumps(entry, ensure_ascii=True, allow_nan=False, separators=(',', ':'))
    return f'{text[:-1]},"crc":"{zlib.crc32(text.encode()):08x}"}}\n'.encode('ascii')


class Journal:
    """Writes the journal of one session.

    Plug it in where steps are done, undone and redone: call `done` after `Session.push`, `undone`
    after `Session.step_back`, `redone` after `Session.step_forward`, and `classes` when they
    change. All of these return at once, from any thread; steps are immutable, and are turned into
    text on the journal's own thread. It is an `engine.Recorder`: `Session.record_with` plugs it in
    everywhere at once.

    Parameters
    ----------
    path : Path
        The file. A new one is begun where there is none; after `restore`, one that is there is
        continued.
    identity : ImageIdentity
        The image.
    shape, dtype
        Of the labels.
    base : ndarray of int, optional
        The labels before the first step, where they are not empty. Must not change until the
        journal is durable: give a copy, or wait.
    resume_at : Restored, optional
        What `restore` gave for this very file: the journal goes on behind it.
    on_durable : callable, optional
        Told on the journal's thread up to which line all is on disk now.
    on_failed : callable, optional
        Told in a sentence, on the journal's thread, that the disk refused; from then on nothing
        more is written.

    Raises
    ------
    ExchangeError
        If another writer has the file, it is there already and `resume_at` is not given, or the
        folder cannot be written to.
    """

    def __init__(
        self,
        path: Path,
        identity: ImageIdentity,
        shape: tuple[int, ...],
        dtype: Any,
        *,
        base: NDArray[Any] | None = None,
        resume_at: Any = None,
        on_durable: Callable[[int], object] | None = None,
        on_failed: Callable[[str], object] | None = None,
    ) -> None:
        self.path = path
        self._on_durable = on_durable
        self._on_failed = on_failed
        self._queue: SimpleQueue[tuple[int, Callable[[], dict[str, Any]]] | None] = SimpleQueue()
        self._state = threading.Condition()
        self._next = 0
        self._durable = -1
        self._failure = ''
        self._closed = False
        # Strong references: an id of an object that is gone could be given to another one.
        self._numbers: dict[int, tuple[int, Step]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path)
        except OSError as error:
            raise ExchangeError(f'"{path}" cannot be written: {error.strerror}') from None
        try:
            self._file = self._open(resume_at)
        except BaseException:
            self._lock.release()
            raise
        self._thread = threading.Thread(target=self._run, name='journal', daemon=True)
        self._thread.start()
        if resume_at is None:
            head = head_entry(identity, shape, dtype)
            self._append(lambda: head)
            if base is not None:
                for entry in base_entries(base):
                    self._append(partial(dict, entry))

    # -- what happens

    def done(self, step: Step) -> int:
        """Record a step that was done; returns the number of its line.

        One that changes nothing but prompts is no line of its own.
        """
        with self._state:
            if not (step.edits or step.changes):
                return self._next - 1
            number = self._append(lambda: {'do': codec.step_to_json(step)})
            self._remember(step, number)
        return number

    def undone(self, step: Step) -> int:
        """Record that a step was taken back."""
        return self._again(step, 'undo')

    def redone(self, step: Step) -> int:
        """Record that a step was done again."""
        return self._again(step, 'redo')

    def classes(self, classes: Classes) -> int:
        """Record the classes that there are from now on."""
        return self._append(lambda: {'classes': codec.classes_to_json(classes)})

    def known(self, records: Iterable[SegmentedObject], gone: Iterable[int] = ()) -> int:
        """Record objects that were in the labels already, and ids that were not after all."""
        records, gone = tuple(records), tuple(gone)
        return self._append(lambda: known_entry(records, gone))

    def lost(self) -> None:
        """Do nothing: a journal cannot know, and whoever keeps it begins another one."""

    # -- what is safe

    @property
    def durable(self) -> int:
        """The number of the last line that is on disk; -1 for none."""
        with self._state:
            return self._durable

    @property
    def last(self) -> int:
        """The number of the last line, on disk or on its way."""
        with self._state:
            return self._next - 1

    @property
    def failure(self) -> str:
        """Why nothing is written any more; empty as long as all is well."""
        with self._state:
            return self._failure

    def wait(self, number: int | None = None, timeout: float | None = None) -> bool:
        """Wait until a line, by default all so far, is on disk; False if it will not be."""
        with self._state:
            wanted = self._next - 1 if number is None else number
            self._state.wait_for(lambda: self._durable >= wanted or bool(self._failure), timeout)
            return self._durable >= wanted

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        with self._state:
            if self._closed:
                return
            self._closed = True
        self._queue.put(_STOP)
        self._thread.join()
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # -- inner

    def _open(self, resume_at: Any) -> Any:
        try:
            if resume_at is None:
                # an empty one is what is left of a process killed before its first line
                fresh = not self.path.exists() or self.path.stat().st_size > 0
                return self.path.open('xb' if fresh else 'r+b', buffering=0)
            file = self.path.open('r+b', buffering=0)
        except FileExistsError:
            raise ExchangeError(
                f'"{self.path}" is there already: restore it, or remove it'
            ) from None
        except OSError as error:
            raise ExchangeError(f'"{self.path}" cannot be written: {error.strerror}') from None
        damage = os.fstat(file.fileno()).st_size - resume_at.size
        if damage > 0:
            # kept: somebody may make more of it than we did
            file.seek(resume_at.size)
            self.path.with_suffix('.damaged').write_bytes(file.read())
            file.truncate(resume_at.size)
        file.seek(resume_at.size)
        self._next = resume_at.lines
        self._durable = self._next - 1
        for number, step in resume_at.steps.items():
            self._remember(step, number)
        return file

    def _remember(self, step: Step, number: int) -> None:
        self._numbers[id(step)] = (number, step)
        if len(self._numbers) > _REMEMBERED:
            del self._numbers[next(iter(self._numbers))]

    def _again(self, step: Step, verb: str) -> int:
        with self._state:
            if not (step.edits or step.changes):
                return self._next - 1
            known = self._numbers.get(id(step))
            if known is not None:
                number = known[0]
                return self._append(lambda: {verb: number})
        # A step from before the journal, or older than what is remembered: what it does is
        # written out, and is a step of its own after a restore.
        return self.done(step.inverse() if verb == 'undo' else step)

    def _append(self, make: Callable[[], dict[str, Any]]) -> int:
        with self._state:
            if self._closed:
                raise ExchangeError(f'the journal "{self.path}" is closed')
            number = self._next
            self._next += 1
            # within the lock: lines come in the order of their numbers
            self._queue.put((number, make))
        return number

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            # whatever came while the disk was busy goes out together, with one sync
            while not self._queue.empty() and batch[-1] is not _STOP and len(batch) < 256:
                batch.append(self._queue.get())
            entries = [item for item in batch if item is not None]
            try:
                if entries and not self._failure:
                    lines = [format_line({'n': n, **make()}) for n, make in entries]
                    self._write(b''.join(lines))
                    with self._state:
                        self._durable = entries[-1][0]
                        self._state.notify_all()
                    if self._on_durable is not None:
                        self._on_durable(entries[-1][0])
            except Exception as error:  # of any kind: the thread must not die unheard
                self._fail(error)
            if batch[-1] is _STOP:
                return

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())

    def _fail(self, error: Exception) -> None:
        detail = error.strerror if isinstance(error, OSError) else str(error)
        with self._state:
            self._failure = (
                f'The journal "{self.path}" cannot be written: {detail}. Save the session to '
                'another disk now.'
            )
            self._state.notify_all()
        if self._on_failed is not None:
            self._on_failed(self._failure)

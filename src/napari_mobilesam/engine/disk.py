"""Embeddings on disk: content-addressed, checked, shared by all processes of a user.

::

    FOLDER/embeddings.zarr/        a zarr v3 group
        zarr.json
        3fa0…/                     one array and one chunk for each embedding, named by its key
    FOLDER/writing/                what is being written or thrown away; no one reads here

An entry appears by one rename, complete and synced, and vanishes by one. Whoever reads sees all of
it or nothing, whatever other processes do and however they end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from uuid import uuid4

from .disk_entry import DamagedEntryError, entry_nbytes, read_entry, write_entry
from .embedding import Embedding

Notice = Callable[[str], None]

_MIB = 2**20
_KEY = re.compile('[0-9a-f]{16,64}')
# Scanned anew after so many writes, for other processes write as well.
_WRITES_PER_SCAN = 64
# Evicting goes a little below the budget, so that it need not be done at each write.
_EVICT_TO = 0.95
# What lay in `writing` for so long belongs to a process that died.
_STALE_SECONDS = 3600.0
# No write takes so long.
_BUSY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DiskInfo:
    """What is in a store on disk.

    Attributes
    ----------
    folder
        Where it lies.
    entries, nbytes
        Embeddings, and bytes that they take.
    budget_mib
        How much they may take, in MiB.
    foreign
        Things in the store's folder that it did not put there; it leaves them alone.
    """

    folder: Path
    entries: int
    nbytes: int
    budget_mib: float
    foreign: int


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    nbytes: int
    used: float


def default_cache_folder() -> Path:
    """Return where embeddings are kept if nobody says otherwise: in the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path('napari-mobilesam', appauthor=False) / 'embeddings'


class DiskStore:
    """Keeps embeddings in a folder, up to a number of MiB; safe for threads and processes.

    A store that cannot be read or written is an empty one that keeps nothing: `read` then returns
    None and `write` False, and `on_notice` hears why. Neither ever raises for what is on the disk.

    Parameters
    ----------
    folder : Path, optional
        Made when it is first written to. By default in the user's cache folder.
    budget_mib : float
        How much the embeddings may take; those unused for longest are removed. One takes 2 MiB.
    on_notice : callable, optional
        Told in a sentence about damaged entries and about writing that failed, each reason once;
        on the thread that reads or writes.

    Raises
    ------
    ValueError
        If the budget is negative.
    """

    def __init__(
        self,
        folder: Path | None = None,
        budget_mib: float = 10240.0,
        on_notice: Notice | None = None,
    ) -> None:
        if not budget_mib >= 0:
            raise ValueError(f'the budget is 0 MiB or more; got {budget_mib}')
        self._folder = default_cache_folder() if folder is None else Path(folder)
        self._entries = self._folder / 'embeddings.zarr'
        self._aside = self._folder / 'writing'
        self._budget = int(budget_mib * _MIB)
        self._on_notice = on_notice
        self._told: set[str] = set()
        self._lock = Lock()
        self._writes_to_scan = 0
        self._nbytes = 0

    @property
    def folder(self) -> Path:
        """Where the store lies."""
        return self._folder

    @property
    def budget_mib(self) -> float:
        """How much the embeddings may take, in MiB."""
        return self._budget / _MIB

    def __contains__(self, key: object) -> bool:
        """Whether there is an entry of that key; it may turn out to be damaged."""
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            return False
        with suppress(OSError):
            return (self._entries / key / 'zarr.json').is_file()
        return False

    def read(self, key: str) -> Embedding | None:
        """Return the embedding of that key, or None; it counts as used.

        A damaged entry is removed where possible, since it would be in the way of a good one.
        """
        if not _KEY.fullmatch(key):
            return None
        path = self._entries / key
        try:
            embedding = read_entry(path, key)
        except FileNotFoundError:
            if path.is_dir():
                # Only part of it is there: another process removes it, or somebody else did.
                self._discard(key)
            return None
        except DamagedEntryError as error:
            if path.exists():
                self._notify(f'an embedding is damaged and will be computed anew: {error} ({path})')
                self._discard(key)
            return None
        except OSError as error:
            self._notify(f'embeddings cannot be read from {self._folder}: {_reason(error)}')
            return None
        with suppress(OSError):
            os.utime(path)
        return embedding

    def write(self, embedding: Embedding) -> bool:
        """Keep an embedding, and remove those unused for longest, as the budget asks.

        Returns
        -------
        bool
            Whether it is on the disk now.
        """
        key = embedding.key
        if not _KEY.fullmatch(key) or embedding.nbytes > self._budget:
            return False
        if key in self:
            return True
        aside = self._aside / uuid4().hex
        try:
            self._prepare()
            nbytes = write_entry(aside, embedding)
            self._publish(aside, key)
        except Exception as error:  # zarr wraps what the system says in errors of its own
            shutil.rmtree(aside, ignore_errors=True)
            self._notify(
                f'embeddings cannot be kept in {self._folder}: {_reason(error)}. They are kept in '
                'memory only; make room there or choose another folder'
            )
            return False
        self._account(nbytes)
        return True

    def info(self) -> DiskInfo:
        """Count what is in the store."""
        entries = list(self._scan())
        return DiskInfo(
            folder=self._folder,
            entries=len(entries),
            nbytes=sum(entry.nbytes for entry in entries),
            budget_mib=self.budget_mib,
            foreign=len(self._foreign()),
        )

    def verify(self) -> Iterator[tuple[str, str | None]]:
        """Read every entry, and remove those that are damaged.

        Yields
        ------
        tuple of (str, str or None)
            The key, and what is wrong; None where nothing is.
        """
        for entry in sorted(self._scan(), key=lambda entry: entry.key):
            try:
                read_entry(self._entries / entry.key, entry.key)
            except FileNotFoundError:
                if (self._entries / entry.key).is_dir():
                    self._discard(entry.key)
                    yield entry.key, 'part of it is missing'
            except DamagedEntryError as error:
                self._discard(entry.key)
                yield entry.key, str(error)
            except OSError as error:
                yield entry.key, f'it cannot be read: {_reason(error)}'
            else:
                yield entry.key, None

    def clear(self) -> int:
        """Remove every entry, and what dead processes left; say how many entries there were.

        Raises
        ------
        OSError
            If an entry cannot be removed.
        """
        removed = 0
        for entry in self._scan():
            if self._discard(entry.key):
                removed += 1
            elif (self._entries / entry.key).exists():
                raise PermissionError(f'cannot remove {self._entries / entry.key}')
        self._sweep(_BUSY_SECONDS)
        with self._lock:
            self._writes_to_scan, self._nbytes = 0, 0
        return removed

    def evict(self) -> int:
        """Remove the entries unused for longest until the budget holds; say how many."""
        entries = sorted(self._scan(), key=lambda entry: entry.used)
        total = sum(entry.nbytes for entry in entries)
        removed = 0
        if total > self._budget:
            for entry in entries:
                if total <= self._budget * _EVICT_TO:
                    break
                if self._discard(entry.key):
                    removed += 1
                    total -= entry.nbytes
        self._sweep(_STALE_SECONDS)
        with self._lock:
            self._nbytes, self._writes_to_scan = total, _WRITES_PER_SCAN
        return removed

    def _prepare(self) -> None:
        """Make the folders, and the description that makes of them a zarr group."""
        self._aside.mkdir(parents=True, exist_ok=True)
        group = self._entries / 'zarr.json'
        if not group.exists():
            self._entries.mkdir(parents=True, exist_ok=True)
            aside = self._aside / f'{uuid4().hex}.json'
            text = json.dumps({'zarr_format': 3, 'node_type': 'group', 'attributes': {}})
            aside.write_text(text, encoding='utf-8')
            os.replace(aside, group)

    def _publish(self, aside: Path, key: str) -> None:
        """Give a written entry its name; of two that come at once one stays, they are the same."""
        target = self._entries / key
        try:
            os.rename(aside, target)
        except OSError:
            if not target.is_dir():
                raise
            if key not in self:
                # A ruin without description, which `__contains__` does not see.
                self._discard(key)
                os.rename(aside, target)
            else:
                shutil.rmtree(aside, ignore_errors=True)

    def _account(self, nbytes: int) -> None:
        with self._lock:
            self._nbytes += nbytes
            self._writes_to_scan -= 1
            due = self._writes_to_scan < 0 or self._nbytes > self._budget
        if due:
            self.evict()

    def _scan(self) -> Iterator[_Entry]:
        """Look at all entries, without reading them."""
        try:
            with os.scandir(self._entries) as found:
                folders = [
                    entry
                    for entry in found
                    if _KEY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return
        for folder in folders:
            with suppress(OSError):  # removed by another process meanwhile
                used = folder.stat(follow_symlinks=False).st_mtime
                yield _Entry(folder.name, entry_nbytes(Path(folder.path)), used)

    def _foreign(self) -> list[Path]:
        try:
            found = list(self._entries.iterdir())
        except OSError:
            return []
        return [
            path
            for path in found
            if path.name != 'zarr.json'
            and (not _KEY.fullmatch(path.name) or path.is_symlink() or not path.is_dir())
        ]

    def _discard(self, key: str) -> bool:
        """Take an entry away at once, then delete its files in peace."""
        path = self._entries / key
        aside = self._aside / uuid4().hex
        try:
            if path.is_symlink():
                return False
            self._aside.mkdir(parents=True, exist_ok=True)
            os.rename(path, aside)
        except OSError:
            return False
        shutil.rmtree(aside, ignore_errors=True)
        return True

    def _sweep(self, older: float) -> None:
        """Delete what dead processes left behind, `older` seconds ago or more."""
        limit = time.time() - older
        with suppress(OSError):
            for path in self._aside.iterdir():
                with suppress(OSError):
                    if path.lstat().st_mtime > limit:
                        continue
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink()

    def _notify(self, sentence: str) -> None:
        with self._lock:
            if sentence in self._told:
                return
            self._told.add(sentence)
        if self._on_notice is not None:
            self._on_notice(sentence)


def _reason(error: Exception) -> str:
    """Say what failed without the path, which is another one each time."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

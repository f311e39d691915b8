"""Files: read within limits, written whole or not at all.

What is in a file is hostile until it was checked. A write goes to a new file in the same folder,
which takes the place of the old one at once, when it is complete: whatever goes wrong before that
leaves everything as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import ExchangeError

MAX_TEXT = 2**30
"""Bytes of the largest text file (or member of an archive) that is read."""
MAX_VOXELS = 2**31
"""Pixels of the largest labels that are read to memory: 8 GiB as int32."""


def check_source(path: Path, limit: int | None = None) -> None:
    """Make sure that a file can be read.

    Raises
    ------
    ExchangeError
        If it is not there, no ordinary file, empty, or larger than `limit` bytes.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ExchangeError(f'{_quoted(path)} cannot be opened: {reason(error)}') from None
    if not stat.S_ISREG(status.st_mode):
        kind = 'a folder' if stat.S_ISDIR(status.st_mode) else 'no ordinary file'
        raise ExchangeError(f'{_quoted(path)} is {kind}; name a file')
    if status.st_size == 0:
        raise ExchangeError(f'{_quoted(path)} is empty')
    if limit is not None and status.st_size > limit:
        raise ExchangeError(
            f'{_quoted(path)} has {status.st_size} bytes; files of this kind are read up to {limit}'
        )


def check_voxels(shape: tuple[int, ...], limit: int = MAX_VOXELS) -> None:
    """Make sure that labels of this shape fit into memory, before any is asked for.

    Raises
    ------
    ExchangeError
        If there are more pixels than `limit`, or an axis has none.
    """
    count = 1
    for size in shape:
        count *= int(size)
    if count > limit or min((int(size) for size in shape), default=1) < 1:
        raise ExchangeError(
            f'labels have from 1 to {limit} pixels; the file says {" x ".join(map(str, shape))}'
        )


def load_json(path: Path) -> Any:
    """Read a JSON file; NaN and infinity are refused, as JSON itself has none.

    Raises
    ------
    ExchangeError
        If this is no such file.
    """
    check_source(path, MAX_TEXT)
    try:
        return parse_json(path.read_bytes())
    except ExchangeError as error:
        raise ExchangeError(f'{_quoted(path)} {error}') from None
    except OSError as error:
        raise ExchangeError(f'{_quoted(path)} cannot be read: {reason(error)}') from None


def parse_json(data: bytes) -> Any:
    """Parse JSON, with a sentence about what is wrong with it."""

    def refuse(constant: str) -> Any:
        raise ExchangeError(f'contains {constant}, which is no number of JSON')

    try:
        return json.loads(data.decode('utf-8-sig'), parse_constant=refuse)
    except UnicodeDecodeError:
        raise ExchangeError('is no UTF-8 text') from None
    except RecursionError:
        raise ExchangeError('is nested too deeply') from None
    except json.JSONDecodeError as error:
        raise ExchangeError(f'is no JSON, or cut off: {error}') from None
    except ValueError as error:  # integers of thousands of digits
        raise ExchangeError(f'cannot be read: {error}') from None


def check_target(path: Path, overwrite: bool) -> None:
    """Make sure that a file or folder may be written.

    Raises
    ------
    ExchangeError
        If something is there and `overwrite` is False, or it is a link, or the folder cannot be
        written to.
    """
    folder = path.parent
    if not path.name or path.name in ('.', '..') or '\0' in str(path):
        raise ExchangeError(f'{_quoted(path)} is no name for a file')
    try:
        if path.is_symlink():
            raise ExchangeError(
                f'{_quoted(path)} is a link, which is not written through; name the file itself'
            )
        exists = path.exists()
        found = folder.is_dir()
    except OSError as error:
        raise ExchangeError(f'{_quoted(path)} cannot be written: {reason(error)}') from None
    if not found:
        raise ExchangeError(f'the folder {_quoted(folder)} does not exist; make it first')
    if exists and not overwrite:
        raise ExchangeError(f'{_quoted(path)} is there already; choose another name, or overwrite')


@contextmanager
def replacing(
    path: Path, overwrite: bool = False, is_alike: Callable[[Path], bool] | None = None
) -> Iterator[Path]:
    """Write a file (or folder) whole or not at all.

    Parameters
    ----------
    path : Path
        Where it goes.
    overwrite : bool
        Whether it may take the place of what is there.
    is_alike : callable, optional
        For a folder: tells of one that is there whether it holds such things and no others. None
        where a file is to be written.

    Yields
    ------
    Path
        A new name in the same folder, to write to.

    Raises
    ------
    ExchangeError
        If that cannot be done.
    """
    check_target(path, overwrite)
    if path.is_dir():
        if is_alike is None:
            raise ExchangeError(f'{_quoted(path)} is a folder; name a file')
        if any(path.iterdir()) and not is_alike(path):
            raise ExchangeError(
                f'{_quoted(path)} has other things in it, and is not replaced; name a new folder'
            )
    elif is_alike is not None and path.exists():
        raise ExchangeError(f'{_quoted(path)} is a file; name a folder')
    # short: the name asked for may be as long as names can be
    part = path.parent / f'.{uuid.uuid4().hex[:12]}.part'
    try:
        yield part
        _flush(part)
        _swap(part, path)
    except OSError as error:
        raise ExchangeError(f'{_quoted(path)} cannot be written: {reason(error)}') from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def write_text(path: Path, text: str, overwrite: bool = False) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path, overwrite) as part:
        part.write_text(text, encoding='utf-8', newline='\n')


def write_json(path: Path, value: Any, overwrite: bool = False) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(value, allow_nan=False, ensure_ascii=False) + '\n', overwrite)


def child(folder: Path, name: Any) -> Path:
    """Return a path that a file names, which must lie below `folder`.

    Raises
    ------
    ExchangeError
        If it is absolute, climbs out, or leads elsewhere through a link.
    """
    message = f'a file names {str(name)[:80]!r}, which is no path below its own folder'
    if not isinstance(name, str) or not name or '\0' in name or '\\' in name or ':' in name:
        raise ExchangeError(message)
    parts = name.split('/')
    if any(part in ('', '.', '..') or len(part.encode()) > 255 for part in parts):
        raise ExchangeError(message)
    path = folder.joinpath(*parts)
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        raise ExchangeError(message)
    return path


def reason(error: OSError) -> str:
    """Return what the system says about an error, without the path."""
    return error.strerror or str(error)


def _swap(part: Path, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        old = path.parent / f'.{uuid.uuid4().hex[:12]}.old'
        path.rename(old)
        try:
            part.rename(path)
        except OSError:
            old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
        return
    os.replace(part, path)
    if os.name == 'posix':
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush(part: Path) -> None:
    if part.is_file():
        with part.open('rb+') as file:
            os.fsync(file.fileno())


def _quoted(path: Path) -> str:
    """Return a path as it is shown: names can be longer than any line."""
    text = str(path)
    return f'"{text}"' if len(text) <= 160 else f'"{text[:80]}…{text[-70:]}"'

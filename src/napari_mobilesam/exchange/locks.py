"""Locks: one writer per file, let go of by the system when its process ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .errors import ExchangeError


class FileLock:
    """A lock beside a file, ``NAME.lock``.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ExchangeError
        If another writer has it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(f'{path}.lock', os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise ExchangeError(
                f'"{path}" is being written by another window or program; close that first'
            ) from None

    def release(self) -> None:
        """Let go. The lock's file stays: removing it would open a gap for two writers."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


if sys.platform == 'win32':  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

"""Fetching a checkpoint: all of it, the right one, or nothing.

The bytes go to a private folder beside the target and get the final name only when size and
hash are right, so a file under its final name is always complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from .errors import DownloadError, OfflineError
from .registry import CheckpointInfo
from .transfer import Cancelled, Progress, fetch
from .verify import difference

_SCRATCH = '.download-'
_STALE_SECONDS = 24 * 3600


def offline() -> bool:
    """Tell whether ``NAPARI_MOBILESAM_OFFLINE`` is set to anything but 0, false, no or off."""
    value = os.environ.get('NAPARI_MOBILESAM_OFFLINE', '').strip().lower()
    return value not in {'', '0', 'false', 'no', 'off'}


def cache_folder() -> Path:
    """Give the folder in the user's cache where downloads are kept; it need not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path('napari-mobilesam', appauthor=False) / 'checkpoints'


def download(
    info: CheckpointInfo,
    *,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    timeout: tuple[float, float] = (10.0, 30.0),
) -> Path:
    """Fetch a checkpoint from the first of its URLs that gives the right bytes.

    A download always starts from the beginning. Proxies are taken from the environment
    (``HTTPS_PROXY`` and so on). Several processes may download the same file at once.

    Parameters
    ----------
    info : CheckpointInfo
        What to fetch, with size and hash to check it by.
    folder : str or Path, optional
        Where to put it; the user's cache by default.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes, some 200 times, on the calling thread;
        `total` is 0 where nobody knows it. Starts again at 0 with the next mirror.
    cancelled : callable, optional
        Asked after every 16 KiB; when it returns true, the download ends and nothing stays.
        A server that sends nothing at all delays the answer until the read timeout.
    timeout : (float, float)
        Seconds to wait for a connection, and for the next byte.

    Returns
    -------
    Path
        The complete, checked file.

    Raises
    ------
    DownloadCancelled
        `cancelled` returned true.
    OfflineError
        Offline mode is on.
    DownloadRefusedError, DownloadInterruptedError, DownloadMismatchError
        What went wrong, where there is one URL.
    DownloadError
        The same for several mirrors, or the folder cannot be written to.
    """
    if offline():
        raise OfflineError(
            f'{info.name} would have to be downloaded, and NAPARI_MOBILESAM_OFFLINE forbids it. '
            f'Unset it, or put {info.filename} into {folder or cache_folder()}.'
        )
    if not info.urls:
        raise DownloadError(f'{info.name} is published nowhere; give the path of a file instead.')
    target = Path(folder or cache_folder()) / info.filename
    failures: list[DownloadError] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        with tempfile.TemporaryDirectory(
            prefix=_SCRATCH, dir=target.parent, ignore_cleanup_errors=True
        ) as scratch:
            part = Path(scratch) / f'{info.filename}.part'
            for url in info.urls:
                try:
                    fetch(url, part, info, progress, cancelled, timeout)
                    return _put_in_place(part, target, info)
                except DownloadError as error:
                    failures.append(error)
    except OSError as error:
        raise DownloadError(
            f'{info.name} cannot be written to {target.parent}: {error}. '
            'Free some space there, or make the folder writable.'
        ) from error
    if len(failures) == 1:
        raise failures[0]
    raise DownloadError(
        f'None of {len(failures)} places gave {info.name}: '
        + ' '.join(f'({i}) {failure}' for i, failure in enumerate(failures, 1))
    ) from failures[-1]


def _put_in_place(part: Path, target: Path, info: CheckpointInfo) -> Path:
    try:
        part.replace(target)
    except PermissionError:
        # Windows: another process holds the same file open. If it is the right one, all is well.
        if not target.is_file() or difference(target, info) is not None:
            raise
    return target


def _sweep(folder: Path) -> None:
    """Remove what downloads that were killed left behind, but none that may still run."""
    for scratch in folder.glob(f'{_SCRATCH}*'):
        # Another process may be sweeping too, so anything here may vanish under our hands.
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in (scratch, *scratch.iterdir()))
            if time.time() - newest > _STALE_SECONDS:
                shutil.rmtree(scratch)

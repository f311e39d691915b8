"""One URL to one file: count, check, report, stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .errors import (
    DownloadCancelled,
    DownloadInterruptedError,
    DownloadMismatchError,
    DownloadRefusedError,
)
from .registry import CheckpointInfo
from .verify import difference

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]

_CHUNK = 1 << 14  # small, so that a cancel is noticed soon on a slow line too
_LIMIT = 8 << 30  # of a file whose size nobody knows: a server without end must not fill the disk
_STEPS = 200  # calls of the progress callback per file, about


class _Sink:
    """What pooch writes to and reports to: counts, checks and stops the download.

    One object in both roles, because only what is written is an exact count of bytes.
    """

    def __init__(
        self,
        stream: BinaryIO,
        info: CheckpointInfo,
        progress: Progress | None,
        cancelled: Cancelled | None,
    ) -> None:
        self.response: Any = None
        self._stream = stream
        self._info = info
        self._progress = progress
        self._cancelled = cancelled
        self._total = 0
        self._done = 0
        self._reported = 0

    def on_response(self, response: Any, *_: Any, **__: Any) -> None:
        self.response = response

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, announced: int) -> None:
        expected = self._info.size
        if expected is not None and announced and announced != expected:
            raise DownloadMismatchError(
                f'expected {expected} bytes, found {announced} announced' + self._hint()
            )
        self._total = expected or announced
        self._report()

    def write(self, chunk: bytes) -> None:
        if self._cancelled is not None and self._cancelled():
            raise DownloadCancelled(f'The download of {self._info.name} was stopped.')
        self._done += len(chunk)
        limit = self._info.size or _LIMIT
        if self._done > limit:
            raise DownloadMismatchError(f'expected {limit} bytes, found more' + self._hint())
        self._stream.write(chunk)
        step = max(self._total // _STEPS, _CHUNK)
        if self._done - self._reported >= step or self._done == self._total:
            self._report()

    def flush(self) -> None: ...

    def update(self, count: int) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def _report(self) -> None:
        self._reported = self._done
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _hint(self) -> str:
        if 'html' in self.response.headers.get('content-type', ''):
            return ' (it is a web page: does this network want you to log in first?)'
        return ''


def fetch(
    url: str,
    part: Path,
    info: CheckpointInfo,
    progress: Progress | None,
    cancelled: Cancelled | None,
    timeout: tuple[float, float],
) -> None:
    """Write what `url` gives to `part` and check it; every failure becomes a DownloadError."""
    import pooch
    import requests

    if cancelled is not None and cancelled():
        raise DownloadCancelled(f'The download of {info.name} was stopped before it began.')
    with part.open('wb') as stream:
        sink = _Sink(stream, info, progress, cancelled)
        downloader = pooch.HTTPDownloader(
            progressbar=sink,
            chunk_size=_CHUNK,
            timeout=timeout,
            hooks={'response': sink.on_response},
            # Compressed on the way, the announced length would not be the file's.
            headers={'Accept-Encoding': 'identity'},
        )
        try:
            downloader(url, output_file=sink, pooch=None)
        except requests.exceptions.HTTPError as error:
            # requests names number, reason and address itself.
            raise DownloadRefusedError(
                f'{error}; expected {info.name}. Try again later, or fetch {info.filename} by '
                'other means and give its path.'
            ) from error
        except requests.exceptions.Timeout as error:
            raise DownloadInterruptedError(
                f'{url} did not answer in time (waited {timeout[0]:g} s for a connection, '
                f'{timeout[1]:g} s for an answer). Check the connection and try again.'
            ) from error
        except (requests.exceptions.RequestException, ValueError) as error:
            raise DownloadInterruptedError(
                f'The download of {info.name} from {url} broke off '
                f'({type(error).__name__}: {error}). Check the connection, and HTTPS_PROXY where '
                'there is a proxy, and try again.'
            ) from error
        except DownloadMismatchError as error:
            raise _mismatch(url, info, str(error)) from error
        finally:
            if sink.response is not None:
                sink.response.close()
        stream.flush()
        os.fsync(stream.fileno())
    found = difference(part, info)
    if found is not None:
        raise _mismatch(url, info, found)


def _mismatch(url: str, info: CheckpointInfo, found: str) -> DownloadMismatchError:
    return DownloadMismatchError(
        f'{url} sent something other than {info.name}: {found}. It was thrown away. Try again, '
        f'or fetch {info.filename} by other means and give its path.'
    )

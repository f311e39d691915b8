"""From a name or a path to a file on this computer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .downloading import cache_folder, download, offline
from .errors import CheckpointNotFoundError, DownloadError
from .registry import BUNDLED, BUNDLED_NAME, DEFAULT_NAME, REGISTRY, CheckpointInfo
from .transfer import Cancelled, Progress
from .verify import difference

_VARIABLE = 'NAPARI_MOBILESAM_WEIGHTS'


@dataclass(frozen=True, slots=True)
class Found:
    """Where a checkpoint lies.

    Parameters
    ----------
    path : Path
        An existing file.
    info : CheckpointInfo or None
        What it is, where that is known: its hash was compared, or it is the bundled one.
    notice : str or None
        What the user must be told, above all that this is not what was asked for.
    """

    path: Path
    info: CheckpointInfo | None
    notice: str | None = None


def bundled_path() -> Path | None:
    """Give the path of the checkpoint that comes with the package, or None where none does."""
    for folder in (_checkout_weights(), _package() / 'weights'):
        if folder is not None and (folder / BUNDLED.filename).is_file():
            return folder / BUNDLED.filename
    return None


def find(
    name_or_path: str | Path = DEFAULT_NAME,
    *,
    allow_download: bool = True,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> Found:
    """Find a checkpoint, and fetch it where it is not here yet.

    A path is taken as it is. A name of `REGISTRY` is looked for in
    ``NAPARI_MOBILESAM_WEIGHTS`` (a folder, or one file that stands in for the default
    checkpoint), in ``weights/`` of a checkout, in the user's cache, and is then downloaded. A
    name stands for exact bytes: a file of the right name with another hash is passed over and
    mentioned in the notice. If everything fails, the bundled checkpoint stands in for the
    default one, with a notice; for any other name there is no substitute.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `REGISTRY`, `BUNDLED_NAME`, or the path of a file.
    allow_download : bool
        Whether the network may be used; ``NAPARI_MOBILESAM_OFFLINE`` forbids it too.
    progress, cancelled : callable, optional
        See `download`.

    Returns
    -------
    Found

    Raises
    ------
    CheckpointNotFoundError
        No such file or name, or it is not here and may not be downloaded.
    DownloadError
        It had to be downloaded and that failed, and nothing can stand in for it.
    DownloadCancelled
        The caller stopped the download.
    """
    if name_or_path == BUNDLED_NAME:
        return _bundled()
    info = REGISTRY.get(name_or_path) if isinstance(name_or_path, str) else None
    if info is None:
        return _explicit(name_or_path)
    named = _from_environment(info)
    if named is not None:
        return named
    remarks: list[str] = []
    for folder in _folders():
        path = folder / info.filename
        if path.is_file():
            wrong = difference(path, info)
            if wrong is None:
                return Found(path, info, ' '.join(remarks) or None)
            remarks.append(f'{path} was passed over, it is not {info.name}: {wrong}.')
    try:
        path = _fetch(info, allow_download, progress, cancelled)
    except (DownloadError, CheckpointNotFoundError) as error:
        bundled = bundled_path() if info.name == DEFAULT_NAME else None
        if bundled is None:
            raise type(error)(' '.join([str(error), *remarks])) from error
        remarks.insert(0, f'This is {BUNDLED_NAME}, not {info.name}: {error}')
        return Found(bundled, BUNDLED, ' '.join(remarks))
    return Found(path, info, ' '.join(remarks) or None)


def locate(name: str) -> Path | None:
    """Tell where a checkpoint seems to lie, without reading it: for lists to choose from.

    Only name and size are compared; `find` compares the hash as well.

    Parameters
    ----------
    name : str
        A name of `REGISTRY`, or `BUNDLED_NAME`.

    Returns
    -------
    Path or None
        None where it would have to be downloaded.
    """
    if name == BUNDLED_NAME:
        return bundled_path()
    info = REGISTRY[name]
    for folder in _folders():
        path = folder / info.filename
        if path.is_file() and info.size in (None, path.stat().st_size):
            return path
    return None


def _package() -> Path:
    return Path(__file__).resolve().parents[1]


def _checkout_weights() -> Path | None:
    # Beside an installed package lies site-packages, whose weights/ would be somebody else's.
    root = _package().parent
    return root / 'weights' if (root / 'pyproject.toml').is_file() else None


def _variable() -> Path | None:
    value = os.environ.get(_VARIABLE, '').strip()
    return Path(value).expanduser() if value else None


def _folders() -> Iterator[Path]:
    variable = _variable()
    if variable is not None and variable.is_dir():
        yield variable
    checkout = _checkout_weights()
    if checkout is not None:
        yield checkout
    yield cache_folder()


def _bundled() -> Found:
    path = bundled_path()
    if path is None:
        raise CheckpointNotFoundError(
            f'This installation carries no {BUNDLED.filename}. Install a release of '
            f'napari-mobilesam, or ask for another checkpoint: {", ".join(REGISTRY)}.'
        )
    return Found(path, BUNDLED)


def _explicit(name_or_path: str | Path) -> Found:
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return Found(path, None)
    found = 'a folder' if path.is_dir() else 'nothing'
    raise CheckpointNotFoundError(
        f'Expected a checkpoint file at {str(path)!r}, found {found}. Give the path of a file, or '
        f'one of these names: {", ".join([*REGISTRY, BUNDLED_NAME])}.'
    )


def _from_environment(info: CheckpointInfo) -> Found | None:
    """Take the one file that the environment names, if it is meant for this checkpoint."""
    path = _variable()
    if path is None or path.is_dir():
        return None
    if not path.is_file():
        raise CheckpointNotFoundError(
            f'Expected a file or a folder at {str(path)!r}, which {_VARIABLE} names, found '
            'nothing. Correct the variable or unset it.'
        )
    wrong = difference(path, info)
    if wrong is None:
        return Found(path, info)
    if info.name != DEFAULT_NAME:
        return None
    return Found(path, None, f'{path} is used instead of {info.name}, as {_VARIABLE} says.')


def _fetch(
    info: CheckpointInfo,
    allow_download: bool,
    progress: Progress | None,
    cancelled: Cancelled | None,
) -> Path:
    if not allow_download and not offline():
        raise CheckpointNotFoundError(
            f'{info.name} is not on this computer, and a download was not allowed. Allow it, or '
            f'put {info.filename} into {cache_folder()}.'
        )
    return download(info, folder=cache_folder(), progress=progress, cancelled=cancelled)

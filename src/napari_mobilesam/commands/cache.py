"""``napari-mobilesam cache``: look at the embeddings kept on disk, check them, remove them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._common import CacheFolder, fail

if TYPE_CHECKING:
    from napari_mobilesam.engine import DiskStore


class CacheAction(StrEnum):
    """What to do with the embeddings on disk."""

    INFO = 'info'
    PATH = 'path'
    VERIFY = 'verify'
    CLEAR = 'clear'


def command(
    action: Annotated[
        CacheAction,
        typer.Argument(
            help='info: how many there are and what they take. path: where they lie. '
            'verify: read each and remove what is damaged. clear: remove all.'
        ),
    ] = CacheAction.INFO,
    folder: CacheFolder = None,
) -> None:
    """Look after the embeddings that are kept on disk.

    A plane is encoded once; its embedding is kept under a fingerprint of its pixels and of the
    model, so it is found again after files were moved or renamed. verify exits with 1 if
    something was damaged.
    """
    from napari_mobilesam.engine import DiskStore

    store = DiskStore(folder)
    if action is CacheAction.PATH:
        typer.echo(store.folder)
    elif action is CacheAction.INFO:
        _show(store.folder, store)
    elif action is CacheAction.VERIFY:
        _verify(store)
    else:
        try:
            removed = store.clear()
        except OSError as error:
            fail(f'{error}. Remove the folder {store.folder} yourself, or ask its owner.')
        typer.echo(f'Removed {_count(removed)} from {store.folder}')


def _show(folder: Path, store: DiskStore) -> None:
    info = store.info()
    typer.echo(f'{_count(info.entries)}, {info.nbytes / 2**20:.1f} MiB, in {folder}')
    if info.foreign:
        typer.echo(f'{info.foreign} other files there, which are left alone')


def _verify(store: DiskStore) -> None:
    good, damaged = 0, 0
    for key, problem in store.verify():
        if problem is None:
            good += 1
        else:
            damaged += 1
            typer.echo(f'{key}: {problem}; removed', err=True)
    typer.echo(f'{_count(good)} whole, {damaged} damaged')
    if damaged:
        raise typer.Exit(1)


def _count(number: int) -> str:
    return f'{number} embedding{"s" * (number != 1)}'

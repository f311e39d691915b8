"""What several commands need: ending with a sentence, and finding a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from napari_mobilesam.engine import SamSegmenter


def fail(message: str) -> NoReturn:
    """Say what went wrong, on stderr, and exit with 1."""
    typer.echo(f'Error: {message}', err=True)
    raise typer.Exit(1)


def find_weights(weights: str | None) -> Path:
    """Give the file of a checkpoint, downloading it if it was asked for by name.

    Parameters
    ----------
    weights : str or None
        A name or a path; None is the bundled checkpoint.

    Raises
    ------
    typer.Exit
        There is none; said on stderr.
    """
    from mobile_sam.checkpoints import BUNDLED_NAME, CheckpointError, find

    announced = False

    def announce(_done: int, total: int) -> None:
        nonlocal announced
        if not announced:
            announced = True
            typer.echo(
                f'Downloading {weights}, {total / 1e6:.0f} MB …' if total else 'Downloading …',
                err=True,
            )

    try:
        found = find(weights or BUNDLED_NAME, progress=announce)
    except CheckpointError as error:
        hint = '' if weights else ' Or name a checkpoint with --weights NAME|PATH.'
        fail(f'{error}{hint}')
    if found.notice:
        typer.echo(f'Note: {found.notice}', err=True)
    return found.path


def load_segmenter(weights: str | None) -> SamSegmenter:
    """Build the model of a checkpoint (None: the bundled one), and say on stderr which it is.

    Raises
    ------
    typer.Exit
        It cannot be; said on stderr.
    """
    from mobile_sam.checkpoints import CheckpointError, load_model
    from napari_mobilesam.engine import SamSegmenter

    path = find_weights(weights)
    try:
        segmenter = SamSegmenter(load_model(path))
    except CheckpointError as error:
        fail(str(error))
    typer.echo(f'Model: {path.name} on {segmenter.device}', err=True)
    return segmenter

"""``napari-mobilesam demo``: a first look, in a window or in files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ._common import Weights, fail, find_weights, load_segmenter


class SampleChoice(StrEnum):
    """What the demo can show."""

    NUCLEI = 'nuclei'
    CELL = 'cell'
    COINS = 'coins'
    ALL = 'all'


def command(
    output: Annotated[
        Path | None,
        typer.Option(
            '--output',
            '-o',
            metavar='DIR',
            file_okay=False,
            help='Folder for demo.png and labels.tif. By default the current one without a window, '
            'and with a window nothing is written.',
        ),
    ] = None,
    window: Annotated[
        bool | None,
        typer.Option(
            '--window/--headless',
            help='Open napari, or write files only. By default a window where there is a display.',
        ),
    ] = None,
    weights: Weights = None,
    sample: Annotated[
        SampleChoice | None,
        typer.Option(
            help='What to segment. By default the stack of nuclei in a window, all without one.',
        ),
    ] = None,
) -> None:
    """Show the annotator on sample data, the first object segmented.

    Without a display, the same is done by the engine alone: demo.png shows images, prompts and
    masks, labels.tif holds the objects.
    """
    open_window = _window_wanted(window)
    if open_window and sample is SampleChoice.ALL and window:
        raise typer.BadParameter('a window shows one sample; name it, or use --headless.')
    if open_window and sample is SampleChoice.ALL:
        open_window = False
    if output is not None or not open_window:
        first = SampleChoice.NUCLEI if open_window else SampleChoice.ALL
        _write_demo(output or Path(), sample or first, weights)
    if open_window:
        _open_demo((sample or SampleChoice.NUCLEI).value, weights)


def _window_wanted(window: bool | None) -> bool:
    """Decide between window and files, and say so where nobody asked for files."""
    from napari_mobilesam.demo import has_display, has_qt

    if window is False:
        return False
    obstacle = None
    if not has_display():
        obstacle = 'there is no display that napari could open a window on'
    elif not has_qt():
        obstacle = "no Qt binding is installed (pip install 'napari-mobilesam[all]' brings one)"
    if obstacle is None:
        return True
    if window:
        fail(f'{obstacle}. Use --headless to write demo.png and labels.tif instead.')
    typer.echo(f'No window: {obstacle}. Writing files instead.')
    return False


def _write_demo(folder: Path, sample: SampleChoice, weights: str | None) -> None:
    from napari_mobilesam.demo import SAMPLES, run_headless

    names = SAMPLES if sample is SampleChoice.ALL else (sample.value,)
    segmenter = load_segmenter(weights)
    try:
        report = run_headless(segmenter, folder, names, say=typer.echo)
    except OSError as error:
        fail(
            f'cannot write to {folder.resolve()}: {error}. '
            'Name a folder that can be written to with --output.'
        )
    for path in (report.picture, *report.labels):
        typer.echo(f'Wrote {path.resolve()}')


def _open_demo(sample: str, weights: str | None) -> None:
    from mobile_sam.checkpoints import CheckpointError
    from napari_mobilesam.demo.window import open_demo

    checkpoint = None if weights is None else find_weights(weights)
    try:
        open_demo(sample, checkpoint, say=typer.echo)
    except CheckpointError as error:
        fail(f'{error} Or name a checkpoint with --weights NAME|PATH.')

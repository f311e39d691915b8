"""What several commands need: options, ending with a sentence, finding model and data, progress."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mobile_sam.training.data import Item
    from napari_mobilesam.engine import SamSegmenter
    from napari_mobilesam.exchange.images import Picture

Weights = Annotated[
    str | None,
    typer.Option(
        '--weights',
        metavar='NAME|PATH',
        help='Checkpoint: a name (see "napari-mobilesam models"; downloaded where it is not here '
        'yet) or a file. By default the bundled one, which needs no network.',
    ),
]
Device = Annotated[
    str,
    typer.Option(
        '--device',
        metavar='auto|cpu|cuda|mps',
        help='What the model runs on; auto takes a graphics card where there is one.',
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        '--precision',
        metavar='float32|bfloat16|int8',
        help='In which the encoder computes: bfloat16 on NVIDIA cards from Ampere on, int8 on a '
        'processor after "napari-mobilesam tune --int8". Embeddings are kept apart.',
    ),
]
Stack = Annotated[
    Path,
    typer.Argument(
        metavar='STACK', exists=True, help='Slices or frames, rows, columns: TIFF, npy or OME-Zarr.'
    ),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        '--folder',
        metavar='DIR',
        file_okay=False,
        help='Where embeddings are kept; by default in your cache folder.',
    ),
]
Overwrite = Annotated[bool, typer.Option('--overwrite', help='Replace what is there.')]
DATA_HELP = (
    'Labelled images: a folder with manifest.json, or with pairs NAME_image / NAME_label, or with '
    'two folders images and labels whose files have equal names.'
)


def fail(message: str) -> NoReturn:
    """Say what went wrong, on stderr, and exit with 1."""
    typer.echo(f'Error: {message}', err=True)
    raise typer.Exit(1)


def find_weights(weights: str | None, *, exact: bool = False) -> Path:
    """Give the file of a checkpoint, downloading it if it was asked for by name.

    Parameters
    ----------
    weights : str or None
        A name or a path; None is the bundled checkpoint.
    exact : bool
        Whether a name must be that very checkpoint, and nothing may stand in for it.

    Raises
    ------
    typer.Exit
        There is none; said on stderr.
    """
    from mobile_sam.checkpoints import BUNDLED_NAME, REGISTRY, CheckpointError, find

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
    if exact and weights in REGISTRY and (found.info is None or found.info.name != weights):
        fail(found.notice or f'{found.path} is not {weights}.')
    if found.notice:
        typer.echo(f'Note: {found.notice}', err=True)
    return found.path


def load_segmenter(
    weights: str | None, device: str = 'auto', precision: str = 'float32'
) -> SamSegmenter:
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
        segmenter = SamSegmenter(load_model(path), device, precision=precision)
    except CheckpointError as error:
        fail(str(error))
    if segmenter.precision != precision:
        fail(
            f'expected a precision of {" or ".join(segmenter.precisions)} for this checkpoint on '
            f'{segmenter.device}; got {precision}. "napari-mobilesam tune --int8" makes int8.'
        )
    typer.echo(f'Model: {path.name} on {segmenter.device}', err=True)
    return segmenter


def open_stack(path: Path) -> Picture:
    """Open an image of three axes: slices or frames, rows, columns.

    Raises
    ------
    typer.Exit
        It is none; said on stderr.
    """
    from napari_mobilesam.exchange import ExchangeError
    from napari_mobilesam.exchange.images import open_image

    try:
        picture = open_image(path)
    except ExchangeError as error:
        fail(str(error))
    if len(picture.shape) != 3 or picture.rgb:
        fail(
            f'{path} should have three axes: slices, rows, columns; it has the shape '
            f'{tuple(picture.pixels.shape)}'
        )
    return picture


def read_planes(data: Path, split: str, modalities: str | None) -> list[Item]:
    """List the labelled planes of a folder.

    Parameters
    ----------
    data : Path
        See `mobile_sam.training.data.read_items`.
    split : {'held', 'train', 'all'}
    modalities : str or None
        Names with commas between them; None for all.

    Raises
    ------
    typer.Exit
        There are none; said on stderr.
    typer.BadParameter
        There is no such modality.
    """
    from mobile_sam.training.data import TrainingDataError, read_items, split_items

    try:
        planes = read_items(data)
    except (TrainingDataError, OSError, ValueError, KeyError) as error:
        fail(str(error))
    wanted = {name.strip() for name in (modalities or '').split(',')} - {''}
    known = {item.modality for item in planes}
    if wanted - known:
        raise typer.BadParameter(
            f'--modalities: expected some of {", ".join(sorted(known))}; '
            f'found {", ".join(sorted(wanted - known))}.'
        )
    learned, held = split_items(planes)
    chosen = {'held': held, 'train': learned, 'all': planes}[split]
    chosen = [item for item in chosen if not wanted or item.modality in wanted]
    if not chosen:
        fail(
            f'{data} has no images in the split {split!r}: every fifth group of a stratum is held '
            'out, and none of a single one. Use --split all.'
        )
    return chosen


def use_device(device: str, threads: int | None) -> tuple[str, str]:
    """Choose device and threads; return the device and a description of both."""
    import torch

    from napari_mobilesam.engine.devices import choose_device

    device = choose_device(device)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        fail(f'the device {device} cannot be used: {error}. Use --device cpu.')
    if threads is not None:
        torch.set_num_threads(threads)
    count = torch.get_num_threads()
    return device, f'cpu, {count} thread{"s" * (count > 1)}' if device == 'cpu' else device


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[object], None]]:
    """Show a progress bar on stderr, where that is a terminal; call what it yields at each step."""
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit='plane', leave=False, disable=None) as bar:
        yield lambda _step: bar.update()

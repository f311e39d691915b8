"""``napari-mobilesam segment``: images to labels, without a window."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._common import (
    Device,
    Overwrite,
    Precision,
    Weights,
    fail,
    load_segmenter,
    progress,
    use_device,
)
from .export import FORMATS_HELP

if TYPE_CHECKING:
    from napari_mobilesam import Session
    from napari_mobilesam.engine import SamSegmenter


class Overlap(StrEnum):
    """Who owns pixels that two objects claim."""

    KEEP = 'keep'
    REPLACE = 'replace'


def command(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar='IMAGE',
            help='TIFF, PNG, JPEG, npy, OME-Zarr of any number of axes, or folders of them.',
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            '--output',
            '-o',
            metavar='PATH',
            help=f'{FORMATS_HELP} For several images a folder, with --format.',
        ),
    ],
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar='FILE',
            help='Prompts of one image: CSV (columns y, x, and z, t, c where there are such axes; '
            'optional object, positive, y2, x2, class), GeoJSON, or ImageJ ROIs. Without it, all '
            'that looks like an object is segmented, plane by plane.',
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            '--format', metavar='SUFFIX', help='Ending of the files in a folder; by default tif.'
        ),
    ] = None,
    weights: Weights = None,
    device: Device = 'auto',
    precision: Precision = 'float32',
    points_per_side: Annotated[
        int, typer.Option(min=1, max=128, help='Without prompts: a grid of so many points squared.')
    ] = 32,
    overlap: Annotated[
        Overlap, typer.Option(help='Whether earlier objects keep pixels that a later one claims.')
    ] = Overlap.KEEP,
    as_json: Annotated[
        bool, typer.Option('--json', help='Print a summary as JSON on stdout.')
    ] = False,
    skip_done: Annotated[
        bool,
        typer.Option('--skip-done', help='In a folder: leave out images whose result is there.'),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Segment images: the objects at prompts, or everything.

    Progress goes to stderr. The exit code is 0 when all images were segmented, 1 when one could
    not be (the others are).
    """
    from napari_mobilesam.exchange import ExchangeError
    from napari_mobilesam.exchange.images import images_in

    try:
        found = [path for given in images for path in images_in(given)]
        jobs = _jobs(found, output, format_name)
    except ExchangeError as error:
        fail(str(error))
    if prompts is not None and len(found) > 1:
        raise typer.BadParameter('--prompts are those of one image; name one.')
    left = [(p, target) for p, target in jobs if not (skip_done and target.exists())]
    device, _shown = use_device(device, None)
    segmenter = load_segmenter(weights, device, precision)
    results: list[dict[str, Any]] = []
    failed = False
    for path, target in left:
        started = time.perf_counter()
        try:
            session = _segmented(path, prompts, segmenter, overlap.value, points_per_side)
            written = session.export(target, overwrite=overwrite)
        except (ExchangeError, ValueError, IndexError) as error:
            failed = True
            typer.echo(f'Error: {path}: {error}', err=True)
            results.append({'image': str(path), 'error': str(error)})
            continue
        seconds = round(time.perf_counter() - started, 3)
        count = len(session.segmentation.ids)
        names = [str(name) for name in written]
        results.append({'image': str(path), 'objects': count, 'written': names, 'seconds': seconds})
        if not as_json:
            typer.echo(f'{path}: {count} objects → {", ".join(names)}')
    if as_json:
        skipped = len(jobs) - len(left)
        summary: dict[str, Any] = {'model': segmenter.digest, 'skipped': skipped, 'images': results}
        typer.echo(json.dumps(summary, ensure_ascii=False))
    if failed:
        raise typer.Exit(1)


def _jobs(found: list[Path], output: Path, suffix: str | None) -> list[tuple[Path, Path]]:
    """Return each image with where its result goes; nothing is read for that."""
    from napari_mobilesam.exchange import ExchangeError, format_of
    from napari_mobilesam.exchange.images import stem_of

    if len(found) == 1 and suffix is None and not output.is_dir():
        format_of(output)
        return [(found[0], output)]
    suffix = f'.{(suffix or "tif").lstrip(".")}'
    format_of(f'x{suffix}')
    if output.exists() and not output.is_dir():
        raise ExchangeError(f'"{output}" is a file; several images need a folder')
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExchangeError(f'"{output}" cannot be made: {error.strerror}') from None
    jobs, seen = [], set()
    for path in found:
        stem = stem_of(path)
        target = output / f'{stem}_labels{suffix}'
        if target in seen:
            target = output / f'{path.name}_labels{suffix}'
        seen.add(target)
        jobs.append((path, target))
    return jobs


def _segmented(
    path: Path,
    prompts: Path | None,
    segmenter: SamSegmenter,
    overlap: Any,
    points_per_side: int,
) -> Session:
    from napari_mobilesam import Session
    from napari_mobilesam.engine import EverythingOptions, PlaneKey
    from napari_mobilesam.exchange.prompt_files import read_prompt_file

    session = Session.open(path, segmenter=segmenter)
    if prompts is None:
        planes = 1
        for side in session.shape[:-2]:
            planes *= side
        with progress(path.name, planes) as step:
            session.segment_everything(
                overlap=overlap,
                options=EverythingOptions.suiting(segmenter, points_per_side=points_per_side),
                progress=lambda done, total: step(done) if done else None,
            )
        return session
    ndim = len(session.shape)
    objects = read_prompt_file(prompts, session.shape, session.picture.axes)
    with progress(path.name, len(objects)) as step:
        for item in objects:
            key = PlaneKey('', (ndim - 2, ndim - 1), item.index)
            session.segment_plane(key, item.prompts, class_name=item.class_name, overlap=overlap)
            step(item)
    return session

"""``napari-mobilesam refine``: labels of another program in, better outlines out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ._common import Device, Overwrite, Precision, Weights, fail, load_segmenter, use_device
from .export import FORMATS_HELP


def command(
    image: Annotated[
        Path,
        typer.Argument(
            metavar='IMAGE', exists=True, help='A picture, or a stack: TIFF, npy, OME-Zarr, PNG.'
        ),
    ],
    labels: Annotated[
        Path,
        typer.Argument(
            metavar='LABELS', exists=True, help='Labels of the same shape, from whatever program.'
        ),
    ],
    output: Annotated[Path, typer.Option('--output', '-o', metavar='PATH', help=FORMATS_HELP)],
    min_score: Annotated[
        float,
        typer.Option(min=0, max=1, help='Leave what the model is less sure of as it is.'),
    ] = 0.5,
    weights: Weights = None,
    device: Device = 'auto',
    precision: Precision = 'float32',
    cache: Annotated[
        bool, typer.Option('--cache/--no-cache', help='Keep embeddings on disk for the next time.')
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Refine labels that another program made.

    Each object is outlined anew on each slice, from its box, its shape and points in it, and keeps
    its id. Where the model finds another thing, or is unsure, the object stays as it was.
    """
    import numpy as np

    from napari_mobilesam.engine import Annotator, DiskStore, EmbeddingStore, PlaneKey, PlaneSource
    from napari_mobilesam.engine.stacks import PlaneSeries
    from napari_mobilesam.engine.stacks.refining import refine
    from napari_mobilesam.exchange import ExchangeError, Segmentation, export, format_of
    from napari_mobilesam.exchange.files import check_target
    from napari_mobilesam.exchange.images import open_image

    try:
        # before the work: to learn only afterwards that it was in vain would waste it
        format_of(output)
        check_target(output, overwrite)
        picture = open_image(image)
        coarse = np.asarray(open_image(labels).pixels)
    except ExchangeError as error:
        fail(str(error))
    if len(picture.shape) not in (2, 3):
        fail(
            f'{image} should have two axes, or three with slices; it has the shape '
            f'{tuple(picture.shape)}'
        )
    if coarse.shape != picture.shape or coarse.dtype.kind not in 'iub':
        fail(
            f'{labels} should hold integer labels of the shape {tuple(picture.shape)}; it has '
            f'{coarse.dtype} {coarse.shape}'
        )
    if not coarse.any():
        fail(f'{labels} holds no object.')
    flat = len(picture.shape) == 2
    pixels: Any = np.asarray(picture.pixels)[None] if flat else picture.pixels
    slices = coarse[None] if flat else coarse
    disk = DiskStore(on_notice=lambda text: typer.echo(f'Note: {text}', err=True))
    device, _shown = use_device(device, None)
    annotator = Annotator(
        load_segmenter(weights, device, precision), EmbeddingStore(disk=disk if cache else None)
    )
    source = PlaneSource(PlaneKey(image.name, (1, 2), (0,)), pixels, rgb=picture.rgb)
    refined = np.zeros(slices.shape, np.int32)
    changed: set[int] = set()
    for step in refine(annotator, PlaneSeries(source, 0), slices.__getitem__, min_score):
        refined[step.index] = step.labels()
        changed |= step.changed.keys()
        done = step.done == step.total
        typer.echo(f'\rRefining, slice: {step.done} of {step.total}', nl=done, err=True)
    found = Segmentation(
        refined[0] if flat else refined,
        axes='yx' if flat else 'zyx',
        scale=picture.scale,
        unit=picture.unit,
        name=picture.name,
        image=picture.pixels,
    )
    try:
        written = export(found, output, overwrite=overwrite)
    except ExchangeError as error:
        fail(str(error))
    for path in written:
        typer.echo(
            f'Wrote {path.resolve()}: {len(found.ids)} objects, {len(changed)} of them with other '
            'outlines'
        )

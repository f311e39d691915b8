"""``napari-mobilesam embed``: embed a whole stack ahead; take and give embeddings of micro-sam."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._common import (
    CacheFolder,
    Device,
    Precision,
    Stack,
    Weights,
    fail,
    find_weights,
    load_segmenter,
    open_stack,
    progress,
    use_device,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_mobilesam.engine import Annotator, PlaneSource


class Intensity(StrEnum):
    """How pixel values become what the model sees, as in the Annotator."""

    PERCENTILE = 'percentile'
    FULL = 'full'


def command(
    image: Stack,
    intensity: Annotated[
        Intensity,
        typer.Option(
            help='How the model sees pixel values. percentile: a hot pixel does not '
            'darken the slice; the default of the Annotator, too. full: each slice from its lowest '
            'to its highest value, as micro-sam.'
        ),
    ] = Intensity.PERCENTILE,
    from_micro_sam: Annotated[
        Path | None,
        typer.Option(
            metavar='DIR',
            exists=True,
            file_okay=False,
            help='Take the embeddings of this store of micro-sam, if image and model are the same.',
        ),
    ] = None,
    to_micro_sam: Annotated[
        Path | None,
        typer.Option(metavar='DIR', help='Write a store that micro-sam reads; a new folder.'),
    ] = None,
    weights: Weights = None,
    device: Device = 'auto',
    precision: Precision = 'float32',
    folder: CacheFolder = None,
) -> None:
    """Embed all slices of a stack, so that the Annotator opens it without a wait.

    Slices that have their embedding are not encoded again, whatever the file is called now; a run
    that was interrupted goes on where it was.
    """
    from napari_mobilesam.engine import (
        Annotator,
        DiskStore,
        EmbeddingStore,
        IntensityMapping,
        PlaneKey,
        PlaneSource,
    )
    from napari_mobilesam.engine.stacks import PlaneSeries
    from napari_mobilesam.engine.stacks.precompute import PrecomputePlan, precompute

    if intensity is not Intensity.FULL and (from_micro_sam or to_micro_sam):
        fail('micro-sam maps each slice over its full range: add --intensity full.')
    if to_micro_sam is not None and to_micro_sam.exists():
        fail(f'{to_micro_sam} exists already. Name a new folder.')
    pixels = open_stack(image).pixels
    device, _shown = use_device(device, None)
    disk = DiskStore(folder, on_notice=lambda text: typer.echo(f'Note: {text}', err=True))
    annotator = Annotator(load_segmenter(weights, device, precision), EmbeddingStore(disk=disk))
    source = PlaneSource(
        PlaneKey(image.name, (1, 2), (0,)), pixels, IntensityMapping(intensity.value)
    )
    planes = PlaneSeries(source, 0)
    if from_micro_sam is not None:
        _take(from_micro_sam, pixels, planes, annotator, find_weights(weights))
    encoded = 0
    with progress('Embedding', len(planes)) as advance:
        for step in precompute(annotator, planes, PrecomputePlan(len(planes))):
            encoded += step.encoded
            advance(step)
    typer.echo(
        f'{len(planes)} slices are embedded in {disk.folder}; {encoded} had to be encoded now'
    )
    if to_micro_sam is not None:
        _give(to_micro_sam, pixels, planes, annotator, find_weights(weights))


def _take(
    store: Path,
    pixels: Any,
    planes: Sequence[PlaneSource],
    annotator: Annotator,
    checkpoint: Path,
) -> None:
    from napari_mobilesam.engine.micro_sam import ForeignStoreError, import_micro_sam

    try:
        taken = list(
            import_micro_sam(
                store, pixels, planes, annotator.segmenter, checkpoint, annotator.store
            )
        )
    except (ForeignStoreError, OSError) as error:
        fail(f'{error}.')
    typer.echo(f'Took {len(taken)} embeddings of {store}')


def _give(
    store: Path,
    pixels: Any,
    planes: Sequence[PlaneSource],
    annotator: Annotator,
    checkpoint: Path,
) -> None:
    from napari_mobilesam.engine.micro_sam import export_micro_sam

    embeddings = [annotator.embed(plane) for plane in planes]
    try:
        export_micro_sam(store, pixels, embeddings, 'vit_t', checkpoint)
    except (OSError, ValueError) as error:
        fail(f'{store} cannot be written: {error}.')
    typer.echo(f'Wrote {store.resolve()}')

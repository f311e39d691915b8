"""``napari-mobilesam track``: follow objects through the slices of a stack, or through time."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._common import (
    Device,
    Overwrite,
    Precision,
    Stack,
    Weights,
    fail,
    load_segmenter,
    open_stack,
    use_device,
)
from .export import FORMATS_HELP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_mobilesam.engine import Annotator
    from napari_mobilesam.engine.stacks import PlaneSeries
    from napari_mobilesam.engine.stacks.tracking import Tracking


class Along(StrEnum):
    """What the first axis of the image is."""

    Z = 'z'
    T = 't'


class PromptMode(StrEnum):
    """How an object is prompted from slice to slice."""

    AGREEMENT = 'agreement'
    BOX = 'box'
    MASK = 'mask'
    POINTS = 'points'


def command(
    image: Stack,
    output: Annotated[Path, typer.Option('--output', '-o', metavar='PATH', help=FORMATS_HELP)],
    anchors: Annotated[
        Path | None,
        typer.Option(
            metavar='LABELS',
            exists=True,
            help='Labels of the same shape in which objects are given on one slice or some; they '
            'are followed through all others. Without it everything is segmented.',
        ),
    ] = None,
    along: Annotated[
        Along,
        typer.Option(
            help='z: slices are linked to objects. t: objects are tracked, with divisions.'
        ),
    ] = Along.Z,
    mode: Annotated[
        PromptMode,
        typer.Option(help='Prompts made of the slice before; agreement tries all of them.'),
    ] = PromptMode.AGREEMENT,
    views: Annotated[
        bool,
        typer.Option(
            '--three-views',
            help='With --anchors: follow each object through its XZ and YZ planes too, and keep '
            'what two of the three views agree on. Takes an encoding for each of these planes.',
        ),
    ] = False,
    first: Annotated[
        int, typer.Option(min=0, metavar='N', help='The first slice to look at, counted from 0.')
    ] = 0,
    last: Annotated[
        int | None,
        typer.Option(
            min=0, metavar='N', help='The last slice to look at; by default the last of all.'
        ),
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help='Leave out what the model is less sure of.')
    ] = 0.3,
    max_gap: Annotated[
        int, typer.Option(min=0, help='Slices on which an object may be missing.')
    ] = 1,
    max_distance: Annotated[
        float,
        typer.Option(
            min=0.1, help='With --along t: pixels that an object moves between frames at most.'
        ),
    ] = 30.0,
    tracks: Annotated[
        list[Path] | None,
        typer.Option(
            metavar='PATH',
            help='With --along t: write the tracks, too. NAME.xml is for TrackMate, NAME.geff a '
            'graph, any other name a folder of the Cell Tracking Challenge. May be repeated.',
        ),
    ] = None,
    weights: Weights = None,
    device: Device = 'auto',
    precision: Precision = 'float32',
    cache: Annotated[
        bool, typer.Option('--cache/--no-cache', help='Keep embeddings on disk for the next time.')
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Follow objects through a stack or a time series.

    Embeddings are kept on disk, so that a run that was interrupted goes on where it was, and
    another one with other options takes a fraction of the time.
    """
    import numpy as np

    from napari_mobilesam.engine import Annotator, DiskStore, EmbeddingStore, PlaneKey, PlaneSource
    from napari_mobilesam.engine.stacks import PlaneSeries
    from napari_mobilesam.exchange import ExchangeError, Segmentation, export, format_of
    from napari_mobilesam.exchange.files import check_target
    from napari_mobilesam.exchange.track_graph import TrackGrid
    from napari_mobilesam.exchange.tracks import write_tracks

    try:
        # before the work: to learn only afterwards that it was in vain would waste it
        format_of(output)
        for path in (output, *(tracks or ())):
            check_target(path, overwrite)
    except ExchangeError as error:
        fail(str(error))
    if tracks and (along is not Along.T or anchors is not None):
        raise typer.BadParameter('--tracks: expected --along t, and no --anchors.')
    if views and (along is Along.T or anchors is None):
        raise typer.BadParameter('--three-views: expected --anchors, and --along z.')
    picture = open_stack(image)
    pixels = picture.pixels
    given = None if anchors is None else np.asarray(open_stack(anchors).pixels)
    if given is not None and (given.shape != pixels.shape or given.dtype.kind not in 'iub'):
        fail(
            f'{anchors} should hold integer labels of the shape {pixels.shape}; it has '
            f'{given.dtype} {given.shape}'
        )
    if given is not None and not given.any():
        fail(f'{anchors} holds no object: paint at least one on one slice.')
    disk = DiskStore(on_notice=lambda text: typer.echo(f'Note: {text}', err=True))
    device, _shown = use_device(device, None)
    annotator = Annotator(
        load_segmenter(weights, device, precision), EmbeddingStore(disk=disk if cache else None)
    )
    planes = PlaneSeries(PlaneSource(PlaneKey(image.name, (1, 2), (0,)), pixels), 0)
    within = _slices(first, last, len(planes))
    tracking = None
    if given is not None:
        if not given[within.start : within.stop].any():
            fail(f'{anchors} holds no object from slice {within.start} to {within.stop - 1}.')
        # Along rows and columns a pixel of the planes counts as 1.
        depth = picture.scale[0] / picture.scale[-1] if views else None
        labels = _follow(annotator, planes, given, mode.value, within, depth)
    elif along is Along.T:
        tracking = _track(annotator, planes, min_score, max_gap, max_distance, within)
        labels = np.stack([tracking.paint(index, planes.shape) for index in range(len(planes))])
    else:
        labels = _link(annotator, planes, min_score, max_gap, within)
    found = Segmentation(
        labels,
        axes=f'{along.value}yx',
        scale=picture.scale,
        unit=picture.unit,
        name=picture.name,
        image=pixels,
    )
    try:
        written = export(found, output, overwrite=overwrite)
    except ExchangeError as error:
        fail(str(error))
    count = len(found.ids)
    for path in written:
        typer.echo(f'Wrote {path.resolve()}: {count} object{"s" * (count != 1)}')
    if tracking is not None:
        rows, columns = picture.scale[-2:]
        grid = TrackGrid(
            len(planes), planes.shape, (rows, columns), picture.unit, name=picture.name
        )
        for path in tracks or ():
            try:
                write_tracks(tracking, path, grid, overwrite=overwrite)
            except ExchangeError as error:
                fail(str(error))
            typer.echo(f'Wrote {path.resolve()}')


def _slices(first: int, last: int | None, count: int) -> range:
    """Return the slices to look at."""
    last = count - 1 if last is None else last
    if not first <= last < count:
        raise typer.BadParameter(
            f'--first and --last: expected slices from 0 to {count - 1}, the first before the '
            f'last; found {first} and {last}.'
        )
    return range(first, last + 1)


def _progress(what: str, done: int, total: int) -> None:
    typer.echo(f'\r{what}: {done} of {total}', nl=done == total, err=True)


def _follow(
    annotator: Annotator,
    planes: PlaneSeries,
    given: NDArray[Any],
    mode: Any,
    within: range,
    depth: float | None,
) -> NDArray[np.int32]:
    """Follow given objects; they keep their ids, and their pixels beside the slices looked at.

    With a distance of slices, in pixels, they are followed from three sides.
    """
    import numpy as np

    from napari_mobilesam.engine.stacks import MaskPatch, Propagation, PropagationOptions
    from napari_mobilesam.engine.stacks.consensus import three_views

    propagation = Propagation(annotator, planes, PropagationOptions(mode=mode))
    for index in range(len(planes)):
        for label in np.unique(given[index][given[index] > 0]).tolist():
            propagation.anchor(label, index, MaskPatch.cut(given[index] == label))
    total = 0
    for step in propagation.run(within=within):
        total = step.total
        _progress('Following, slice', step.done, total)
        for stop in step.stopped:
            typer.echo(
                f'\rObject {stop.label} ends before slice {stop.index}: {stop.reason.value}',
                err=True,
            )
    for label in propagation.labels if depth is not None else ():
        for view in three_views(annotator, planes, propagation, label, depth or 1.0, within):
            _progress(f'Object {label} from its sides, plane', view.done, view.total)
    return np.stack([propagation.paint(index) for index in range(len(planes))])


def _find(annotator: Annotator, planes: PlaneSeries, within: range) -> Any:
    from napari_mobilesam.engine.stacks.detectors import blob_detector
    from napari_mobilesam.engine.stacks.volume import VolumeSegmentation

    segmentation = VolumeSegmentation(planes, blob_detector(annotator))
    for step in segmentation.run(within):
        _progress('Segmenting, slice', step.done, step.total)
    return segmentation


def _link(
    annotator: Annotator, planes: PlaneSeries, min_score: float, max_gap: int, within: range
) -> NDArray[np.int32]:
    import numpy as np

    from napari_mobilesam.engine.stacks.linking import LinkOptions, paint_linked

    objects = _find(annotator, planes, within).link(LinkOptions(min_score, max_gap=max_gap))
    return np.stack([paint_linked(objects, index, planes.shape) for index in range(len(planes))])


def _track(
    annotator: Annotator,
    planes: PlaneSeries,
    min_score: float,
    max_gap: int,
    max_distance: float,
    within: range,
) -> Tracking:
    from napari_mobilesam.engine.stacks.tracking import (
        TrackingNotInstalledError,
        TrackOptions,
        track,
    )

    options = TrackOptions(max_distance, max_gap, min_score=min_score)
    try:
        # before the work: to learn only afterwards that it was in vain would waste it
        track({}, options)
        tracking = track(_find(annotator, planes, within).found, options)
    except TrackingNotInstalledError as error:
        fail(str(error))
    typer.echo(f'{len(tracking.tracks)} tracks, {len(set(tracking.parents.values()))} divisions')
    return tracking

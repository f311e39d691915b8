"""``napari-mobilesam replay``: a recorded session done again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._common import Overwrite, fail, load_segmenter, progress

if TYPE_CHECKING:
    from napari_mobilesam.exchange.session_file import SavedSession
    from napari_mobilesam.replay import Replay


def command(
    session: Annotated[
        Path, typer.Argument(metavar='SESSION', help='A session file, NAME.mobilesam.json.')
    ],
    image: Annotated[
        Path | None,
        typer.Option(
            metavar='PATH',
            help='Its image, or a folder to look for it. By default where it was, or beside the '
            'session.',
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar='NAME|PATH',
            help='Checkpoint to replay with. By default the one that made the objects, where it is '
            'on this computer; else the bundled one.',
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            '--output', '-o', metavar='PATH', help='Write the new labels; the ending says how.'
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option('--json', help='Print the comparison as JSON on stdout.')
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Make the objects of a session again, without a window, and compare them with the recorded.

    With the model that made them the labels are identical. With another one, a table says for each
    object how much of it is the same (intersection over union).
    """
    from napari_mobilesam.exchange import ExchangeError
    from napari_mobilesam.exchange.session_file import find_image, load_session
    from napari_mobilesam.replay import replay

    try:
        saved = load_session(session)
        picture = find_image(saved, image)
    except ExchangeError as error:
        fail(str(error))
    segmenter = load_segmenter(weights or _maker_of(saved))
    try:
        with progress('Replaying', len(saved.session.history)) as step:
            done = replay(saved, picture, segmenter=segmenter, on_progress=lambda i, n: step(i))
        if output is not None:
            done.session.export(output, overwrite=overwrite)
    except ExchangeError as error:
        fail(str(error))
    typer.echo(_as_json(done) if as_json else _table(done))


def _maker_of(saved: SavedSession) -> str | None:
    """Return the name of the checkpoint that made most of a session; None for the bundled one."""
    from mobile_sam.checkpoints import BUNDLED_NAME, REGISTRY, file_digest, locate

    makers = Counter(record.model_digest for record in saved.session if record.model_digest)
    if not makers:
        return None
    wanted, _count = makers.most_common(1)[0]
    for name in (BUNDLED_NAME, *REGISTRY):
        path = locate(name)
        if path is not None and file_digest(path) == wanted:
            return name
    typer.echo(
        f'Note: the checkpoint that made these objects (SHA-256 {wanted[:12]}…) is none of those '
        'on this computer; the bundled one takes its place. Name another with --weights.',
        err=True,
    )
    return None


def _as_json(done: Replay) -> str:
    objects = [
        {
            'id': c.label,
            'class': c.class_name,
            'recorded': c.recorded,
            'replayed': c.replayed,
            'iou': round(c.iou, 6),
        }
        for c in done.comparisons
    ]
    summary = {'identical': done.identical, 'predicted': done.predicted, 'copied': done.copied}
    return json.dumps({**summary, 'objects': objects}, ensure_ascii=False)


def _table(done: Replay) -> str:
    lines = [f'{"id":>6}  {"recorded":>10}  {"replayed":>10}  {"IoU":>6}  class']
    lines += [
        f'{c.label:>6}  {c.recorded:>10}  {c.replayed:>10}  {c.iou:>6.3f}  {c.class_name}'.rstrip()
        for c in done.comparisons
    ]
    count = len(done.comparisons)
    mean = sum(c.iou for c in done.comparisons) / count if count else 1.0
    lines.append(
        f'{count} objects, mean IoU {mean:.3f}; {done.predicted} steps predicted, {done.copied} '
        f'taken as recorded; the labels are {"identical" if done.identical else "not identical"}.'
    )
    return '\n'.join(lines)

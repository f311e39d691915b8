"""``napari-mobilesam evaluate``: how good checkpoints are, side by side."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._common import DATA_HELP, Device, fail, find_weights, progress, read_planes, use_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mobile_sam.training.data import Item, Reader
    from mobile_sam.training.evaluation import Agreement, Evaluator, Report, SamContestant
    from mobile_sam.training.evaluation.asking import Contestant


class Split(StrEnum):
    """Which groups of the data are used."""

    HELD = 'held'
    TRAIN = 'train'
    ALL = 'all'


def command(
    data: Annotated[
        Path, typer.Option(metavar='DIR', file_okay=False, exists=True, help=DATA_HELP)
    ],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar='NAME|PATH',
            help='Checkpoint to evaluate: a name (see "napari-mobilesam models"), a file, or the '
            'state.pt of a training run (its averaged weights). By default the bundled one.',
        ),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar='CHECKPOINT', help='Further ones, as after --weights.'),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            '--json', metavar='FILE', dir_okay=False, help='Write all numbers to this file.'
        ),
    ] = None,
    split: Annotated[
        Split,
        typer.Option(help='Which images: those kept from training, those trained on, or all.'),
    ] = Split.HELD,
    modalities: Annotated[
        str | None, typer.Option(metavar='A,B', help='Only these kinds of images. By default all.')
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help='At most so many planes of each modality.')
    ] = None,
    objects: Annotated[
        int | None, typer.Option(min=1, help='At most so many objects of each plane.')
    ] = None,
    corrections: Annotated[int, typer.Option(min=0, help='Correction clicks after the first.')] = 7,
    mask_prompt: Annotated[
        bool,
        typer.Option(help='Whether the model gets the mask that a click corrects, too.'),
    ] = True,
    everything: Annotated[
        int,
        typer.Option(
            min=0, metavar='N', help='Also segment N planes of each modality without prompts. Slow.'
        ),
    ] = 0,
    baselines: Annotated[
        bool,
        typer.Option('--baselines', help='Also evaluate Otsu + watershed, and the random walker.'),
    ] = False,
    agreement: Annotated[
        str | None,
        typer.Option(
            metavar='TEACHER',
            help="Also measure how far masks agree with this checkpoint's, for a point on an "
            'object and one beside it, 100 to 500 pixels of the 1024 frame apart.',
        ),
    ] = None,
    device: Device = 'auto',
    threads: Annotated[
        int | None, typer.Option(min=1, help='Threads on the CPU. By default as torch likes.')
    ] = None,
) -> None:
    """Evaluate checkpoints on labelled images: clicks, boxes, corrections.

    A robot clicks the middle of an object, then, up to --corrections times, the middle of the
    largest error. The same planes and objects are chosen each time, and nothing is random. Tables
    go to stdout as Markdown, all else to stderr.
    """
    asked: list[str | None] = [*(weights or []), *(more or [])]
    asked = asked or [None]
    files = [find_weights(name, exact=True) for name in asked]
    teacher = None if agreement is None else find_weights(agreement, exact=True)
    planes = read_planes(data, split.value, modalities)
    device, where = use_device(device, threads)

    from mobile_sam.checkpoints import CheckpointError
    from mobile_sam.training.data import Reader, TrainingDataError
    from mobile_sam.training.evaluation import Evaluator, choose_items
    from mobile_sam.training.evaluation.baselines import baselines as classical

    planes, reader = choose_items(planes, images), Reader()
    evaluator = Evaluator(
        planes,
        objects=objects,
        corrections=corrections,
        everything=everything,
        remind=mask_prompt,
        reader=reader,
    )
    names = short_names(asked, files)
    result: dict[str, Any] = {
        'data': str(data),
        'split': split.value,
        'planes': [item.name for item in planes],
        'objects': objects,
        'corrections': corrections,
        'mask_prompt': mask_prompt,
        'where': where,
    }
    try:
        result['reports'] = _reports(
            evaluator,
            (_load(file, name, device) for file, name in zip(files, names, strict=True)),
            classical() if baselines else [],
            where,
        )
        if teacher is not None:
            result['agreement'] = _agreement(
                _load(teacher, short_names([agreement], [teacher])[0], device),
                [_load(file, name, device) for file, name in zip(files, names, strict=True)],
                planes,
                objects,
                reader,
            )
        if json_file is not None:
            json_file.write_text(json.dumps(result, indent=2), encoding='utf-8')
    except (CheckpointError, TrainingDataError, ValueError, OSError) as error:
        fail(str(error))


def short_names(asked: Sequence[str | None], files: Sequence[Path]) -> list[str]:
    """Return what to call checkpoints in a table: names as given, files by as little as it takes.

    Two files called ``state.pt`` are told apart by their folders.
    """
    from mobile_sam.checkpoints import BUNDLED_NAME, REGISTRY

    named = {BUNDLED_NAME, *REGISTRY}
    names = [name or BUNDLED_NAME for name in asked]
    for parts in range(1, 1 + max(len(file.parts) for file in files)):
        short = [
            name if name in named else '/'.join(file.parts[-parts:])
            for name, file in zip(names, files, strict=True)
        ]
        if len(set(short)) == len(set(zip(names, files, strict=True))):
            break
    return short


def _load(file: Path, name: str, device: str) -> SamContestant:
    from mobile_sam.checkpoints import load_model
    from mobile_sam.training.evaluation import SamContestant

    return SamContestant.of(load_model(file, device), name)


def _reports(
    evaluator: Evaluator,
    models: Iterator[Contestant],
    others: Sequence[Contestant],
    where: str,
) -> list[dict[str, Any]]:
    """Evaluate one contestant after the other and show each table at once."""
    from mobile_sam.training.evaluation import comparison, plain, table

    reports: list[Report] = []
    for contestants in (models, others):
        for contestant in contestants:
            with progress(contestant.name, len(evaluator.items)) as said:
                reports.append(evaluator(contestant, said))
            typer.echo(f'### {contestant.name}\n\n{table(reports[-1], where)}\n')
    if len(reports) > 1:
        typer.echo(f'### Comparison\n\n{comparison(reports)}\n')
    return [plain(report) for report in reports]


def _agreement(
    teacher: SamContestant,
    students: Sequence[SamContestant],
    planes: Sequence[Item],
    objects: int | None,
    reader: Reader,
) -> list[dict[str, Any]]:
    from mobile_sam.training.evaluation import agreement, agreement_table, plain

    with progress(f'agreement with {teacher.name}', len(planes)) as said:
        found: list[Agreement] = agreement(
            teacher, students, planes, objects=objects, reader=reader, say=said
        )
    typer.echo(f'### Agreement with {teacher.name}\n\n{agreement_table(found)}\n')
    return [plain(one) for one in found]

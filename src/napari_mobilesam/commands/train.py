"""``napari-mobilesam train``: train or distill a model on one's own images."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mobile_sam.training.config import TrainConfig
from mobile_sam.training.options import Option, options

from ._common import DATA_HELP, fail, find_weights

if TYPE_CHECKING:
    from mobile_sam.training.loop import Trainer

_HELP = {
    'data': DATA_HELP,
    'init': 'Checkpoint to start from: a name or a file, also the state.pt of a run.',
    'teacher': 'Checkpoint of any SAM architecture, a name or a file, for phase distill.',
}
_CHECKPOINTS = ('init', 'teacher')


def command(**given: Any) -> None:
    """Train a model on labelled images, or teach it another model's embeddings.

    The run writes its state, log, reports and weights (float16) into the output folder, and the
    same command again goes on where it was stopped, however it was stopped. On several GPUs, or
    with one process per core of a CPU: torchrun --nproc-per-node N -m napari_mobilesam train ...
    """
    values = {name: value for name, value in given.items() if value is not None}
    try:
        for option in options():
            if option.several and isinstance(values.get(option.name), str):
                parts = values[option.name].replace(',', ' ').split()
                values[option.name] = tuple(option.kind(part) for part in parts)
        for name in _CHECKPOINTS:
            if name in values:
                values[name] = find_weights(values[name], exact=True)
        config = TrainConfig(**values)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    # Threads that wait by spinning make a step ten times slower as soon as another program runs;
    # OpenMP reads this when torch is imported.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    typer.echo(_train(config))


def _train(config: TrainConfig) -> Path:
    """Train with a progress bar; return the weights."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    from mobile_sam.checkpoints import CheckpointError
    from mobile_sam.training.data import TrainingDataError
    from mobile_sam.training.loop import train

    try:
        with (
            logging_redirect_tqdm(),
            # In permille: how long a run is may be said in minutes or in steps.
            tqdm(
                total=1000,
                unit='‰',
                disable=None,
                bar_format='{percentage:3.1f} %|{bar}| {elapsed}, {remaining} left{postfix}',
            ) as bar,
        ):

            def show(trainer: Trainer, row: dict[str, float]) -> None:
                bar.set_postfix(step=trainer.step, loss=f'{row["loss"]:.3g}', refresh=False)
                bar.update(min(1000 * trainer.progress, 1000) - bar.n)

            return train(config, show)
    except (CheckpointError, TrainingDataError, ValueError, OSError) as error:
        fail(str(error))


def _parameter(option: Option) -> inspect.Parameter:
    """Make the command's parameter of one field of `TrainConfig`."""
    kind: Any = str if option.several or option.name in _CHECKPOINTS else option.kind
    default: Any = option.default
    metavar = None
    if option.several:
        default = ','.join(map(str, option.default))
        metavar = 'A,B,…'
    elif option.name in _CHECKPOINTS:
        metavar = 'NAME|PATH'
    elif option.kind is Path:
        metavar = 'DIR'
    annotation: Any = kind
    if option.optional or (option.several and not default):
        annotation = kind | None
        default = default or None
    shown = typer.Option(help=_HELP.get(option.name, option.help), metavar=metavar)
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is dataclasses.MISSING else default,
        annotation=Annotated[annotation, shown],
    )


_parameters = [_parameter(option) for option in options()]
# typer reads the options from the signature; these are the fields of TrainConfig, whatever it has.
command.__signature__ = inspect.Signature(_parameters)  # type: ignore[attr-defined]
command.__annotations__ = {one.name: one.annotation for one in _parameters}

"""``python -m mobile_sam.training``: train from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from .config import TrainConfig

_HELP = {
    'data': 'folder with manifest.json or NAME_image/NAME_label pairs',
    'out': 'folder for state, log, reports and weights; a run found there is resumed',
    'phase': "'crops': everything, on windows; 'frames': decoder only, on whole frames",
    'minutes': 'length of the run; the learning rate follows the time',
    'steps': 'length of the run in steps, instead of minutes',
    'init': 'checkpoint to start from',
    'limit': 'use only so many images, for training and validation alike (overfitting test)',
}


def parser() -> argparse.ArgumentParser:
    """Return the parser; each field of `TrainConfig` is an option."""
    made = argparse.ArgumentParser('python -m mobile_sam.training', description=__doc__)
    for field in dataclasses.fields(TrainConfig):
        kind = str(field.type)
        options: dict[str, Any] = {'help': _HELP.get(field.name), 'dest': field.name}
        if field.default is dataclasses.MISSING:
            options['required'] = True
        else:
            options['default'] = field.default
        if kind == 'bool':
            options['action'] = argparse.BooleanOptionalAction
        elif kind.startswith('tuple'):
            options.update(nargs='+', type=_element_type(kind))
        else:
            name = kind.split(' ', 1)[0]
            options['type'] = {'Path': Path, 'int': int, 'float': float, 'str': str}[name]
        made.add_argument('--' + field.name.replace('_', '-'), **options)
    return made


def _element_type(kind: str) -> type:
    return next(t for t in (int, float, str) if t.__name__ in kind)


def main(arguments: list[str] | None = None) -> None:
    """Train as the arguments say."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(parser().parse_args(arguments)).items()
    }
    config = TrainConfig(**values)
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    # Threads that wait by spinning make a step ten times slower as soon as another program runs;
    # OpenMP reads this when torch is imported.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    from .loop import train

    logging.getLogger(__name__).info('weights: %s', train(config))


if __name__ == '__main__':
    main()

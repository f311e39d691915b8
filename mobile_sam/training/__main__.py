"""``python -m mobile_sam.training``: train from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
from typing import Any

from .config import TrainConfig
from .options import options


def parser() -> argparse.ArgumentParser:
    """Return the parser; each field of `TrainConfig` is an option."""
    made = argparse.ArgumentParser('python -m mobile_sam.training', description=__doc__)
    for option in options():
        # argparse reads per cent signs.
        given: dict[str, Any] = {'help': option.help.replace('%', '%%'), 'dest': option.name}
        if option.default is dataclasses.MISSING:
            given['required'] = True
        else:
            given['default'] = option.default
        if option.kind is bool:
            given['action'] = argparse.BooleanOptionalAction
        else:
            given['type'] = option.kind
            if option.several:
                given['nargs'] = '+'
        made.add_argument('--' + option.name.replace('_', '-'), **given)
    return made


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

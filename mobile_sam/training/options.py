"""The fields of `TrainConfig` as options of a command line."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import TrainConfig

_TYPES: dict[str, type] = {'Path': Path, 'int': int, 'float': float, 'str': str, 'bool': bool}


@dataclass(frozen=True, slots=True)
class Option:
    """One field.

    Attributes
    ----------
    name : str
        Of the field; the option has ``-`` for ``_``.
    kind : type
        Of the value, or of its elements.
    several : bool
        Whether it is a tuple.
    optional : bool
        Whether it may be None.
    default : object
        `dataclasses.MISSING` where it must be given.
    help : str
        From the docstring of `TrainConfig`.
    """

    name: str
    kind: type
    several: bool
    optional: bool
    default: Any
    help: str


def options() -> list[Option]:
    """Return an option for each field of `TrainConfig`, in its order."""
    described = _descriptions()
    made: list[Option] = []
    for field in dataclasses.fields(TrainConfig):
        words = re.findall(r'\w+', str(field.type))
        several = words[0] == 'tuple'
        made.append(
            Option(
                field.name,
                _TYPES[words[1 if several else 0]],
                several,
                'None' in words,
                field.default,
                described.get(field.name, ''),
            )
        )
    return made


def _descriptions() -> dict[str, str]:
    """Read what the docstring says of each parameter; names that share a paragraph share it."""
    text = inspect.cleandoc(TrainConfig.__doc__ or '').split('Parameters\n----------\n', 1)[-1]
    found: dict[str, str] = {}
    for names, body in re.findall(r'^(\w[\w, ]*) : .*\n((?:    .*\n?)+)', text, re.MULTILINE):
        plain = ' '.join(body.split())
        # Of ``code``, `names` and ``'values'`` only what is between the marks.
        plain = re.sub(r"``'?(.*?)'?``", r'\1', plain).replace('`', '')
        for name in names.split(', '):
            found[name] = plain
    return found

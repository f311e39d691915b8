"""The commands of ``napari-mobilesam``, one module each.

A module here whose name has no leading underscore is a command: it is called as the module is
(``_`` becomes ``-``), and its function `command` carries the options in its signature and the help
in its docstring. Modules import torch, scikit-image, napari and Qt inside functions only, since
all of them are imported to show the help. What several commands need is in `._common`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ['commands']


def commands() -> dict[str, Callable[..., None]]:
    """Return the function of each command by its name, in alphabetical order."""
    names = sorted(module.name for module in iter_modules(__path__))
    return {
        name.replace('_', '-'): import_module(f'{__name__}.{name}').command
        for name in names
        if not name.startswith('_')
    }

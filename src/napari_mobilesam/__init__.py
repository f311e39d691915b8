"""Annotate microscopy stacks in napari with MobileSAM.

The plugin is declared in ``napari.yaml``; `napari_mobilesam.engine` is what it computes with, and
works without napari. `Session` is for scripts, and is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scripting import Session

__all__ = ['Session']


def __getattr__(name: str) -> Any:
    if name == 'Session':
        from .scripting import Session

        return Session
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""The dock widget and its parts: they arrange and connect, the engine computes.

`AnnotatorWidget` is imported when it is asked for: napari imports this package to find out what
the plugin offers, and should not wait for Qt, pandas and scikit-image then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .annotator import AnnotatorWidget

__all__ = ['AnnotatorWidget']


def __getattr__(name: str) -> Any:
    if name == 'AnnotatorWidget':
        from .annotator import AnnotatorWidget

        return AnnotatorWidget
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

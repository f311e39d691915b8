"""Exchange: from objects to files and back, and nothing lost in between.

Part of the engine's ring: it knows the engine, neither napari nor Qt. Every format has a module of
its own, imported when it is used; `export` and `load` are the way in and out.
"""

from __future__ import annotations

from .errors import ExchangeError, PixelsDifferError
from .formats import FORMATS, Format, export, format_of, load
from .segmentation import MAX_LABEL, ObjectInfo, Segmentation
from .shapes import from_shapes, to_shapes

__all__ = [
    'FORMATS',
    'MAX_LABEL',
    'ExchangeError',
    'Format',
    'ObjectInfo',
    'PixelsDifferError',
    'Segmentation',
    'export',
    'format_of',
    'from_shapes',
    'load',
    'to_shapes',
]

"""The dock widget and its parts: they arrange and connect, the engine computes."""

from __future__ import annotations

from .annotator import AnnotatorWidget

__all__ = ['AnnotatorWidget']

"""Stacks: what goes through many planes of an image, z or t, one after the other.

As the engine around it: numpy in, numpy out; neither napari nor Qt. Everything long is a
generator that can be cancelled and keeps what it has done.
"""

from __future__ import annotations

from .patch import MaskPatch, overlap
from .propagation import (
    Propagation,
    PropagationOptions,
    PropagationStep,
    SliceMask,
    Stop,
)
from .rules import StopReason, StopRules
from .series import PlaneSeries
from .shapes import between

__all__ = [
    'MaskPatch',
    'PlaneSeries',
    'Propagation',
    'PropagationOptions',
    'PropagationStep',
    'SliceMask',
    'Stop',
    'StopReason',
    'StopRules',
    'between',
    'overlap',
]

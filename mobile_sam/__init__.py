"""MobileSAM: promptable segmentation with a small image encoder.

A drop-in for the upstream package of the same name: the same public names, the same
state dict, the same results. The names are imported on first use, so that
``import mobile_sam`` (and reading the checkpoint registry) does not import torch.

References
----------
Zhang et al. 2023, "Faster Segment Anything: Towards Lightweight SAM for Mobile
Applications", arXiv:2306.14289.
Kirillov et al. 2023, "Segment Anything", arXiv:2304.02643.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .automatic_mask_generator import SamAutomaticMaskGenerator
    from .build_sam import (
        build_sam,
        build_sam_vit_b,
        build_sam_vit_h,
        build_sam_vit_l,
        build_sam_vit_t,
        sam_model_registry,
        setup_model,
    )
    from .predictor import SamPredictor

__all__ = [
    'SamAutomaticMaskGenerator',
    'SamPredictor',
    'build_sam',
    'build_sam_vit_b',
    'build_sam_vit_h',
    'build_sam_vit_l',
    'build_sam_vit_t',
    'sam_model_registry',
    'setup_model',
]

_HOMES = {
    'SamAutomaticMaskGenerator': 'automatic_mask_generator',
    'SamPredictor': 'predictor',
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES.get(name, "build_sam")}', __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``mobile_sam.build_sam`` the function, as upstream has it.

    The import system sets every submodule as an attribute of its package; for the
    submodule ``build_sam`` that would hide the function of the same name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == 'build_sam' and isinstance(value, ModuleType):
            value = value.build_sam
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

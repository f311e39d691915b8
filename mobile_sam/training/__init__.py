"""Training of promptable segmentation, in plain torch.

Windows of the 1024 frame are encoded instead of whole frames, which makes training possible on a
CPU; see `mobile_sam.training.crops`. ``python -m mobile_sam.training --help`` lists the options.
"""

from __future__ import annotations

from .config import TrainConfig

__all__ = ['TrainConfig', 'train']


def __getattr__(name: str) -> object:
    # torch is imported only when training starts.
    if name == 'train':
        from .loop import train

        return train
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

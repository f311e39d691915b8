"""Writing a checkpoint, so that `load_state_dict` and upstream's own code can read it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from .layout import check_layout, infer_architecture, plain_tensors, strip_prefixes

if TYPE_CHECKING:
    import torch

_HALF_MAX = 65504.0
_HALF_SMALLEST_NORMAL = 2.0**-14


def save_checkpoint(
    model_or_state: torch.nn.Module | Mapping[str, torch.Tensor],
    path: str | PathLike[str],
    half: bool = True,
) -> Path:
    """Write a bare state dict in upstream's layout, whole or not at all.

    Parameters
    ----------
    model_or_state : Module or mapping of str to Tensor
        A `Sam` (also inside DDP or torch.compile) or its state dict, on any device.
    path : str or Path
        Where to; an existing file is replaced at the end, in one step.
    half : bool
        Whether to store floats as float16, which halves the file. A tensor that float16 would
        spoil stays float32: numbers beyond 65504, and running variances below 6.1e-5, whose
        square roots the model divides by. Integers stay int64.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    IncompatibleCheckpointError
        The tensors are not exactly those of a supported model.
    DamagedCheckpointError
        They hold NaN or infinity.
    """
    import torch

    target = Path(path)
    given = (
        model_or_state.state_dict()
        if isinstance(model_or_state, torch.nn.Module)
        else model_or_state
    )
    state = strip_prefixes(given)
    architecture = infer_architecture(state)
    check_layout(state, architecture)
    on_cpu = {key: value.detach().cpu() for key, value in state.items()}
    plain = plain_tensors(on_cpu, architecture, 'the state to save')
    if half:
        plain = {
            key: value.half() if _fits_half(key, value) else value for key, value in plain.items()
        }
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f'.{target.name}.{uuid.uuid4().hex}.part')
    try:
        with part.open('xb') as stream:
            torch.save(plain, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _fits_half(key: str, value: torch.Tensor) -> bool:
    if not value.is_floating_point():
        return False
    if value.numel() and float(value.abs().max()) > _HALF_MAX:
        return False
    return not key.endswith('.running_var') or float(value.min()) >= _HALF_SMALLEST_NORMAL

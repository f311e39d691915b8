"""Several processes that learn together, each from its own windows (``torchrun``).

On a CPU too this is the faster way to use several cores: one process per core needs one meeting
per step, where threads meet in each of thousands of operations.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence


class Ranks:
    """The group of processes of a run; a run of one process is a group of one.

    ``torchrun`` sets the environment variables that tell a process its place.

    Attributes
    ----------
    rank : int
        Number of this process; process 0 validates, saves and logs.
    size : int
    """

    def __init__(self, device: str) -> None:
        self.size = int(os.environ.get('WORLD_SIZE', '1'))
        self.rank = int(os.environ.get('RANK', '0'))
        if self.size > 1 and not distributed.is_initialized():
            distributed.init_process_group('nccl' if device.startswith('cuda') else 'gloo')

    @property
    def leads(self) -> bool:
        """Whether this process validates, saves and logs."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """Return the device of this process: its own GPU where there are several."""
        if name == 'cuda' and self.size > 1:
            return torch.device('cuda', int(os.environ.get('LOCAL_RANK', '0')))
        return torch.device(name)

    def agree(self, value: float, device: torch.device) -> float:
        """Return process 0's value in all processes."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float32, device=device)
        distributed.broadcast(shared, 0)
        return float(shared)

    def average_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace gradients by their mean over processes, in one message.

        A parameter without gradient counts as zero, as another process may have one.
        """
        if self.size == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [g.numel() for g in gradients])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def close(self) -> None:
        """Leave the group."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

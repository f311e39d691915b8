"""The optimisers of a run: AdamW for everything, or Muon for matrices and AdamW for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .optim import parameter_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

BETAS = (0.9, 0.98)


class Optimisers:
    """One or two optimisers that step together and share a learning rate.

    Muon (Jordan et al. 2024) makes the momentum of each matrix orthogonal before it is taken as a
    step, so that all directions learn alike. Its steps are scaled to the size of AdamW's (Liu et
    al. 2025), so both follow the same rate. Embeddings, norms, biases and convolutions stay with
    AdamW.

    Parameters
    ----------
    kind : str
        ``'adamw'`` or ``'muon'``.
    modules : sequence of nn.Module
        What to train.
    lr, decay : float
        Learning rate and weight decay.

    Raises
    ------
    ValueError
        If Muon is asked of a PyTorch without it.
    """

    def __init__(self, kind: str, modules: Sequence[nn.Module], *, lr: float, decay: float) -> None:
        groups = parameter_groups(modules, decay)
        self._each: list[torch.optim.Optimizer] = []
        if kind == 'muon':
            muon = getattr(torch.optim, 'Muon', None)
            if muon is None:
                raise ValueError(
                    f'Muon needs PyTorch 2.9 or later, and this is {torch.__version__}; '
                    "use the optimiser 'adamw'."
                )
            decayed: Any = groups[0]['params']
            matrices = [p for p in decayed if p.ndim == 2]
            groups[0]['params'] = [p for p in decayed if p.ndim != 2]
            self._each.append(
                muon(matrices, lr=lr, weight_decay=decay, adjust_lr_fn='match_rms_adamw')
            )
        self._each.append(torch.optim.AdamW(groups, lr=lr, betas=BETAS))

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that is learned."""
        return [p for each in self._each for group in each.param_groups for p in group['params']]

    def set_rate(self, lr: float) -> None:
        """Set the learning rate of the next step."""
        for each in self._each:
            for group in each.param_groups:
                group['lr'] = lr

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for each in self._each:
            each.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Take a step."""
        for each in self._each:
            each.step()

    def state(self) -> list[dict[str, Any]]:
        """Return what a resumed run needs."""
        return [each.state_dict() for each in self._each]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Go on from a saved state."""
        for each, saved in zip(self._each, state, strict=True):
            each.load_state_dict(saved)

"""Whether a module computes what its fast form would compute."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn


def known(module: nn.Module, kinds: Collection[type[nn.Module]], *, activations: bool) -> bool:
    """Whether a module consists of layers of some kinds alone, evaluated as their classes say.

    Adapters, quantised layers, parametrisations and hooks compute what weights that are read out of
    the module leave out.

    Parameters
    ----------
    module
        Of which all parts are looked at, and itself.
    kinds
        Exactly these: subclasses may compute anything.
    activations
        Allow layers of any kind that have neither weights nor parts, too.
    """
    return all(
        (
            type(part) in kinds
            or (activations and not [*part.children(), *part.parameters(), *part.buffers()])
        )
        and not part._forward_hooks
        and not part._forward_pre_hooks
        and 'forward' not in vars(part)
        for part in module.modules()
    )

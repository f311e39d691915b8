"""What a fast form must not be made of, as it would leave something out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from mobile_sam.fast.known import known

KINDS = (nn.Sequential, nn.Linear)


class Adapted(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))


@pytest.mark.parametrize('activations', [False, True])
def test_known(activations: bool) -> None:
    assert known(layers(), KINDS, activations=activations)
    assert known(nn.Linear(2, 2), KINDS, activations=activations)
    assert not known(nn.Sequential(nn.PReLU()), KINDS, activations=activations)  # has a weight
    assert not known(nn.Sequential(nn.BatchNorm1d(2, affine=False)), KINDS, activations=activations)


def test_activations() -> None:
    some = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert known(some, KINDS, activations=True)
    assert not known(some, KINDS, activations=False)


@pytest.mark.parametrize(
    'change',
    [
        lambda layer, _: layer.register_forward_hook(lambda *_: None),
        lambda layer, _: layer.register_forward_pre_hook(lambda *_: None),
        lambda layer, _: setattr(layer, 'forward', partial(nn.Linear.forward, layer)),
        lambda layer, _: parametrizations.weight_norm(layer),
        lambda _, inner: inner.__setitem__(0, Adapted(2, 2)),
    ],
    ids=['hook', 'hook before', 'method', 'parametrised', 'adapter'],
)
def test_what_computes_something_else(
    change: Callable[[nn.Module, nn.Sequential], object],
) -> None:
    module = layers()
    inner = module[1]
    change(inner[0], inner)
    assert not known(module, KINDS, activations=True)

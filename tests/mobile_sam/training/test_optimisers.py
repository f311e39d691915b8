from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mobile_sam.training.optimisers import Optimisers


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(16, 8), nn.LayerNorm(8))


def learn(model: nn.Module, optimisers: Optimisers, steps: int, seed: int = 1) -> float:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimisers.zero_grad()
        loss = (model(torch.randn(2, 3, 2, 2, generator=generator)) - 1).square().mean()
        loss.backward()
        optimisers.step()
    return float(loss.detach())


@pytest.mark.parametrize('kind', ['adamw', 'muon'])
def test_everything_is_learned_once_and_goes_on_after_a_pause(kind: str):
    model = small()
    optimisers = Optimisers(kind, [model], lr=0.05, decay=0.01)
    assert {id(p) for p in optimisers.parameters} == {id(p) for p in model.parameters()}
    assert len(optimisers.parameters) == len(list(model.parameters()))
    before = [p.detach().clone() for p in model.parameters()]
    learn(model, optimisers, 3)
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)

    again = small()
    again.load_state_dict(model.state_dict())
    resumed = Optimisers(kind, [again], lr=1.0, decay=0.01)
    resumed.load(copy.deepcopy(optimisers.state()))
    assert learn(model, optimisers, 2, seed=2) == learn(again, resumed, 2, seed=2)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_rate_of_zero_stands_still():
    model = small()
    optimisers = Optimisers('muon', [model], lr=0.05, decay=0.01)
    optimisers.set_rate(0.0)
    before = [p.detach().clone() for p in model.parameters()]
    learn(model, optimisers, 2)
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.equal(old, new)


def test_muon_takes_steps_in_all_directions_alike():
    """A gradient of one strong and one weak direction moves a matrix equally along both."""
    layer = nn.Linear(2, 2, bias=False)
    optimisers = Optimisers('muon', [layer], lr=0.1, decay=0.0)
    before = layer.weight.detach().clone()
    layer.weight.grad = torch.diag(torch.tensor([10.0, 0.5]))
    optimisers.step()
    moved = (before - layer.weight.detach()).diagonal()
    assert 0.5 < float(moved[1] / moved[0]) < 2


def test_muon_is_refused_where_pytorch_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(torch.optim, 'Muon')
    with pytest.raises(ValueError, match=r"needs PyTorch 2\.9.*'adamw'"):
        Optimisers('muon', [small()], lr=0.1, decay=0.0)

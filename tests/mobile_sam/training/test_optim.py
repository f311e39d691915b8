from __future__ import annotations

import pytest
import torch
from torch import nn

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.training.optim import FLOOR, Average, parameter_groups, prepare_start, rate


def test_the_rate_rises_then_falls_to_its_floor():
    assert rate(0.05, 0.1) == pytest.approx(0.5)
    assert rate(0.1, 0.1) == pytest.approx(1)
    assert rate(0.55, 0.1) == pytest.approx((1 + FLOOR) / 2)
    assert rate(1, 0.1) == rate(7, 0.1) == pytest.approx(FLOOR)
    assert rate(0, 0.1) > 0


def test_norms_biases_and_tables_are_not_decayed():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Embedding(2, 4), nn.BatchNorm1d(4))
    decayed, kept = parameter_groups([model], 0.1)
    assert [p.shape for p in decayed['params']] == [(4, 3)]
    assert len(kept['params']) == 6
    assert kept['weight_decay'] == 0


def test_the_average_follows_weights_and_copies_buffers():
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.9)
    average.updates = 10_000  # beyond the start
    with torch.no_grad():
        model.weight.fill_(2)
        model.running_mean.fill_(5)
    average.update(model)
    assert float(average.state['weight']) == pytest.approx(1.1)
    assert float(average.state['running_mean']) == 5


def test_the_average_forgets_the_start_quickly():
    model = nn.Linear(1, 1, bias=False)
    average = Average(model, 0.999)
    with torch.no_grad():
        model.weight.fill_(2)
    for _ in range(30):
        average.update(model)
    assert float(average.state['weight']) == pytest.approx(2, abs=0.05)


def test_the_prepared_start_ties_projections_and_keeps_shapes():
    model = build_sam_vit_t()
    shapes = {name: v.shape for name, v in model.state_dict().items()}
    prepare_start(model, 0)
    state = model.state_dict()
    assert {name: v.shape for name, v in state.items()} == shapes
    name = 'mask_decoder.transformer.layers.0.cross_attn_image_to_token.'
    assert torch.equal(state[name + 'q_proj.weight'], state[name + 'k_proj.weight'])
    spread = state['prompt_encoder.pe_layer.positional_encoding_gaussian_matrix'].std(0)
    assert spread[-20:].mean() > 2 * spread[:20].mean()

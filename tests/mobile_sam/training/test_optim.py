from __future__ import annotations

import pytest
import torch
from torch import nn

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.training.optim import (
    CYCLES,
    FINE_PERIODS,
    FLOOR,
    Average,
    draw_positions,
    parameter_groups,
    prepare_start,
    rate,
    sharpen_positions,
)


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


def test_drawn_positions_reach_from_pixels_to_the_frame_and_lie_along_the_axes():
    model = build_sam_vit_t()
    draw_positions(model, 0)
    matrix = model.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    cycles = matrix.norm(dim=0)
    assert float(cycles.min()) == pytest.approx(CYCLES[0], rel=1e-4)
    assert float(cycles.max()) == pytest.approx(CYCLES[1], rel=1e-4)
    straight = matrix.abs().min(0).values < 1e-5
    assert int(straight.sum()) == matrix.shape[1] // 2
    again = build_sam_vit_t()
    draw_positions(again, 0)
    assert torch.equal(again.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix, matrix)


def test_low_frequencies_hold_the_inside_of_a_large_box_together():
    """The two corners of a box, together, are nearer to its middle than to a far place."""
    model = build_sam_vit_t()
    draw_positions(model, 0)
    encode = model.prompt_encoder.pe_layer.forward_with_coords
    places = torch.tensor([[[200.0, 200.0], [700.0, 700.0], [450.0, 450.0], [950.0, 80.0]]])
    corner, other, middle, far = encode(places, (1024, 1024))[0]
    box = corner + other
    assert float(box @ middle) > 2 * float(box @ far)


def test_sharpened_positions_replace_the_longest_and_tell_where_in_a_token_a_prompt_lies():
    model = build_sam_vit_t()
    draw_positions(model, 0)
    layer = model.prompt_encoder.pe_layer
    before = layer.positional_encoding_gaussian_matrix.clone()
    sharpen_positions(model)
    after = layer.positional_encoding_gaussian_matrix
    changed = (before != after).any(0)
    assert int(changed.sum()) == 2 * len(FINE_PERIODS)
    cycles = before.norm(dim=0)
    assert float(cycles[changed].max()) < float(cycles[~changed].min()) + 1e-4
    assert float(after[:, changed].norm(dim=0).min()) == pytest.approx(512 / max(FINE_PERIODS))

    # 16 model pixels further on the finest channels say the same, 4 further they do not.
    places = torch.tensor([[[100.0, 300.0], [116.0, 300.0], [104.0, 300.0]]])
    finest = (after.norm(dim=0) - 512 / min(FINE_PERIODS)).abs() < 1e-3
    here, next_token, beside = layer.forward_with_coords(places, (1024, 1024))[
        0, :, torch.cat([finest, finest])
    ]
    assert torch.allclose(here, next_token, atol=1e-3)
    assert float((here - beside).norm()) > 1

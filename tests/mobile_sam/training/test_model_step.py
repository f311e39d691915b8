from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.modeling import Sam
from mobile_sam.training import model_step
from mobile_sam.training.batches import CropSource
from mobile_sam.training.config import TrainConfig
from mobile_sam.training.crops import Window
from mobile_sam.training.data import Reader, read_items
from mobile_sam.training.model_step import Seen, answer, interactive_loss, position_slices


@pytest.fixture(scope='module')
def model() -> Sam:
    torch.manual_seed(0)
    return build_sam_vit_t()


def test_windows_get_their_slice_of_the_frames_positions(model: Sam):
    windows = [Window(160, 320, 224, 1, 0, 0), Window(800, 0, 224, 1, 0, 0)]
    slices = position_slices(model, windows)
    whole = model.prompt_encoder.get_dense_pe()[0]
    assert torch.equal(slices[0], whole[:, 10:24, 20:34])
    assert torch.equal(slices[1], whole[:, 50:64, 0:14])


def test_answers_on_the_frame_are_those_of_the_model(model: Sam):
    features = torch.randn(1, 256, 64, 64)
    coords, labels = torch.tensor([[[300.0, 200.0]]]), torch.tensor([[1]])
    box = torch.tensor([[100.0, 120.0, 400.0, 380.0]])
    prior = torch.randn(1, 1, 256, 256)
    positions = model.prompt_encoder.get_dense_pe()
    with torch.no_grad():
        for points, boxes, tokens, kinds in [
            ((coords, labels), None, torch.cat([coords, coords * 0], 1), [[1, -1]]),
            (None, box, box.view(1, 2, 2), [[2, 3]]),
            ((coords, labels), box, torch.cat([coords, box.view(1, 2, 2)], 1), [[1, 2, 3]]),
        ]:
            sparse, dense = model.prompt_encoder(points, boxes, prior)
            expected, scores = model.mask_decoder.predict_masks(features, positions, sparse, dense)
            mine, found = answer(model, features, positions, tokens, torch.tensor(kinds), prior)
            torch.testing.assert_close(mine, expected)
            torch.testing.assert_close(found, scores)


def test_a_step_gives_gradient_to_every_part_and_is_repeatable(model: Sam, folder: Path):
    config = TrainConfig(
        data=folder, out=folder, steps=1, crop_sizes=(224,), crop_weights=(1.0,), batch=2, prompts=2
    )
    source = CropSource(read_items(folder), Reader(), config)
    batch, again = source(3), source(3)
    assert torch.equal(batch.images, again.images)
    assert torch.equal(batch.coords, again.coords)
    assert not torch.equal(batch.images, source(4).images)
    features = model.image_encoder(batch.images)
    rng = np.random.default_rng(0)
    model.zero_grad()
    result = interactive_loss(model, features, batch, rng, corrections=1)
    result.loss.backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    unused = ('norm_head.weight', 'norm_head.bias', 'head.weight', 'head.bias')
    assert without == {f'image_encoder.{name}' for name in unused}
    assert 0 <= result.iou_last <= 1


@pytest.mark.filterwarnings('ignore:The .grad attribute')  # of the reference
def test_gradients_taken_round_by_round_are_those_of_all_rounds(
    model: Sam, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    config = TrainConfig(
        data=folder, out=folder, steps=1, crop_sizes=(224,), crop_weights=(1.0,), batch=2, prompts=2
    )
    batch = CropSource(read_items(folder), Reader(), config)(3)
    features = torch.randn(2, 256, 14, 14)

    def step(features: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        rng = np.random.default_rng(0)
        return interactive_loss(model, features, batch, rng, corrections=2).loss

    def gradients() -> list[torch.Tensor]:
        return [p.grad.clone() for p in model.mask_decoder.parameters() if p.grad is not None]

    mine = features.clone().requires_grad_()
    loss = step(mine)
    loss.backward()
    found = [mine.grad, *gradients()]

    rounds: list[torch.Tensor] = []
    theirs = features.clone().requires_grad_()
    with monkeypatch.context() as patch:
        patch.setattr(model_step, '_leaf', lambda features: features)
        patch.setattr(torch.Tensor, 'backward', lambda loss: rounds.append(loss))
        step(theirs)
    assert len(rounds) == 3
    whole = torch.stack(rounds).sum()
    whole.backward()
    torch.testing.assert_close(loss.detach(), whole.detach())
    for one, other in zip(found, [theirs.grad, *gradients()], strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-3)


def test_an_object_that_half_fills_no_pixel_is_clicked_on_where_it_fills_most(
    model: Sam, folder: Path
):
    config = TrainConfig(
        data=folder, out=folder, steps=1, crop_sizes=(224,), crop_weights=(1.0,), batch=1, prompts=1
    )
    batch = CropSource(read_items(folder), Reader(), config)(3)
    faint = dataclasses.replace(batch, targets=0.4 * batch.targets)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        features = torch.randn(1, 256, 14, 14)
        result = interactive_loss(model, features, faint, rng, corrections=1)
    assert np.isfinite(result.mask)


def test_tokens_one_by_one_are_answered_as_a_whole_frame_is(model: Sam, folder: Path):
    """No token of the decoder sees its neighbours: a list of them gives the same logits."""
    items, reader = read_items(folder), Reader()
    config = TrainConfig(
        data=folder, out=folder, steps=1, crop_sizes=(1024,), crop_weights=(1.0,), batch=1,
        prompts=2, views=(1.0,),
    )  # fmt: skip
    batch = CropSource(items, reader, config)(0)
    features = torch.randn(1, 256, 64, 64)
    seen = Seen.of(model, features, batch)
    prior = torch.randn(2, 1, 4 * 4096, 4)
    grid = seen.near(prior.flatten(1))[:, None]
    with torch.no_grad():
        places = model.prompt_encoder.get_dense_pe()
        prompts = batch.coords, batch.point_labels
        expected, scores = answer(model, features, places, *prompts, grid)
        found, same = answer(model, seen.features, seen.positions, *prompts, prior)
    for i in range(4):
        torch.testing.assert_close(
            seen.near(found[:, i].flatten(1)), expected[:, i], atol=1e-4, rtol=1e-4
        )
    torch.testing.assert_close(same, scores, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(seen.near(seen.targets), batch.targets)


def test_a_sample_with_weights_attends_as_the_whole_does(model: Sam):
    """Tokens that stand for copies of themselves, with the log of how many, change nothing."""
    attention = model.mask_decoder.transformer.final_attn_token_to_image
    queries, keys = torch.randn(1, 3, 256), torch.randn(1, 10, 256)
    copies = torch.cat([keys[:, :4], keys[:, 4:].repeat_interleave(5, 1)], 1)
    bias = torch.tensor([1.0] * 4 + [5.0] * 6).log()
    with torch.no_grad():
        expected = attention(queries, copies, copies)
        torch.testing.assert_close(attention(queries, keys, keys, bias), expected)
        assert not torch.allclose(attention(queries, keys, keys), expected, atol=1e-3)

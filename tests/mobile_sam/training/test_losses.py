from __future__ import annotations

import math

import pytest
import torch

from mobile_sam.training.losses import (
    LEAST_AREA,
    OTHERS_WEIGHT,
    dice_loss,
    focal_loss,
    mask_loss,
    multimask_loss,
    true_iou,
)

TARGET = torch.tensor([1.0, 0.0, 0.0, 0.0])
LOGITS = torch.tensor([0.0, -math.log(3), math.log(3), 0.0])  # p = 1/2, 1/4, 3/4, 1/2
ONES = torch.ones(4)


def test_focal_by_hand():
    expected = (
        0.25 * math.log(2)
        + 0.0625 * math.log(4 / 3)
        + 0.5625 * math.log(4)
        + 0.25 * math.log(2)
    )  # fmt: skip
    assert float(focal_loss(LOGITS, TARGET, ONES)) == pytest.approx(expected, rel=1e-5)


def test_a_pixel_that_is_half_object_is_right_at_one_half():
    half = torch.full((1,), 0.5)
    losses = [float(focal_loss(torch.tensor([x]), half, torch.ones(1))) for x in (-2.0, 0.0, 2.0)]
    assert losses[1] == 0
    assert losses[0] == pytest.approx(losses[2])
    assert losses[0] > 0.1


def test_dice_by_hand():
    found = float(dice_loss(LOGITS, TARGET, ONES))
    assert found == pytest.approx(1 - (2 * 0.5 + 1) / (2 + 1 + 1))


def test_the_focal_loss_is_counted_per_pixel_of_the_object():
    small, large = torch.zeros(1000), torch.zeros(1000)
    small[:100] = 1
    large[:800] = 1
    logits, ones = torch.zeros(1000), torch.ones(1000)
    focal_small = mask_loss(logits, small, ones) - dice_loss(logits, small, ones)
    focal_large = mask_loss(logits, large, ones) - dice_loss(logits, large, ones)
    assert float(focal_small / focal_large) == pytest.approx(8, rel=1e-4)


def test_specks_count_as_an_object_of_a_least_size():
    speck = torch.zeros(100)
    speck[0] = 1
    logits, ones = torch.zeros(100), torch.ones(100)
    focal = float(mask_loss(logits, speck, ones) - dice_loss(logits, speck, ones))
    total = float(focal_loss(logits, speck, ones))
    assert focal == pytest.approx(total / LEAST_AREA, rel=1e-4)


def test_a_pixel_with_a_weight_stands_for_as_many():
    logits = torch.tensor([2.0, -1.0, 1.0, 1.0, 1.0])
    targets = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    few, weights = slice(0, 3), torch.tensor([1.0, 1.0, 3.0])
    for loss in (focal_loss, dice_loss, mask_loss, true_iou):
        whole = float(loss(logits, targets, torch.ones(5)))
        assert float(loss(logits[few], targets[few], weights)) == pytest.approx(whole, rel=1e-5)


def test_iou_counts_pixels_and_has_no_gradient():
    logits = torch.tensor([1.0, 1.0, -1.0, -1.0], requires_grad=True)
    value = true_iou(logits, TARGET, ONES)
    assert float(value) == 0.5
    assert not value.requires_grad


def test_only_the_best_answer_learns_fully():
    good, bad = 8 * (2 * TARGET - 1), -8 * (2 * TARGET - 1)
    logits = torch.stack([bad, good, bad])[None]
    scores = torch.tensor([[0.25, 1.0, 0.0]])
    mask, score = multimask_loss(logits, scores, TARGET[None], ONES)
    best, worst = (float(mask_loss(x, TARGET, ONES)) for x in (good, bad))
    expected = (1 - OTHERS_WEIGHT) * best + OTHERS_WEIGHT * worst
    assert float(mask) == pytest.approx(expected, rel=1e-4)
    assert float(score) == pytest.approx(0.25**2 / 3, rel=1e-5)


def test_losses_stay_finite_for_sure_mistakes():
    logits = torch.tensor([-200.0, 200.0, 200.0, 200.0], requires_grad=True)
    loss = mask_loss(logits, TARGET, ONES)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(logits.grad).all())

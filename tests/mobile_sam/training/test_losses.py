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

TARGET = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
LOGITS = torch.tensor([[0.0, -math.log(3)], [math.log(3), 0.0]])  # p = 1/2, 1/4, 3/4, 1/2


def test_focal_by_hand():
    expected = (
        0.25 * math.log(2)
        + 0.0625 * math.log(4 / 3)
        + 0.5625 * math.log(4)
        + 0.25 * math.log(2)
    ) / 4  # fmt: skip
    assert float(focal_loss(LOGITS, TARGET)) == pytest.approx(expected, rel=1e-5)


def test_dice_by_hand():
    assert float(dice_loss(LOGITS, TARGET)) == pytest.approx(1 - (2 * 0.5 + 1) / (2 + 1 + 1))


def test_the_focal_loss_is_counted_per_pixel_of_the_object():
    small, large = torch.zeros(100, 100), torch.zeros(100, 100)
    small[:10] = 1
    large[:80] = 1
    logits = torch.zeros(100, 100)
    focal_small = mask_loss(logits, small, 1.0) - dice_loss(logits, small)
    focal_large = mask_loss(logits, large, 1.0) - dice_loss(logits, large)
    assert float(focal_small / focal_large) == pytest.approx(8, rel=1e-4)


def test_the_size_of_the_window_makes_no_difference():
    window = torch.zeros(40, 40)
    window[10:30, 10:30] = 1
    logits = torch.where(window > 0, -1.0, -40.0)  # right outside, wrong inside
    frame, frame_logits = torch.zeros(400, 400), torch.full((400, 400), -40.0)
    frame[:40, :40], frame_logits[:40, :40] = window, logits
    expected = float(mask_loss(logits, window, 1.0))
    assert float(mask_loss(frame_logits, frame, 1.0)) == pytest.approx(expected, rel=1e-4)


def test_specks_count_as_an_object_of_a_least_size():
    speck = torch.zeros(100, 100)
    speck[0, 0] = 1
    logits = torch.zeros(100, 100)
    for step in (1.0, 2.0):
        focal = float(mask_loss(logits, speck, step) - dice_loss(logits, speck))
        total = float(focal_loss(logits, speck)) * 100 * 100
        assert focal == pytest.approx(total * step**2 / LEAST_AREA, rel=1e-4)


def test_iou_counts_pixels_and_has_no_gradient():
    logits = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], requires_grad=True)
    value = true_iou(logits, TARGET)
    assert float(value) == 0.5
    assert not value.requires_grad


def test_only_the_best_answer_learns_fully():
    good, bad = 8 * (2 * TARGET - 1), -8 * (2 * TARGET - 1)
    logits = torch.stack([bad, good, bad])[None]
    scores = torch.tensor([[0.25, 1.0, 0.0]])
    mask, score = multimask_loss(logits, scores, TARGET[None], 2.0)
    best, worst = (float(mask_loss(x, TARGET, 2.0)) for x in (good, bad))
    expected = (1 - OTHERS_WEIGHT) * best + OTHERS_WEIGHT * worst
    assert float(mask) == pytest.approx(expected, rel=1e-4)
    assert float(score) == pytest.approx(0.25**2 / 3, rel=1e-5)


def test_losses_stay_finite_for_sure_mistakes():
    logits = torch.tensor([[-200.0, 200.0], [200.0, 200.0]], requires_grad=True)
    loss = mask_loss(logits, TARGET, 2.0)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(logits.grad).all())

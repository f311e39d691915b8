"""Mask and score losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FOCAL_WEIGHT = 1.0
DICE_WEIGHT = 1.0
LEAST_AREA = 12.0
"""Logit pixels, of 16 model pixels each, that an object counts for at least when its focal loss is
divided by its area."""
OTHERS_WEIGHT = 0.05


def focal_loss(logits: Tensor, targets: Tensor, weights: Tensor, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss (Lin et al. 2017) of each mask, summed over its pixels.

    Parameters
    ----------
    logits, targets : Tensor, (..., M)
        Targets are the share of a pixel that is object, 0 … 1; for shares between, the distance to
        them takes the place of the distance to the true class (Li et al. 2020).
    weights : Tensor, (M,)
        How many pixels each one stands for.

    Returns
    -------
    Tensor, (...)
    """
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
    wrong = (torch.sigmoid(logits) - targets).abs()
    return (entropy * wrong**gamma * weights).sum(-1)


def dice_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Soft Dice loss of each mask, with one pixel of smoothing; shapes as in `focal_loss`."""
    probability = torch.sigmoid(logits)
    overlap = (probability * targets * weights).sum(-1)
    total = ((probability + targets) * weights).sum(-1)
    return 1 - (2 * overlap + 1) / (total + 1)


def mask_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Sum of focal and Dice loss of each mask; shapes as in `focal_loss`.

    The focal loss is divided by the object's area, as detectors divide it by the number of their
    positives (Lin et al. 2017). A mean over pixels, as in Kirillov et al. 2023, depends on how
    large the window is, and hardly sees objects of a few pixels.
    """
    area = (targets * weights).sum(-1).clamp(min=LEAST_AREA)
    focal = focal_loss(logits, targets, weights) / area
    return FOCAL_WEIGHT * focal + DICE_WEIGHT * dice_loss(logits, targets, weights)


def true_iou(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Intersection over union of the thresholded masks with their targets, without gradient."""
    with torch.no_grad():
        found, wanted = logits > 0, targets > 0.5
        overlap = ((found & wanted) * weights).sum(-1)
        union = ((found | wanted) * weights).sum(-1)
        return overlap / union.clamp(min=1)


def multimask_loss(
    logits: Tensor,
    scores: Tensor,
    targets: Tensor,
    weights: Tensor,
    mask_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss of several answers to the same prompt.

    Only the best answer learns the mask, so that the answers to an ambiguous click stay
    different; the others get a twentieth, which keeps them alive. Every score learns its own IoU.

    Parameters
    ----------
    logits : Tensor, (N, answers, M)
    scores : Tensor, (N, answers)
        Predicted IoU.
    targets : Tensor, (N, M)
    weights : Tensor, (M,)
    mask_weights : Tensor, (M,), optional
        Other weights for the mask loss than for the true IoU.

    Returns
    -------
    mask, score : Tensor, scalars
        Mean mask loss and mean squared error of the scores.
    """
    wanted = targets[:, None].expand_as(logits)
    each = mask_loss(logits, wanted, weights if mask_weights is None else mask_weights)
    best = each.min(1).values
    count = each.shape[1]
    others = (each.sum(1) - best) / max(1, count - 1)
    mask = (1 - OTHERS_WEIGHT) * best + OTHERS_WEIGHT * others if count > 1 else best
    return mask.mean(), F.mse_loss(scores, true_iou(logits, wanted, weights))

"""Mask and score losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FOCAL_WEIGHT = 1.0
DICE_WEIGHT = 1.0
LEAST_AREA = 200.0
"""Model pixels that an object counts for at least when its focal loss is divided by its area."""
OTHERS_WEIGHT = 0.05


def focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss (Lin et al. 2017) of each mask, averaged over its pixels.

    Parameters
    ----------
    logits, targets : Tensor, (..., H, W)
        Targets are 0 or 1, float.

    Returns
    -------
    Tensor, (...)
    """
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
    # 1 - p of the true class; the sigmoid of the signed logit is stable for large logits.
    wrong = torch.sigmoid(logits * (1 - 2 * targets))
    return (entropy * wrong**gamma).mean((-2, -1))


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Soft Dice loss of each mask, with one pixel of smoothing; shapes as in `focal_loss`."""
    probability = torch.sigmoid(logits)
    overlap = (probability * targets).sum((-2, -1))
    total = probability.sum((-2, -1)) + targets.sum((-2, -1))
    return 1 - (2 * overlap + 1) / (total + 1)


def mask_loss(logits: Tensor, targets: Tensor, step: float) -> Tensor:
    """Sum of focal and Dice loss of each mask.

    The focal loss is summed over the pixels and divided by the object's area, as detectors divide
    it by the number of their positives (Lin et al. 2017). A mean over pixels, as in Kirillov et
    al. 2023, depends on how large the window is, and hardly sees objects of a few pixels.

    Parameters
    ----------
    logits, targets : Tensor, (..., H, W)
    step : float
        Model pixels per target pixel.
    """
    pixels = logits.shape[-2] * logits.shape[-1]
    area = targets.sum((-2, -1)).clamp(min=LEAST_AREA / step**2)
    focal = focal_loss(logits, targets) * pixels / area
    return FOCAL_WEIGHT * focal + DICE_WEIGHT * dice_loss(logits, targets)


def true_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """Intersection over union of the thresholded masks with their targets, without gradient."""
    with torch.no_grad():
        found, wanted = logits > 0, targets > 0.5
        overlap = (found & wanted).sum((-2, -1)).float()
        union = (found | wanted).sum((-2, -1)).float()
        return overlap / union.clamp(min=1)


def multimask_loss(
    logits: Tensor, scores: Tensor, targets: Tensor, step: float
) -> tuple[Tensor, Tensor]:
    """Loss of several answers to the same prompt.

    Only the best answer learns the mask, so that the answers to an ambiguous click stay
    different; the others get a twentieth, which keeps them alive. Every score learns its own IoU.

    Parameters
    ----------
    logits : Tensor, (N, M, H, W)
    scores : Tensor, (N, M)
        Predicted IoU.
    targets : Tensor, (N, H, W)
    step : float
        Model pixels per target pixel.

    Returns
    -------
    mask, score : Tensor, scalars
        Mean mask loss and mean squared error of the scores.
    """
    wanted = targets[:, None].expand_as(logits)
    each = mask_loss(logits, wanted, step)
    best = each.min(1).values
    count = each.shape[1]
    others = (each.sum(1) - best) / max(1, count - 1)
    mask = (1 - OTHERS_WEIGHT) * best + OTHERS_WEIGHT * others if count > 1 else best
    return mask.mean(), F.mse_loss(scores, true_iou(logits, wanted))

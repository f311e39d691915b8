"""One training step: encode windows, answer prompts, correct, and weigh the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .config import FRAME, STRIDE
from .losses import multimask_loss, true_iou
from .prompts import correction_click, to_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mobile_sam.modeling import Sam

    from .batches import Batch
    from .crops import Window

MULTI_WEIGHTS = {'click': (1.0, 0.5), 'other': (0.25, 1.0)}
"""Weights of (three answers, single answer): one click is ambiguous, boxes and more clicks not."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step found out.

    `loss` carries the gradient; the others are plain numbers for the log: mask and score
    losses, mean IoU of first answers to clicks and boxes (of the answer with the best predicted
    IoU), and of the last answers. NaN where a batch had none.
    """

    loss: Tensor
    mask: float
    score: float
    iou_click: float
    iou_box: float
    iou_last: float


def position_slices(model: Sam, windows: Sequence[Window]) -> Tensor:
    """Cut the windows' parts out of the frame's position encoding: (B, C, s/16, s/16)."""
    tokens = FRAME // STRIDE
    whole: Tensor = model.prompt_encoder.pe_layer((tokens, tokens))
    parts = []
    for window in windows:
        rows, cols = (
            slice(start // STRIDE, (start + window.side) // STRIDE)
            for start in (window.top, window.left)
        )
        parts.append(whole[:, rows, cols])
    return torch.stack(parts)


def answer(
    model: Sam,
    features: Tensor,
    positions: Tensor,
    coords: Tensor,
    labels: Tensor,
    previous: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Decode prompts on windows or whole frames.

    Parameters
    ----------
    features, positions : Tensor, (N, C, h, w)
        One per prompt; or (1, C, h, w), shared.
    coords : Tensor, (N, n, 2)
        (x, y) in the frame.
    labels : Tensor, (N, n)
        1 click, 0 negative click, 2 and 3 box corners, -1 nothing.
    previous : Tensor, (N, 1, 4h, 4w), optional
        Logits of the answer to correct.

    Returns
    -------
    logits, scores : Tensor, (N, 4, 4h, 4w) and (N, 4)
        The single answer first, then the three.
    """
    encoder = model.prompt_encoder
    sparse = encoder.embed_labelled(coords, labels)
    size = (features.shape[-2], features.shape[-1])
    if previous is None:
        dense = encoder.embed_no_mask(len(coords), size)
    else:
        dense = encoder.embed_mask(previous)
    logits, scores = model.mask_decoder.predict_masks(
        image_embeddings=features,
        image_pe=positions,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
    )
    return logits, scores


def interactive_loss(
    model: Sam,
    features: Tensor,
    batch: Batch,
    rng: np.random.Generator,
    *,
    corrections: int,
) -> StepResult:
    """Answer the first prompts of a batch and as many corrections, and weigh all answers.

    Parameters
    ----------
    features : Tensor, (B, C, h, w)
        Embeddings of the batch's windows.
    corrections : int
        Correction clicks after the first prompt.
    """
    features = torch.stack([features[v.image][:, *v.tokens] for v in batch.views])
    positions = position_slices(model, [view.window for view in batch.views])
    device = features.device
    targets = batch.targets.to(device)
    step = batch.step
    coords, labels = batch.coords.to(device), batch.point_labels.to(device)
    is_box = batch.is_box.to(device)
    loss = features.new_zeros((), dtype=torch.float32)
    mask_sum = score_sum = 0.0
    first: list[Tensor] = []
    last = torch.zeros(0)
    previous: Tensor | None = None
    for round_ in range(corrections + 1):
        low, scores = answer(model, features, positions, coords, labels, previous)
        scores = scores.float()
        logits = F.interpolate(
            low.float(), targets.shape[-2:], mode='bilinear', align_corners=False
        )
        click = ~is_box if round_ == 0 else torch.zeros_like(is_box)
        for chosen, kind in ((click, 'click'), (~click, 'other')):
            if not bool(chosen.any()):
                continue
            share = chosen.float().mean() / (corrections + 1)
            of = logits[chosen], scores[chosen], targets[chosen]
            many = multimask_loss(of[0][:, 1:], of[1][:, 1:], of[2], step)
            single = multimask_loss(of[0][:, :1], of[1][:, :1], of[2], step)
            for weight, (mask, score) in zip(MULTI_WEIGHTS[kind], (many, single), strict=True):
                loss = loss + share * weight * (mask + score)
                mask_sum += float(share * weight * mask.detach())
                score_sum += float(share * weight * score.detach())
        best = torch.where(click, scores[:, 1:].argmax(1) + 1, 0)
        index = torch.arange(len(best), device=device)
        chosen_logits = logits.detach()[index, best]
        last = true_iou(chosen_logits, targets)
        if round_ == 0:
            first = [last[~is_box], last[is_box]]
        if round_ < corrections:
            clicks = _clicks(chosen_logits, batch, rng).to(device)
            coords = torch.cat([clicks[:, None, :2], coords], 1)
            labels = torch.cat([clicks[:, None, 2].long(), labels], 1)
            previous = low.detach()[index, best][:, None]
    return StepResult(
        loss,
        mask_sum,
        score_sum,
        *(float(v.mean()) if len(v) else float('nan') for v in (*first, last)),
    )


def _clicks(logits: Tensor, batch: Batch, rng: np.random.Generator) -> Tensor:
    """Correction clicks (N, 3): x, y in the frame, and the label."""
    found = (logits > 0).cpu().numpy()
    wanted = batch.targets.numpy() > 0.5
    clicks = np.zeros((len(wanted), 3), np.float32)
    for i, view in enumerate(batch.views):
        row, col, label = correction_click(found[i], wanted[i], rng)
        inside = rng.random(2)
        clicks[i] = *to_frame(row + inside[0], col + inside[1], view.window, batch.step), label
    return torch.from_numpy(clicks)

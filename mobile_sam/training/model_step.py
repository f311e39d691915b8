"""One training step: encode windows, answer prompts, correct, and weigh the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import FRAME, LOGIT_STEP, STRIDE
from .losses import multimask_loss, true_iou
from .prompts import correction_click, to_frame
from .views import token_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mobile_sam.modeling import Sam
    from mobile_sam.modeling.mask_decoder import MaskDecoder

    from .batches import Batch
    from .crops import Window

MULTI_WEIGHTS = {'click': (1.0, 0.5), 'other': (0.25, 1.0)}
"""Weights of (three answers, single answer): one click is ambiguous, boxes and more clicks not."""

LARGEST_WEIGHT = 20.0
"""Of a far token in the mask loss: a few that stand for forty each made most of its noise."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step found out.

    `loss` carries the gradient of what made the features; the others are plain numbers for the
    log: mask and score losses, mean IoU of first answers to clicks and boxes (of the answer with
    the best predicted IoU), and of the last answers. NaN where a batch had none.
    """

    loss: Tensor
    mask: float
    score: float
    iou_click: float
    iou_box: float
    iou_last: float


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the decoder sees of each prompt's surroundings: a list of T tokens.

    Nothing in the decoder looks at a token's neighbours: attention takes positions from the
    encoding, and upscaling turns each token into its own 4 × 4 logits. So any choice of tokens
    will do, given as an image that is one token wide. Those of the view come first, row by row.

    Attributes
    ----------
    features, positions : Tensor, (N, C, T, 1)
    targets : Tensor, (N, 16 T)
        Of the logits, which are (N, 4, 4 T, 4), flattened.
    weights : Tensor, (16 T,)
        How many pixels each one stands for.
    key_bias : Tensor, (T,) or None
    tokens : int
        Tokens along a side of the view.
    """

    features: Tensor
    positions: Tensor
    targets: Tensor
    weights: Tensor
    key_bias: Tensor | None
    tokens: int

    @classmethod
    def of(cls, model: Sam, features: Tensor, batch: Batch) -> Seen:
        """Gather the tokens of a batch's views, and those far from them."""
        device, views = features.device, batch.views
        tokens = batch.targets.shape[-1] // 4
        near = torch.stack([features[v.image][:, *v.tokens] for v in views]).flatten(2)
        places = position_slices(model, [view.window for view in views]).flatten(2)
        blocks = [torch.from_numpy(token_blocks(batch.targets.numpy()))]
        far = batch.far
        weights = torch.ones(tokens**2 + far.count, device=device)
        if far.count:
            whole = model.prompt_encoder.get_dense_pe()[0].flatten(1)
            each = features.flatten(2).transpose(1, 2).flatten(0, 1)
            near = torch.cat([near, each[far.sources.to(device)].transpose(1, 2)], 2)
            places = torch.cat([places, whole[:, far.places.to(device)].transpose(0, 1)], 2)
            blocks.append(far.targets)
            weights[tokens**2 :] = far.weights.to(device)
        return cls(
            near[..., None],
            places[..., None],
            torch.cat(blocks, 1).flatten(1).to(device),
            weights.repeat_interleave(16),
            weights.log() if far.count else None,
            tokens,
        )

    def near(self, logits: Tensor) -> Tensor:
        """Put the logits (N, 16 T) of the view in their places: (N, 4 t, 4 t) of t × t tokens."""
        size = self.tokens
        blocks = logits[:, : 16 * size**2].view(-1, size, size, 4, 4)
        return blocks.transpose(2, 3).reshape(-1, 4 * size, 4 * size)


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
    key_bias: Tensor | None = None,
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
    key_bias : Tensor, (h · w,), optional
        See `TwoWayTransformer`.

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
    kernels, flat, scores = model.mask_decoder.attend(features, positions, sparse, dense, key_bias)
    blocks = torch.unflatten(_upscaled(model.mask_decoder, flat, kernels), 2, size)
    logits = blocks.transpose(3, 4).flatten(4).flatten(2, 3)
    return logits, scores


def _upscaled(decoder: MaskDecoder, flat: Tensor, kernels: Tensor) -> Tensor:
    """Turn tokens (N, T, C) and kernels (N, 4, C / 8) into logits (N, 4, T, 4, 4).

    The same as the module's transposed convolutions, whose windows do not overlap; as products of
    matrices, with channels last, it takes a third of the time, forward and backward.
    """
    parts: Sequence[Any] = tuple(decoder.output_upscaling)
    first, norm, activation, second, last = parts
    x = _spread(first, flat)  # (N, T, 2 · 2, C / 4)
    x = activation(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
    x = last(_spread(second, x))  # (N, T, 2 · 2, 2 · 2, C / 8)
    logits = kernels @ x.flatten(1, 3).transpose(1, 2)
    inner = logits.view(*logits.shape[:2], -1, 2, 2, 2, 2).transpose(4, 5)
    return inner.reshape(*logits.shape[:2], -1, 4, 4)


def _spread(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """Apply a transposed convolution of 2 × 2 and stride 2 to tokens: (…, C) to (…, 4, C')."""
    weight = layer.weight.permute(0, 2, 3, 1)
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return torch.unflatten(F.linear(x, weight.flatten(1).t(), bias), -1, (4, -1))


def interactive_loss(
    model: Sam,
    features: Tensor,
    batch: Batch,
    rng: np.random.Generator,
    *,
    corrections: int,
) -> StepResult:
    """Answer the first prompts of a batch and as many corrections, and weigh all answers.

    Gradients of each round's answers are taken at once and added to those of the prompt encoder,
    the decoder and, with the loss that is returned, of the features. So no more than one round is
    in memory at a time.

    Parameters
    ----------
    features : Tensor, (B, C, h, w)
        Embeddings of the batch's windows.
    corrections : int
        Correction clicks after the first prompt.
    """
    seen = Seen.of(model, features, batch)
    device = features.device
    targets, weights = seen.targets, (seen.weights, seen.weights.clamp(max=LARGEST_WEIGHT))
    coords, labels = batch.coords.to(device), batch.point_labels.to(device)
    is_box = batch.is_box.to(device)
    tokens, loss = _leaf(seen.features), 0.0
    mask_sum = score_sum = 0.0
    first: list[Tensor] = []
    last = torch.zeros(0)
    previous: Tensor | None = None
    for round_ in range(corrections + 1):
        low, scores = answer(model, tokens, seen.positions, coords, labels, previous, seen.key_bias)
        scores = scores.float()
        logits = low.float().flatten(2)
        click = ~is_box if round_ == 0 else torch.zeros_like(is_box)
        round_loss = logits.new_zeros(())
        for chosen, kind in ((click, 'click'), (~click, 'other')):
            if not bool(chosen.any()):
                continue
            share = chosen.float().mean() / (corrections + 1)
            of = logits[chosen], scores[chosen], targets[chosen]
            many = multimask_loss(of[0][:, 1:], of[1][:, 1:], of[2], *weights)
            single = multimask_loss(of[0][:, :1], of[1][:, :1], of[2], *weights)
            for weight, (mask, score) in zip(MULTI_WEIGHTS[kind], (many, single), strict=True):
                round_loss = round_loss + share * weight * (mask + score)
                mask_sum += float(share * weight * mask.detach())
                score_sum += float(share * weight * score.detach())
        loss += float(round_loss.detach())
        if round_loss.requires_grad:
            round_loss.backward()  # type: ignore[no-untyped-call]
        best = torch.where(click, scores[:, 1:].argmax(1) + 1, 0)
        index = torch.arange(len(best), device=device)
        chosen_logits = logits.detach()[index, best]
        last = true_iou(chosen_logits, targets, seen.weights)
        if round_ == 0:
            first = [last[~is_box], last[is_box]]
        if round_ < corrections:
            clicks = _clicks(seen.near(chosen_logits), batch, rng).to(device)
            coords = torch.cat([clicks[:, None, :2], coords], 1)
            labels = torch.cat([clicks[:, None, 2].long(), labels], 1)
            previous = low.detach()[index, best][:, None]
    return StepResult(
        _pending(seen.features, tokens.grad, loss),
        mask_sum,
        score_sum,
        *(float(v.mean()) if len(v) else float('nan') for v in (*first, last)),
    )


def _leaf(features: Tensor) -> Tensor:
    """Cut features off from what made them, so that gradients are gathered here first."""
    return features.detach().requires_grad_(features.requires_grad)


def _pending(features: Tensor, gradient: Tensor | None, value: float) -> Tensor:
    """Return a loss of that value whose gradient for the features is the one given."""
    loss = features.new_full((), value, dtype=torch.float32)
    if gradient is None:
        return loss
    carrier = (features * gradient).sum()
    return loss + (carrier - carrier.detach())


def _clicks(logits: Tensor, batch: Batch, rng: np.random.Generator) -> Tensor:
    """Correction clicks (N, 3): x, y in the frame, and the label."""
    found = (logits > 0).cpu().numpy()
    shares = batch.targets.numpy()
    # Of the smallest objects no logit pixel may be half full.
    wanted = shares > np.minimum(0.5, shares.max((1, 2), keepdims=True) / 2)
    clicks = np.zeros((len(wanted), 3), np.float32)
    for i, view in enumerate(batch.views):
        row, col, label = correction_click(found[i], wanted[i], rng)
        inside = rng.random(2)
        clicks[i] = *to_frame(row + inside[0], col + inside[1], view.window, LOGIT_STEP), label
    return torch.from_numpy(clicks)

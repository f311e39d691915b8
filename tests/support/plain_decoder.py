"""The plain way from prompts to masks: what the fast forms are measured and checked against.

In the order of the published implementation: everything is decoded, everything is enlarged, and
only then is anything looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mobile_sam.modeling import Sam
from mobile_sam.utils.amg import (
    MaskData,
    batch_iterator,
    batched_mask_to_box,
    build_point_grid,
    calculate_stability_score,
    mask_to_rle_pytorch,
    rle_to_mask,
)

Size = tuple[int, int]


@torch.no_grad()
def plain_decode(
    model: Sam, features: Tensor, points: Tensor, multimask: bool = True
) -> tuple[Tensor, Tensor]:
    """Decode positive points (B, 2), in the model's frame, on an embedding (1, C, h, w)."""
    labels = torch.ones(len(points), 1, dtype=torch.int64)
    sparse, dense = model.prompt_encoder(points=(points[:, None], labels), boxes=None, masks=None)
    logits, scores = model.mask_decoder(
        image_embeddings=features,
        image_pe=model.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    return logits, scores


@torch.no_grad()
def plain_click(
    model: Sam, features: Tensor, point: Tensor, input_size: Size, size: Size
) -> tuple[Tensor, Tensor]:
    """Three masks (3, H, W) in full size, and their scores."""
    logits, scores = plain_decode(model, features, point[None])
    masks = model.postprocess_masks(logits, input_size, size) > model.mask_threshold
    return masks[0], scores[0]


@torch.no_grad()
def plain_everything(
    model: Sam,
    features: Tensor,
    input_size: Size,
    size: Size,
    points_per_side: int,
    thresholds: tuple[float, float, float] = (0.88, 0.95, 0.7),
    batch: int = 64,
) -> list[dict[str, Any]]:
    """Masks from a grid of points; thresholds of quality, stability and overlap of boxes."""
    from torchvision.ops import nms

    min_score, min_stability, max_overlap = thresholds
    grid = build_point_grid(points_per_side)
    found = MaskData()
    for (points,) in batch_iterator(batch, grid):
        coords = torch.from_numpy(points * (input_size[1], input_size[0])).float()
        logits, scores = plain_decode(model, features, coords)
        masks = model.postprocess_masks(logits, input_size, size).flatten(0, 1)
        some = MaskData(masks=masks, scores=scores.flatten(), points=np.repeat(points, 3, axis=0))
        some.filter(some['scores'] > min_score)
        some['stability'] = calculate_stability_score(some['masks'], model.mask_threshold, 1.0)
        some.filter(some['stability'] >= min_stability)
        some['masks'] = some['masks'] > model.mask_threshold
        some['boxes'] = batched_mask_to_box(some['masks'])
        some['rles'] = mask_to_rle_pytorch(some['masks'])
        del some['masks']
        found.cat(some)
    found.filter(nms(found['boxes'].float(), found['scores'], max_overlap))
    return [
        {'segmentation': rle_to_mask(rle), 'predicted_iou': float(score)}
        for rle, score in zip(found['rles'], found['scores'], strict=True)
    ]

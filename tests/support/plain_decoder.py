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
from mobile_sam.modeling.transformer import Attention, TwoWayAttentionBlock
from mobile_sam.utils.amg import (
    MaskData,
    batch_iterator,
    batched_mask_to_box,
    calculate_stability_score,
    mask_to_rle_pytorch,
    rle_to_mask,
)

Size = tuple[int, int]


@torch.no_grad()
def plain_decode(
    model: Sam, features: Tensor, points: Tensor, multimask: bool = True
) -> tuple[Tensor, Tensor]:
    """Decode positive points (B, 2), in the model's frame, on an embedding (1, C, h, w).

    As the published implementation evaluates the decoder: the image is repeated for each prompt,
    attention is spelled out, and maps are normalised as (B, C, H, W). It reads the modules of the
    model, and computes the same.
    """
    labels = torch.ones(len(points), 1, dtype=torch.int64)
    sparse, dense = model.prompt_encoder(points=(points[:, None], labels), boxes=None, masks=None)
    decoder = model.mask_decoder
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)
    source = torch.repeat_interleave(features, len(tokens), dim=0) + dense
    encoding = torch.repeat_interleave(model.prompt_encoder.get_dense_pe(), len(tokens), dim=0)
    batch, channels, height, width = source.shape

    transformer = decoder.transformer
    keys, placed = (x.flatten(2).permute(0, 2, 1) for x in (source, encoding))
    queries = tokens
    for layer in transformer.layers:
        queries, keys = _two_way(layer, queries, keys, tokens, placed)
    attended = _attention(
        transformer.final_attn_token_to_image, queries + tokens, keys + placed, keys
    )
    queries = transformer.norm_final_attn(queries + attended)

    first, norm, act, second, last_act = decoder.output_upscaling
    maps = first(keys.transpose(1, 2).view(batch, channels, height, width))
    maps = last_act(second(act(_norm2d(norm, maps))))
    kernels = torch.stack(
        [mlp(queries[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1
    )
    batch, channels, height, width = maps.shape
    logits = (kernels @ maps.view(batch, channels, height * width)).view(batch, -1, height, width)
    scores = decoder.iou_prediction_head(queries[:, 0])
    wanted = slice(1, None) if multimask else slice(0, 1)
    return logits[:, wanted], scores[:, wanted]


def _two_way(
    layer: TwoWayAttentionBlock, queries: Tensor, keys: Tensor, tokens: Tensor, encoding: Tensor
) -> tuple[Tensor, Tensor]:
    if layer.skip_first_layer_pe:
        queries = _attention(layer.self_attn, queries, queries, queries)
    else:
        placed = queries + tokens
        queries = queries + _attention(layer.self_attn, placed, placed, queries)
    queries = layer.norm1(queries)
    attention = layer.cross_attn_token_to_image
    attended = _attention(attention, queries + tokens, keys + encoding, keys)
    queries = layer.norm2(queries + attended)
    queries = layer.norm3(queries + layer.mlp(queries))
    attention = layer.cross_attn_image_to_token
    attended = _attention(attention, keys + encoding, queries + tokens, queries)
    return queries, layer.norm4(keys + attended)


def _attention(attention: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    def heads(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], attention.num_heads, -1).transpose(1, 2)

    q, k, v = heads(attention.q_proj(q)), heads(attention.k_proj(k)), heads(attention.v_proj(v))
    weights = torch.softmax(q @ k.permute(0, 1, 3, 2) / q.shape[-1] ** 0.5, dim=-1)
    return attention.out_proj((weights @ v).transpose(1, 2).flatten(2))


def _norm2d(norm: torch.nn.Module, x: Tensor) -> Tensor:
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    normed = (x - mean) / torch.sqrt(variance + norm.eps)
    return norm.weight[:, None, None] * normed + norm.bias[:, None, None]


@torch.no_grad()
def module_decode(
    model: Sam, features: Tensor, points: Tensor, multimask: bool = True
) -> tuple[Tensor, Tensor]:
    """Decode as `plain_decode`, by calling the modules of the model."""
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
def plain_proposals(
    model: Sam,
    features: Tensor,
    input_size: Size,
    size: Size,
    grid: np.ndarray,
    min_score: float = 0.88,
    min_stability: float = 0.95,
    batch: int = 64,
) -> MaskData:
    """Masks that points (N, 2), (x, y) in parts of the sides, propose: good and stable ones."""
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
    return found


def plain_suppressed(found: MaskData, max_overlap: float = 0.7) -> list[dict[str, Any]]:
    """Of masks whose boxes overlap, the best."""
    from torchvision.ops import nms

    found.filter(nms(found['boxes'].float(), found['scores'], max_overlap))
    return [
        {'segmentation': rle_to_mask(rle), 'predicted_iou': float(score)}
        for rle, score in zip(found['rles'], found['scores'], strict=True)
    ]

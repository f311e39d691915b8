"""The whole model: an image encoder, the prompt encoder and the mask decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .image_encoder import ImageEncoderViT
from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder
from .tiny_vit_sam import TinyViT


class Sam(nn.Module):
    """Segment Anything: predicts masks for an image and prompts.

    Parameters
    ----------
    image_encoder
        Turns a padded, normalised image into features.
    prompt_encoder, mask_decoder
        The lightweight rest.
    pixel_mean, pixel_std
        Per channel, in the range 0 to 255.
    """

    mask_threshold: float = 0.0
    image_format: str = 'RGB'

    def __init__(
        self,
        image_encoder: ImageEncoderViT | TinyViT,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
        pixel_mean: Sequence[float] = (123.675, 116.28, 103.53),
        pixel_std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        # Not persistent: the published checkpoints do not hold them.
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        mean = torch.tensor(pixel_mean, dtype=torch.float32).view(-1, 1, 1)
        std = torch.tensor(pixel_std, dtype=torch.float32).view(-1, 1, 1)
        self.register_buffer('pixel_mean', mean, persistent=False)
        self.register_buffer('pixel_std', std, persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    @torch.no_grad()
    def forward(
        self, batched_input: list[dict[str, Any]], multimask_output: bool
    ) -> list[dict[str, Tensor]]:
        """Predict masks for several images, each with its own prompts.

        Parameters
        ----------
        batched_input
            One dictionary per image: ``image`` (3, H, W), resized so that its long side
            is the encoder's, and not normalised; ``original_size`` (H, W) before that;
            optionally ``point_coords`` (B, N, 2) with ``point_labels`` (B, N), ``boxes``
            (B, 4), both in pixels of the resized image, x before y, and ``mask_inputs``
            (B, 1, 256, 256).
        multimask_output
            Three candidates per prompt or one.

        Returns
        -------
        list of dict
            ``masks`` (B, C, H, W) bool at the original size, ``iou_predictions`` (B, C),
            ``low_res_logits`` (B, C, 256, 256).
        """
        images = torch.stack([self.preprocess(record['image']) for record in batched_input])
        results = []
        for record, features in zip(batched_input, self.image_encoder(images), strict=True):
            points = None
            if 'point_coords' in record:
                points = (record['point_coords'], record['point_labels'])
            sparse, dense = self.prompt_encoder(
                points=points, boxes=record.get('boxes'), masks=record.get('mask_inputs')
            )
            low_res, iou = self.mask_decoder(
                image_embeddings=features[None],
                image_pe=self.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask_output,
            )
            height, width = record['image'].shape[-2:]
            masks = self.postprocess_masks(low_res, (height, width), record['original_size'])
            results.append(
                {
                    'masks': masks > self.mask_threshold,
                    'iou_predictions': iou,
                    'low_res_logits': low_res,
                }
            )
        return results

    def postprocess_masks(
        self, masks: Tensor, input_size: tuple[int, ...], original_size: tuple[int, ...]
    ) -> Tensor:
        """Take the padding off mask logits and bring them to the image's own size.

        Parameters
        ----------
        masks
            (B, C, h, w) logits of the padded frame.
        input_size
            (H, W) of the resized image before padding.
        original_size
            (H, W) of the image.

        Returns
        -------
        Tensor
            (B, C, H, W) logits.
        """
        side = self.image_encoder.img_size
        masks = F.interpolate(masks, (side, side), mode='bilinear', align_corners=False)
        masks = masks[..., : input_size[0], : input_size[1]]
        size = (int(original_size[0]), int(original_size[1]))
        return F.interpolate(masks, size, mode='bilinear', align_corners=False)

    def preprocess(self, x: Tensor) -> Tensor:
        """Normalise (..., 3, H, W) with values 0 to 255 and pad bottom and right by zeros.

        Raises
        ------
        ValueError
            If the image is larger than the encoder's input.
        """
        side = self.image_encoder.img_size
        height, width = x.shape[-2:]
        if max(height, width) > side:
            raise ValueError(
                f'Expected an image of at most {side} pixels a side, found {height} × '
                f'{width}: resize it first (utils.transforms.ResizeLongestSide).'
            )
        x = (x - self.pixel_mean) / self.pixel_std
        return F.pad(x, (0, side - width, 0, side - height))

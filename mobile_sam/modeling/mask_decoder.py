"""Predicts masks and their quality from image features and encoded prompts.

References
----------
Kirillov et al. 2023, "Segment Anything", arXiv:2304.02643, appendix A.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .common import MLP, LayerNorm2d


class MaskDecoder(nn.Module):
    """Mask decoder.

    Parameters
    ----------
    transformer_dim
        Width C of tokens and image features.
    transformer
        A two-way transformer: (features, encoding, tokens) → (tokens, features).
    num_multimask_outputs
        Candidates for an ambiguous prompt, beside the one for an unambiguous prompt.
    activation
        Activation of the upscaling.
    iou_head_depth, iou_head_hidden_dim
        Layers and width of the MLP that predicts each mask's IoU.
    """

    def __init__(
        self,
        *,
        transformer_dim: int,
        transformer: nn.Module,
        num_multimask_outputs: int = 3,
        activation: type[nn.Module] = nn.GELU,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
    ) -> None:
        super().__init__()
        dim = transformer_dim
        self.transformer_dim = dim
        self.transformer = transformer
        self.num_multimask_outputs = num_multimask_outputs
        self.iou_token = nn.Embedding(1, dim)
        self.num_mask_tokens = num_multimask_outputs + 1
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            activation(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            activation(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim // 8, 3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = MLP(
            dim, iou_head_hidden_dim, self.num_mask_tokens, iou_head_depth
        )

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Predict masks.

        Parameters
        ----------
        image_embeddings
            (1, C, h, w), shared by all prompts, or (B, C, h, w), one for each.
        image_pe
            (1, C, h, w): positional encoding of the image features.
        sparse_prompt_embeddings, dense_prompt_embeddings
            (B, n, C) and (B, C, h, w) from the prompt encoder.
        multimask_output
            Three candidates (True) or the single unambiguous mask (False).

        Returns
        -------
        tuple of Tensor
            Logits (B, 3 or 1, 4h, 4w) and predicted IoU (B, 3 or 1).
        """
        masks, iou = self.predict_masks(
            image_embeddings=image_embeddings,
            image_pe=image_pe,
            sparse_prompt_embeddings=sparse_prompt_embeddings,
            dense_prompt_embeddings=dense_prompt_embeddings,
        )
        wanted = slice(1, None) if multimask_output else slice(0, 1)
        return masks[:, wanted], iou[:, wanted]

    def predict_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        key_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Predict all masks: the unambiguous one first, then the candidates.

        Parameters as in :meth:`forward`, `key_bias` as in :class:`TwoWayTransformer`; returns
        logits (B, 4, 4h, 4w) and IoU (B, 4).

        Raises
        ------
        ValueError
            If the number of image embeddings is neither 1 nor the number of prompts.
        """
        kernels, flat, iou = self.attend(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings, key_bias
        )
        grid = dense_prompt_embeddings.shape[-2:]
        upscaled = self.output_upscaling(flat.transpose(1, 2).reshape(*flat.shape[::2], *grid))
        masks = torch.unflatten(kernels @ upscaled.flatten(2), -1, upscaled.shape[-2:])
        return masks, iou

    def attend(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        key_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Do all of :meth:`predict_masks` but upscaling.

        Returns
        -------
        tuple of Tensor
            What upscaled features are multiplied with to get each mask, (B, 4, C / 8); image
            features (B, h · w, C), to be upscaled; and IoU (B, 4).
        """
        batch = len(sparse_prompt_embeddings)
        if len(image_embeddings) not in (1, batch):
            raise ValueError(
                f'Expected one image embedding for all of the {batch} prompts or one for '
                f'each, found {len(image_embeddings)}.'
            )
        own_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own_tokens.expand(batch, -1, -1), sparse_prompt_embeddings], dim=1)
        features = image_embeddings + dense_prompt_embeddings
        encoding = image_pe.expand(batch, -1, -1, -1)
        tokens, flat = self.transformer(features, encoding, tokens, key_bias)
        iou_token, mask_tokens = tokens[:, 0], tokens[:, 1 : 1 + self.num_mask_tokens]

        kernels = torch.stack(
            [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)],
            dim=1,
        )
        return kernels, flat, self.iou_prediction_head(iou_token)

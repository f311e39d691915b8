"""Turns points, boxes and masks into tokens and a dense map.

References
----------
Kirillov et al. 2023, "Segment Anything", arXiv:2304.02643, appendix A.
Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequency Functions in Low
Dimensional Domains", arXiv:2006.10739 (the positional encoding).
"""

from __future__ import annotations

from math import pi
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .common import LayerNorm2d

#: Labels of points, as rows of the table of learned offsets.
NOT_A_POINT, NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT = -1, 0, 1, 2, 3


class PositionEmbeddingRandom(nn.Module):
    """Encode positions by sine and cosine of random projections.

    Parameters
    ----------
    num_pos_feats
        Number of projections; the encoding has twice as many channels.
    scale
        Standard deviation of the projections; 1 if None or not positive.
    """

    def __init__(self, num_pos_feats: int = 64, scale: float | None = None) -> None:
        super().__init__()
        spread = scale if scale and scale > 0 else 1.0
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer(
            'positional_encoding_gaussian_matrix', spread * torch.randn(2, num_pos_feats)
        )

    def _encode(self, unit_xy: Tensor) -> Tensor:
        matrix = self.positional_encoding_gaussian_matrix
        x, y = (2 * unit_xy.to(matrix.dtype) - 1).unsqueeze(-1).unbind(-2)
        # A product of matrices would be rounded where reduced precision is asked for, and positions
        # with it, by many pixels.
        angles = 2 * pi * (x * matrix[0] + y * matrix[1])
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def forward(self, size: tuple[int, int]) -> Tensor:
        """Encode the centres of a grid of (h, w) cells; returns (C, h, w)."""
        height, width = size
        device = self.positional_encoding_gaussian_matrix.device
        row = (torch.arange(height, device=device) + 0.5) / height
        col = (torch.arange(width, device=device) + 0.5) / width
        y, x = torch.meshgrid(row, col, indexing='ij')
        return self._encode(torch.stack([x, y], dim=-1)).permute(2, 0, 1)

    def forward_with_coords(self, coords_input: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Encode (B, N, 2) coordinates (x, y) in pixels of an (H, W) image: (B, N, C)."""
        height, width = image_size
        x, y = coords_input.unbind(-1)
        return self._encode(torch.stack([x / width, y / height], dim=-1))


class PromptEncoder(nn.Module):
    """Encoder of prompts.

    Parameters
    ----------
    embed_dim
        Width C of tokens and of the dense map.
    image_embedding_size
        (h, w) of the image features.
    input_image_size
        (H, W) of the padded image that prompt coordinates refer to.
    mask_in_chans
        Hidden channels of the mask's convolutions.
    activation
        Their activation.
    """

    def __init__(
        self,
        embed_dim: int,
        image_embedding_size: tuple[int, int],
        input_image_size: tuple[int, int],
        mask_in_chans: int,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.input_image_size = input_image_size
        self.image_embedding_size = image_embedding_size
        self.mask_input_size = (4 * image_embedding_size[0], 4 * image_embedding_size[1])
        self.num_point_embeddings = 4  # negative, positive and the two corners of a box
        self.pe_layer = PositionEmbeddingRandom(embed_dim // 2)
        self.point_embeddings = nn.ModuleList(
            nn.Embedding(1, embed_dim) for _ in range(self.num_point_embeddings)
        )
        self.not_a_point_embed = nn.Embedding(1, embed_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans // 4),
            activation(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans),
            activation(),
            nn.Conv2d(mask_in_chans, embed_dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, embed_dim)

    def get_dense_pe(self) -> Tensor:
        """Return the positional encoding of the image features, (1, C, h, w)."""
        encoding: Tensor = self.pe_layer(self.image_embedding_size)
        return encoding[None]

    def embed_labelled(self, coords: Tensor, labels: Tensor) -> Tensor:
        """Encode points with any label: -1 none, 0 negative, 1 positive, 2 and 3 corners.

        Parameters
        ----------
        coords
            (B, N, 2), x before y, pixels of the padded image.
        labels
            (B, N).

        Returns
        -------
        Tensor
            (B, N, C).
        """
        # Coordinates name pixels by their corner; the encoding wants their centre.
        encoding = self.pe_layer.forward_with_coords(coords + 0.5, self.input_image_size)
        encoding = torch.where((labels == NOT_A_POINT).unsqueeze(-1), 0.0, encoding)
        # One row per label, and one of zeros at either end for those that mean nothing.
        tables = [cast(nn.Embedding, table).weight for table in self.point_embeddings]
        rows = F.pad(torch.cat([self.not_a_point_embed.weight, *tables]), (0, 0, 1, 1))
        return encoding + rows[labels.long().clamp(NOT_A_POINT - 1, len(tables)) - NOT_A_POINT + 1]

    def embed_mask(self, masks: Tensor) -> Tensor:
        """Encode mask logits (B, 1, 4h, 4w) as a dense map (B, C, h, w)."""
        out: Tensor = self.mask_downscaling(masks)
        return out

    def embed_no_mask(self, batch: int, size: tuple[int, int]) -> Tensor:
        """Return the dense map (B, C, h, w) that stands for "no mask given"."""
        return self.no_mask_embed.weight[:, :, None, None].expand(batch, -1, *size)

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Encode prompts.

        Parameters
        ----------
        points
            Coordinates (B, N, 2), x before y, and labels (B, N): 1 positive, 0 negative,
            -1 none.
        boxes
            (B, 4): x0, y0, x1, y1. All coordinates are in pixels of the padded image.
        masks
            (B, 1, 4h, 4w) logits.

        Returns
        -------
        tuple of Tensor
            Sparse tokens (B, n, C) and a dense map (B, C, h, w).
        """
        device = self.no_mask_embed.weight.device
        batch = 1
        sparse: list[Tensor] = []
        if points is not None:
            coords, labels = points
            batch = len(coords)
            if boxes is None:
                # Points without a box are followed by a "no point" in the box's place.
                coords = torch.cat([coords, coords.new_zeros(batch, 1, 2)], dim=1)
                none = labels.new_full((batch, 1), NOT_A_POINT)
                labels = torch.cat([labels, none], dim=1)
            sparse.append(self.embed_labelled(coords, labels))
        if boxes is not None:
            corners = boxes.reshape(-1, 2, 2)
            batch = len(corners)
            kinds = torch.tensor([TOP_LEFT, BOTTOM_RIGHT], device=corners.device)
            sparse.append(self.embed_labelled(corners, kinds.expand(batch, 2)))
        if masks is not None:
            if not sparse:
                batch = len(masks)
            dense = self.embed_mask(masks)
        else:
            dense = self.embed_no_mask(batch, self.image_embedding_size)
        if not sparse:
            sparse.append(torch.zeros(batch, 0, self.embed_dim, device=device))
        return torch.cat(sparse, dim=1), dense

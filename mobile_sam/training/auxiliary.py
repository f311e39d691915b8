"""A dense side task that teaches the encoder early: foreground, edges, direction to the centre.

From random weights the prompted loss alone gives the encoder a weak signal, since the decoder
must first learn to look at the prompt. The head is dropped when training ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

OFFSET_UNIT = 32.0
"""Model pixels per unit of the predicted offset."""


class AuxiliaryHead(nn.Module):
    """Maps an embedding (B, C, h, w) to (B, 4, 4h, 4w): foreground, edge, and two offsets."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(channels, 64, 2, 2),
            nn.BatchNorm2d(64),
            nn.GELU(),
            nn.ConvTranspose2d(64, 32, 2, 2),
            nn.GELU(),
            nn.Conv2d(32, 4, 3, padding=1),
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Predict the four maps."""
        maps: Tensor = self.layers(embedding)
        return maps


def auxiliary_targets(labels: NDArray[np.int32], step: float) -> NDArray[np.float32]:
    """Make the maps (B, 4, t, t) of labels (B, T, T) at half their resolution.

    `step` is model pixels per label pixel.
    """
    labels = np.ascontiguousarray(labels[:, ::2, ::2])
    maps = np.zeros((len(labels), 4, *labels.shape[1:]), np.float32)
    rows, cols = (v.astype(np.float32) for v in np.indices(labels.shape[1:]))
    for plane, out in zip(labels, maps, strict=True):
        flat = plane.ravel()
        counts = np.maximum(np.bincount(flat), 1)
        out[0] = plane > 0
        edge = np.zeros(plane.shape, bool)
        edge[1:] |= plane[1:] != plane[:-1]
        edge[:-1] |= plane[1:] != plane[:-1]
        edge[:, 1:] |= plane[:, 1:] != plane[:, :-1]
        edge[:, :-1] |= plane[:, 1:] != plane[:, :-1]
        out[1] = edge
        for axis, grid in enumerate((rows, cols)):
            centre = np.bincount(flat, grid.ravel()) / counts
            out[2 + axis] = (centre[plane] - grid) * (2 * step / OFFSET_UNIT)
    return maps


def auxiliary_loss(maps: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of foreground and edges, and clipped distance of offsets inside objects."""
    maps = maps.float()
    entropy = F.binary_cross_entropy_with_logits(maps[:, :2], targets[:, :2])
    inside = targets[:, :1]
    distance = F.smooth_l1_loss(maps[:, 2:], targets[:, 2:], reduction='none')
    return entropy + (distance * inside).sum() / (2 * inside.sum().clamp(min=1))


def targets_tensor(labels: NDArray[np.int32], side: int) -> Tensor:
    """Return `auxiliary_targets` of a batch of windows of `side` model pixels as a tensor."""
    return torch.from_numpy(auxiliary_targets(labels, side / labels.shape[-1]))

"""Tokens of points and boxes, in numpy: for a few hundred numbers torch's calls are all that costs.

A click's prompt takes 40 operations of the prompt encoder, a fifth of a millisecond, and 10 here.
"""

from __future__ import annotations

from math import pi
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mobile_sam.modeling.prompt_encoder import (
    TOP_LEFT,
    PositionEmbeddingRandom,
    PromptEncoder,
)


class PromptTokens:
    """Inference form of the part of a `PromptEncoder` that makes tokens.

    Parameters
    ----------
    encoder
        Its weights are copied.
    """

    def __init__(self, encoder: PromptEncoder) -> None:
        height, width = encoder.input_image_size
        matrix = 2 * pi * _array(encoder.pe_layer.positional_encoding_gaussian_matrix)
        # Positions name pixels by their corner, and their centre is encoded, from -1 to 1.
        self._x, self._y = 2 / width * matrix[0], 2 / height * matrix[1]
        self._offset = (1 / width - 1) * matrix[0] + (1 / height - 1) * matrix[1]
        self._kinds = np.concatenate(
            [_array(cast(nn.Embedding, table).weight) for table in encoder.point_embeddings]
        )
        self._none = _array(encoder.not_a_point_embed.weight)[0].astype(np.float32)

    def __call__(
        self,
        points: NDArray[np.float32] | None,
        positive: NDArray[np.int64] | None,
        corners: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        """Encode points (B, N, 2), with (B, N) of 1 or 0, and upper left and lower right corners.

        Coordinates (x, y) are pixels of the model's square; corners are (B, 2, 2). Some of both
        have to be given. Returns (B, n, C), as the prompt encoder.
        """
        parts, kinds = [], []
        if points is not None and positive is not None:
            parts.append(points)
            kinds.append(positive)
        if corners is not None:
            parts.append(corners)
            kinds.append(np.broadcast_to((TOP_LEFT, TOP_LEFT + 1), corners.shape[:2]))
        coords = np.concatenate(parts, axis=1).astype(np.float64)
        batch, count = coords.shape[:2]
        angles = coords[..., :1] * self._x + coords[..., 1:] * self._y + self._offset
        features = len(self._x)
        tokens = np.empty((batch, count + (corners is None), 2 * features), np.float32)
        rows = self._kinds[np.concatenate(kinds, axis=1)]
        tokens[:, :count, :features] = np.sin(angles) + rows[..., :features]
        tokens[:, :count, features:] = np.cos(angles) + rows[..., features:]
        # Points without a box are followed by a "no point" in its place.
        tokens[:, count:] = self._none
        return tokens


def prompt_tokens(encoder: nn.Module) -> PromptTokens | None:
    """Return the fast form of a prompt encoder, or None of one that may compute something else."""
    alike = type(encoder) is PromptEncoder and type(encoder.pe_layer) is PositionEmbeddingRandom
    if not alike or any(
        module._forward_hooks or module._forward_pre_hooks for module in encoder.modules()
    ):
        return None
    assert isinstance(encoder, PromptEncoder)
    plain = all(type(table) is nn.Embedding for table in encoder.point_embeddings)
    return PromptTokens(encoder) if plain else None


def _array(weight: Tensor) -> NDArray[np.float64]:
    return weight.detach().cpu().double().numpy()

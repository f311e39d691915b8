"""The two attentions between tokens and image, with the image's share of the work folded.

Shapes: B prompts, n tokens, N image cells, H heads of width d, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobile_sam.modeling.transformer import Attention, TwoWayAttentionBlock

from .linear import linear


class Heads:
    """The projections of an attention, sorted by head.

    Parameters
    ----------
    attention
        Its weights are read.
    """

    def __init__(self, attention: Attention) -> None:
        self.heads = attention.num_heads
        self.width = attention.q_proj.out_features // self.heads
        self.scale = 1 / sqrt(self.width)
        self.attention = attention

    def by_head(self, x: Tensor) -> Tensor:
        """(B, n, H · d) → (B, H, n, d)."""
        return torch.unflatten(x, 2, (self.heads, self.width)).transpose(1, 2).contiguous()

    def queries(self, placed: Tensor) -> Tensor:
        """Project tokens (B, n, C) to scaled queries (B, H, n, d)."""
        return self.by_head(self.attention.q_proj(placed) * self.scale)

    def columns(self, projected: Tensor) -> Tensor:
        """Projected cells (N, H · d) → (H, d, N)."""
        return torch.unflatten(projected.T.contiguous(), 0, (self.heads, self.width))

    def rows(self, projected: Tensor) -> Tensor:
        """Projected cells (N, H · d) → (H, N, d)."""
        return torch.unflatten(projected, 1, (self.heads, self.width)).transpose(0, 1).contiguous()

    def matrices(self, weight: Tensor) -> Tensor:
        """Weight (H · d, C) of a projection → (H, d, C)."""
        return torch.unflatten(weight.detach(), 0, (self.heads, self.width))

    def out(self, found: Tensor, bias: Tensor) -> Tensor:
        """Give tokens (B, n, C) what they found, (B, H, n, d), with the bias of the values.

        The weights of a token sum to one: it takes that bias once.
        """
        projected: Tensor = self.attention.out_proj(found.transpose(1, 2).flatten(2) + bias)
        return projected


class TokensFromImage(Heads):
    """Tokens attend to the image, each prompt to its own cells.

    What the positional encoding of the cells adds to the scores is projected once for all images:
    adding it to the cells themselves would write another 4 MB per prompt.
    """

    def __init__(self, attention: Attention, encoding: Tensor) -> None:
        super().__init__(attention)
        # The bias of the keys moves all scores of a token alike.
        self._encoded = self.columns(linear(encoding, attention.k_proj.weight))
        self._keys = self.matrices(attention.k_proj.weight)
        self._values = self.matrices(attention.v_proj.weight).mT.contiguous()

    def __call__(self, x: Tensor, cells: list[Tensor]) -> Tensor:
        """Attend from tokens (B, n, C) to cells (N, C) by prompt; (B, n, C)."""
        asked = self.queries(x)
        rows = (asked @ self._keys).flatten(1, 2)
        taken = []
        for prompt, what in enumerate(cells):
            scores = _scores(what, rows[prompt], self.heads)
            scores.baddbmm_(asked[prompt], self._encoded)
            taken.append(scores.softmax(-1).flatten(0, 1) @ what)
        by_head = torch.unflatten(torch.stack(taken), 1, (self.heads, -1))
        return self.out(by_head @ self._values, self.attention.v_proj.bias)


class ImageFromTokens(Heads):
    """The image attends to tokens; what its positional encoding adds is projected once."""

    def __init__(self, attention: Attention, encoding: Tensor) -> None:
        super().__init__(attention)
        projection = attention.q_proj
        self._queries = self.matrices(projection.weight) * self.scale
        self._encoded = self.columns(
            linear(encoding, projection.weight, projection.bias) * self.scale
        )
        self._out = self.matrices(attention.out_proj.weight.T).contiguous()
        # The weights of a cell sum to one in each head, so that it gets all of this bias.
        self._out_bias = attention.out_proj.bias.detach() / self.heads

    def __call__(self, placed: Tensor, x: Tensor, cells: list[Tensor]) -> list[Tensor]:
        """Let each prompt's cells (N, C) attend to its tokens; the cells plus the answers.

        `placed` and `x`, (B, n, C), are the tokens with and without their encoding.
        """
        keys = self.by_head(self.attention.k_proj(placed))
        rows = (keys @ self._queries).flatten(1, 2)
        values = (self.by_head(self.attention.v_proj(x)) @ self._out).flatten(1, 2) + self._out_bias
        answers = []
        for prompt, what in enumerate(cells):
            scores = _scores(what, rows[prompt], self.heads)
            scores.baddbmm_(keys[prompt], self._encoded)
            weights = scores.softmax(1).flatten(0, 1).T.contiguous()
            answers.append(linear(weights, values[prompt].T.contiguous()).add_(what))
        return answers


class AmongTokens:
    """The first step of a block: tokens attend to each other.

    There are so few of them that reading the weights is the work: projections of the same tokens
    are one product.

    Parameters
    ----------
    block
        Its weights are copied.
    """

    def __init__(self, block: TwoWayAttentionBlock) -> None:
        attention = block.self_attn
        self._block, self._heads = block, attention.num_heads
        self.placed, self.bare = [attention.q_proj, attention.k_proj], [attention.v_proj]
        if block.skip_first_layer_pe:
            self.placed, self.bare = [], [*self.placed, *self.bare]
        self._of_placed, self._of_bare = Together(self.placed), Together(self.bare)
        self._out = Together([attention.out_proj])

    def __call__(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Treat queries (B, n, C), with the encoding `tokens`; the same shape."""
        parts = self._of_bare(queries)
        if self.placed:
            parts = [*self._of_placed(queries + tokens), *parts]
        return self.projected(parts, queries)

    def projected(self, parts: list[Tensor], queries: Tensor) -> Tensor:
        """Treat queries that are projected already: `placed`, if there are, and `bare`."""
        q, k, v = (torch.unflatten(part, -1, (self._heads, -1)).transpose(1, 2) for part in parts)
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        (answer,) = self._out(found)
        alone = self._block.skip_first_layer_pe
        return normed(self._block.norm1, answer if alone else queries + answer)


class Together:
    """Linear layers of the same input, as one product; a copy of their weights.

    Parameters
    ----------
    layers
        With biases.
    scale
        Multiplies what they give.
    """

    def __init__(self, layers: Sequence[nn.Linear], scale: float = 1.0) -> None:
        self._sizes = [layer.out_features for layer in layers]
        if layers:
            weight = torch.cat([layer.weight.detach() for layer in layers]) * scale
            self._weight = turned(weight)
            self._bias = torch.cat([layer.bias.detach() for layer in layers]) * scale

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Map (B, n, C) to what each layer gives, (B, n, ·)."""
        return list(torch.split(F.linear(x, self._weight, self._bias), self._sizes, -1))


def turned(weight: Tensor) -> Tensor:
    """Copy a weight (M, K) so that it lies the other way round: a quarter faster for few tokens."""
    return weight.T.contiguous().T


def think(
    block: TwoWayAttentionBlock,
    queries: Tensor,
    taken: Tensor,
    mlp: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Add what tokens (B, n, C) took of the image, and do the block's MLP, or `mlp` for it."""
    queries = normed(block.norm2, queries + taken)
    return normed(block.norm3, queries + (mlp or block.mlp)(queries))


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Normalise as the module does; its call would take longer than the few numbers."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _scores(cells: Tensor, rows: Tensor, heads: int) -> Tensor:
    """Products of cells (N, C) with rows (H · n, C), (H, n, N)."""
    return torch.unflatten(linear(cells, rows).T.contiguous(), 0, (heads, -1))

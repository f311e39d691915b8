"""The two attentions between tokens and image, with the image's share of the work folded.

Shapes: B prompts, n tokens, N image cells, H heads of width d, C channels.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from mobile_sam.modeling.transformer import Attention

from .linear import linear


class _Heads:
    """The projections of an attention, sorted by head."""

    def __init__(self, attention: Attention) -> None:
        self.heads = attention.num_heads
        self.width = attention.q_proj.out_features // self.heads
        self.scale = 1 / sqrt(self.width)
        self.attention = attention

    def split(self, x: Tensor) -> Tensor:
        """(B, n, H · d) → (H, B · n, d)."""
        return x.reshape(-1, self.heads, self.width).transpose(0, 1)

    def rows(self, x: Tensor, batch: int) -> Tensor:
        """(H, B · n, c) → (B, H · n, c)."""
        return torch.unflatten(x, 1, (batch, -1)).transpose(0, 1).flatten(1, 2)

    def matrices(self, weight: Tensor) -> Tensor:
        """Weight (H · d, C) of a projection → (H, d, C)."""
        return torch.unflatten(weight.detach(), 0, (self.heads, self.width))


class TokensFromImage(_Heads):
    """Tokens attend to the image.

    What the positional encoding of the cells adds to the scores is projected once for all images:
    adding it to the cells themselves would write another 4 MB per prompt.
    """

    def __init__(self, attention: Attention, encoding: Tensor) -> None:
        super().__init__(attention)
        self._encoded = self.keys(encoding)
        self._keys = self.matrices(attention.k_proj.weight).contiguous()
        self._values = self.matrices(attention.v_proj.weight).transpose(1, 2).contiguous()

    def keys(self, placed: Tensor) -> Tensor:
        """Project cells (N, C) to keys (H, d, N). Their bias moves all scores of a token alike."""
        projected = linear(self.attention.k_proj.weight, placed)
        return torch.unflatten(projected, 0, (self.heads, self.width))

    def values(self, cells: Tensor) -> Tensor:
        """Project cells (N, C) to values (H, N, d), without their bias."""
        projected = linear(cells, self.attention.v_proj.weight)
        return torch.unflatten(projected, 1, (self.heads, self.width)).transpose(0, 1).contiguous()

    def projected(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from tokens (B, n, C) to keys and values that all prompts share; (B, n, C)."""
        queries = self.split(self.attention.q_proj(x)) * self.scale
        found = torch.bmm(torch.bmm(queries, keys).softmax(-1), values)
        return self._out(found, x)

    def folded(self, x: Tensor, cells: list[Tensor]) -> Tensor:
        """Attend from tokens (B, n, C), each prompt to its own cells (N, C); (B, n, C)."""
        queries = self.split(self.attention.q_proj(x)) * self.scale
        rows = self.rows(torch.bmm(queries, self._keys), len(x))
        by_prompt = torch.unflatten(queries, 1, (len(x), -1))
        taken = []
        for prompt, what in enumerate(cells):
            scores = torch.unflatten(linear(rows[prompt], what), 0, (self.heads, -1))
            scores.baddbmm_(by_prompt[:, prompt], self._encoded)
            taken.append(linear(scores.softmax(-1).flatten(0, 1), what.T))
        by_head = torch.unflatten(torch.stack(taken), 1, (self.heads, -1)).transpose(0, 1)
        return self._out(torch.bmm(by_head.flatten(1, 2), self._values), x)

    def _out(self, found: Tensor, x: Tensor) -> Tensor:
        """(H, B · n, d) → (B, n, C)."""
        joined = found.transpose(0, 1).reshape(*x.shape[:2], -1)
        # The weights of a token sum to one: it takes the bias of the values once.
        out: Tensor = self.attention.out_proj(joined + self.attention.v_proj.bias)
        return out


class ImageFromTokens(_Heads):
    """The image attends to tokens; what its positional encoding adds is projected once."""

    def __init__(self, attention: Attention, encoding: Tensor) -> None:
        super().__init__(attention)
        weight, bias = attention.q_proj.weight, attention.q_proj.bias
        self._queries = (self.matrices(weight) * self.scale).contiguous()
        self._query_bias = (bias.detach().view(self.heads, self.width, 1) * self.scale).contiguous()
        self._out = self.matrices(attention.out_proj.weight.T).contiguous()
        # The weights of a cell sum to one in each head, so that it gets all of this bias.
        self._out_bias = attention.out_proj.bias.detach() / self.heads
        self._encoded = self.queries(encoding)  # with the bias of the queries

    def queries(self, placed: Tensor) -> Tensor:
        """Project cells (N, C) to scaled queries (H, d, N)."""
        projected = linear(self.attention.q_proj.weight, placed)
        return (
            torch.unflatten(projected, 0, (self.heads, self.width)) * self.scale + self._query_bias
        )

    def projected(self, placed: Tensor, x: Tensor, queries: Tensor, cells: Tensor) -> list[Tensor]:
        """Let queries that all prompts share attend to tokens; the cells (N, C) plus the answers.

        `placed` and `x`, (B, n, C), are the tokens with and without their encoding.
        """
        keys = torch.unflatten(self.split(self.attention.k_proj(placed)), 1, (len(x), -1))
        rows = self._taken(x)
        answers = []
        for prompt, values in enumerate(rows):
            weights = torch.bmm(keys[:, prompt], queries).softmax(1).flatten(0, 1)
            answers.append(linear(weights.T, values.T).add_(cells))
        return answers

    def folded(self, placed: Tensor, x: Tensor, cells: list[Tensor]) -> list[Tensor]:
        """Let each prompt's own cells (N, C) attend to its tokens; the cells plus the answers."""
        keys = self.split(self.attention.k_proj(placed))
        rows = self.rows(torch.bmm(keys, self._queries), len(x))
        by_prompt = torch.unflatten(keys, 1, (len(x), -1))
        values = self._taken(x)
        answers = []
        for prompt, what in enumerate(cells):
            scores = torch.unflatten(linear(rows[prompt], what), 0, (self.heads, -1))
            scores.baddbmm_(by_prompt[:, prompt], self._encoded)
            weights = scores.softmax(1).flatten(0, 1)
            answers.append(linear(weights.T, values[prompt].T).add_(what))
        return answers

    def _taken(self, x: Tensor) -> Tensor:
        """What a cell gets of each token in each head, (B, H · n, C)."""
        values = self.split(self.attention.v_proj(x))
        return self.rows(torch.bmm(values, self._out), len(x)) + self._out_bias

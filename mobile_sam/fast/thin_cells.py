"""What the thin form does for the cells of the image: some of them, and one prompt, at a time.

Formulas and shapes are those of `thin`. Cells are the last axis where they are only weighed, as
torch's softmax is fast there. What tokens score the cells with are logarithms to the base of 2, for
which their queries are scaled: exp2 takes a quarter of the time of torch's exp, which is MKL's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .linear import linear


@dataclass(frozen=True, slots=True, eq=False)
class ImagePart:
    """What is known of some cells of an image before any prompt: 8 KB for each.

    Attributes
    ----------
    keys0, queries0
        Projections in the first block, (H, d, N); `values0` (H, N, d).
    square1, answers1
        |R|² (N), and twice the products of R with what the image may take from tokens, (H, d, N).
    keys1, queries1, values1
        Projections of R in the second block.
    square2, offset2, answers2
        |S|² and 2 S · c, (N), and twice the products of S with what may be taken in both blocks,
        (2H, d, N).
    keys2, values2
        Projections of S in the last attention.
    upscaled, first
        (N, 4c): S through the first step of the upscaling, without its bias; a copy of its first c
        columns.
    encoded_keys1, encoded_queries1, encoded_keys2
        Of the positional encoding and biases, (H, d, N): the same for all images.
    """

    keys0: Tensor
    queries0: Tensor
    values0: Tensor
    square1: Tensor
    answers1: Tensor
    keys1: Tensor
    queries1: Tensor
    values1: Tensor
    square2: Tensor
    offset2: Tensor
    answers2: Tensor
    keys2: Tensor
    values2: Tensor
    upscaled: Tensor
    first: Tensor
    encoded_keys1: Tensor
    encoded_queries1: Tensor
    encoded_keys2: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ThinCells:
    """Some cells after the transformer, for one prompt.

    Attributes
    ----------
    weights
        (N, 2 H n): D1 · W1 and W2.
    scale1, scale2
        D1 and D2, (N).
    """

    weights: Tensor
    scale1: Tensor
    scale2: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """Some cells between the two blocks: D1 W1 in both layouts, and D1."""

    weights: Tensor  # (H n, N)
    by_cell: Tensor  # (N, 2 H n), the second half still empty
    scale: Tensor


def first_look(part: ImagePart, asked: Tensor) -> Tensor:
    """Look with queries (H, n, d) at the bare image."""
    scores = torch.bmm(asked, part.keys0)
    highest = scores.amax(-1, keepdim=True)
    shares = scores.sub_(highest).exp2_()
    total, taken = shares.sum(-1, keepdim=True), torch.bmm(shares, part.values0)
    return torch.cat([highest, total, taken], -1)


@dataclass(frozen=True, slots=True, eq=False)
class FirstBlock:
    """The cells look at the tokens of a prompt, and the tokens look again.

    Attributes
    ----------
    keys, values, asked
        Of the first block's tokens, and queries of the second, (H, n, d).
    products
        (2 H n, H n): A1 A1^T, and the second look's queries with A1.
    channels, norm_eps
        Of the norm in between.
    """

    keys: Tensor
    values: Tensor
    asked: Tensor
    products: Tensor
    channels: int
    norm_eps: float

    def __call__(self, part: ImagePart) -> tuple[Between, Tensor]:
        rows = self.keys.shape[0] * self.keys.shape[1]
        shares = torch.bmm(self.keys, part.queries0).softmax(1).flatten(0, 1)  # W1
        by_cell = shares.T.contiguous()
        known = linear(by_cell, self.products)
        square = (known[:, :rows] * by_cell).sum(1).add_(part.square1)
        crossed = torch.bmm(self.values, part.answers1).flatten(0, 1)
        square += crossed.mul_(shares).sum(0)
        scale = _norm_scale(square, self.channels, self.norm_eps)
        weights = shares.mul_(scale)
        wide = weights.new_empty(len(scale), 2 * rows)
        torch.mul(by_cell, scale[:, None], out=wide[:, :rows])

        scores = torch.bmm(self.asked, part.keys1)
        scores.view(rows, -1).add_(known[:, rows:].T)
        scores.mul_(scale).baddbmm_(self.asked, part.encoded_keys1)
        highest = scores.amax(-1, keepdim=True)
        looked = scores.sub_(highest).exp2_()
        total = looked.sum(-1, keepdim=True)
        sums = torch.unflatten(looked.view(rows, -1) @ weights.T, 0, scores.shape[:2])
        taken = torch.bmm(looked.mul_(scale), part.values1)
        return Between(weights, wide, scale), torch.cat([highest, total, taken, sums], -1)


@dataclass(frozen=True, slots=True, eq=False)
class SecondBlock:
    """The same in the second block, and the last look of the tokens that matter.

    Attributes
    ----------
    keys
        Of the second block's tokens, (H, n, d).
    crossed
        (H n, H n): these keys with A1.
    values
        (2H, n, d): of both blocks.
    asked
        Queries of the last look, (H, r, d).
    products, offset
        (2 H n + H r, 2 H n): vectors and queries with vectors; and with c, twice for the vectors.
    channels, norm_eps, constant_square
        Of the norm, and |c|².
    """

    keys: Tensor
    crossed: Tensor
    values: Tensor
    asked: Tensor
    products: Tensor
    offset: Tensor
    channels: int
    norm_eps: float
    constant_square: float

    def __call__(self, part: ImagePart, between: Between) -> tuple[ThinCells, Tensor]:
        heads, count = self.keys.shape[:2]
        rows, scale1 = heads * count, between.scale
        scores = torch.bmm(self.keys, part.queries1).mul_(scale1)
        scores.baddbmm_(self.keys, part.encoded_queries1)
        scores.view(rows, -1).addmm_(self.crossed, between.weights)
        shares = scores.softmax(1).view(rows, -1)  # W2
        by_cell = between.by_cell
        # By way of a copy: torch takes three times as long to turn what it does not write in one.
        by_cell[:, rows:] = shares.T.contiguous()

        known = linear(by_cell, self.products, self.offset)
        square = (known[:, : 2 * rows] * by_cell).sum(1)
        crossed = torch.bmm(self.values, part.answers2)
        first = crossed[:heads].view(rows, -1).mul_(between.weights).sum(0)
        first.add_(crossed[heads:].view(rows, -1).mul_(shares).sum(0))
        # D1 · (2 S · c + D1 |S|² + the products of S with the sums)
        square.add_(first.add_(part.offset2).addcmul_(scale1, part.square2).mul_(scale1)).add_(
            self.constant_square
        )
        scale2 = _norm_scale(square, self.channels, self.norm_eps)

        scores = torch.bmm(self.asked, part.keys2).mul_(scale1)
        scores.view(-1, len(scale1)).add_(known[:, 2 * rows :].T)
        scores.mul_(scale2).baddbmm_(self.asked, part.encoded_keys2)
        highest = scores.amax(-1, keepdim=True)
        looked = scores.sub_(highest).exp2_()
        total = looked.sum(-1, keepdim=True)
        looked.mul_(scale2)
        flat = looked.view(-1, len(scale1))
        of_constant = flat.sum(1, keepdim=True)
        sums = torch.cat([flat @ between.weights.T, flat @ shares.T, of_constant], 1)
        taken = torch.bmm(looked.mul_(scale1), part.values2)
        sums = torch.unflatten(sums, 0, scores.shape[:2])
        return ThinCells(by_cell, scale1, scale2), torch.cat([highest, total, taken, sums], -1)


def _norm_scale(square: Tensor, channels: int, eps: float) -> Tensor:
    """Turn the square of the length about the mean into the factor of a norm, in place."""
    return square.mul_(1 / channels).add_(eps).rsqrt_()

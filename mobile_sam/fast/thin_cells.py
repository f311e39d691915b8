"""What the thin form does for the cells of the image: some of them, and one prompt, at a time.

Formulas and shapes are those of `thin`. Cells are the last axis wherever they are weighed, so that
nothing has to be turned. Scores are logarithms to the base of 2, for which queries are scaled: exp2
takes a third of the time of torch's exp, which is MKL's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
        (2 H n, N): D1 · W1 and W2.
    scale1, scale2
        D1 and D2, (N).
    """

    weights: Tensor
    scale1: Tensor
    scale2: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """Some cells between the two blocks: D1 · W1 and D1."""

    weights: Tensor  # (2 H n, N), the second half still empty
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
        shape = (*self.keys.shape[:2], len(part.square1))
        rows = shape[0] * shape[1]
        # Both blocks' weights lie together from the start.
        weights = part.square1.new_empty(2 * rows, shape[2])
        shares = weights[:rows]
        _weigh(torch.bmm(self.keys, part.queries0), shares.view(shape))  # W1
        crossed = torch.bmm(self.values, part.answers1).view(rows, -1)
        crossed.addmm_(self.products[:rows], shares)
        square = crossed.mul_(shares).sum(0).add_(part.square1)

        scores = torch.bmm(self.asked, part.keys1)
        scores.view(rows, -1).addmm_(self.products[rows:], shares)
        scale = _norm_scale(square, self.channels, self.norm_eps)
        shares.mul_(scale)
        scores.mul_(scale).baddbmm_(self.asked, part.encoded_keys1)
        highest = scores.amax(-1, keepdim=True)
        looked = scores.sub_(highest).exp2_()
        total = looked.sum(-1, keepdim=True)
        sums = torch.unflatten(looked.view(rows, -1) @ shares.T, 0, shape[:2])
        taken = torch.bmm(looked.mul_(scale), part.values1)
        return Between(weights, scale), torch.cat([highest, total, taken, sums], -1)


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
    products
        (2 H n + H r, 2 H n): vectors and queries with vectors. Those with c (of vectors, twice) are
        in the columns of one head, whose weights sum to one. Those of B1 with A2 are there twice,
        and nothing is read where A2 meets B1: what is wanted of vectors is symmetrical.
    channels, norm_eps, constant_square
        Of the norm, and |c|².
    """

    keys: Tensor
    crossed: Tensor
    values: Tensor
    asked: Tensor
    products: Tensor
    channels: int
    norm_eps: float
    constant_square: float

    def __call__(self, part: ImagePart, between: Between) -> tuple[ThinCells, Tensor]:
        shape = (*self.keys.shape[:2], len(part.square2))
        rows, scale1, weights = shape[0] * shape[1], between.scale, between.weights
        scores = torch.bmm(self.keys, part.queries1).mul_(scale1)
        scores.baddbmm_(self.keys, part.encoded_queries1)
        scores.view(rows, -1).addmm_(self.crossed, weights[:rows])
        shares = weights[rows:]
        _weigh(scores, shares.view(shape))  # W2

        # D1 · the products of S with the sums, and the sums' own square
        crossed = torch.bmm(self.values, part.answers2).view(2 * rows, -1).mul_(scale1)
        crossed[:rows].addmm_(self.products[:rows], weights)
        crossed[rows:].addmm_(self.products[rows : 2 * rows, rows:], shares)
        square = crossed.mul_(weights).sum(0)
        # D1 · (2 S · c + D1 |S|²) + |c|²
        square.add_(torch.addcmul(part.offset2, scale1, part.square2).mul_(scale1))
        scale2 = _norm_scale(square.add_(self.constant_square), self.channels, self.norm_eps)

        scores = torch.bmm(self.asked, part.keys2).mul_(scale1)
        scores.view(-1, shape[2]).addmm_(self.products[2 * rows :], weights)
        scores.mul_(scale2).baddbmm_(self.asked, part.encoded_keys2)
        highest = scores.amax(-1, keepdim=True)
        looked = scores.sub_(highest).exp2_()
        total = looked.sum(-1, keepdim=True)
        looked.mul_(scale2)
        sums = torch.unflatten(looked.view(-1, shape[2]) @ weights.T, 0, scores.shape[:2])
        of_constant = looked.sum(-1, keepdim=True)
        taken = torch.bmm(looked.mul_(scale1), part.values2)
        found = torch.cat([highest, total, taken, sums, of_constant], -1)
        return ThinCells(weights, scale1, scale2), found


def _weigh(scores: Tensor, shares: Tensor) -> None:
    """Write the softmax of scores, (H, n, N), among the tokens, to the base of 2."""
    torch.sub(scores, scores.amax(1, keepdim=True), out=shares)
    shares.exp2_()
    shares.div_(shares.sum(1, keepdim=True))


def _norm_scale(square: Tensor, channels: int, eps: float) -> Tensor:
    """Turn the square of the length about the mean into the factor of a norm, in place."""
    return square.mul_(1 / channels).add_(eps).rsqrt_()

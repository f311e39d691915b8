"""The two-way transformer without the picture that each prompt makes of the image.

After a block a cell of the image is, up to a scale of its own, the cell as it was before plus a sum
of a few vectors, one for each token and head. Where the first block found the bare image, both are
known without writing the sum out:

- Products with the cells (keys, queries, values, the first step of the upscaling) are those with
  the bare image, computed once per image, plus those with the few vectors.
- Layer normalisation needs the length of each sum about its mean. The mean is taken out of all that
  is summed beforehand; the square of the length is a quadratic form of the weights.

In formulas, with the centred image R (N, C), attention weights W (N, H · n), and vectors A
(H · n, C), the cells after the first block are

    D1 · (R + W1 A1) · g1 + b1,   D1 = (|R + W1 A1|² / C + eps)^-1/2

and after the second, with S = R · g1 and B1 = A1 · g1 centred,

    D2 · (D1 · (S + W1 B1) + W2 A2 + c) · g2 + b2.

So a prompt needs a third of the products, and 2.7 MB instead of 8. It holds for two blocks, without
mask prompts (the first block then finds an image of the prompt's own), and pays for up to a dozen
tokens.

Shapes: B prompts, n tokens, N image cells, H heads of width d, C channels; r tokens that matter at
the end. Cells are the last axis where they are only weighed, as torch's softmax is fast there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from mobile_sam.modeling.common import MLPBlock
from mobile_sam.modeling.transformer import TwoWayAttentionBlock, TwoWayTransformer

from .attention import Heads, among_tokens, think
from .crew import Crew
from .linear import linear

S = TypeVar('S')

# With more tokens the sums have as many terms as there are channels.
MOST_TOKENS = 12


@dataclass(frozen=True, slots=True, eq=False)
class ImagePart:
    """What is known of some cells of an image before any prompt: 8 KB for each.

    Attributes
    ----------
    keys0, queries0
        Projections in the first block, (H, d, N); `values0` (H, N, d).
    square1, answers1
        |R|² (N), and the products of R with what the image may take from tokens, (H, d, N).
    keys1, queries1, values1
        Projections of R in the second block.
    square2, offset2, answers2
        |S|² and 2 S · c, (N), and products of S with what may be taken in both blocks, (2H, d, N).
    keys2, values2
        Projections of S in the last attention.
    upscaled
        (N, 4c): S through the first step of the upscaling, without its bias.
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
class Seen:
    """What the transformer leaves of one prompt.

    Attributes
    ----------
    vectors
        (2 H n + 1, C): B1, A2 and c.
    cells
        By part of the image.
    """

    vectors: Tensor
    cells: list[ThinCells]


class ThinTransformer:
    """Inference form of a `TwoWayTransformer` of two blocks.

    Parameters
    ----------
    transformer
        Its weights are read.
    encoding
        (N, C): positional encoding of the cells.
    first_step
        (4c, C): weight of the first step of the upscaling.
    crew
        Shares the cells.
    """

    def __init__(
        self, transformer: TwoWayTransformer, encoding: Tensor, first_step: Tensor, crew: Crew
    ) -> None:
        self._crew = crew
        self._blocks = [cast(TwoWayAttentionBlock, layer) for layer in transformer.layers]
        first, second = self._blocks
        self._mlps = [_SharedMLP(block.mlp, crew) for block in self._blocks]
        self._norm = transformer.norm_final_attn
        self._from_image = [
            Heads(first.cross_attn_token_to_image),
            Heads(second.cross_attn_token_to_image),
            Heads(transformer.final_attn_token_to_image),
        ]
        self._from_tokens = [
            Heads(first.cross_attn_image_to_token),
            Heads(second.cross_attn_image_to_token),
        ]
        self._encoding = encoding
        gain1, bias1 = first.norm4.weight.detach(), first.norm4.bias.detach()
        gain2, bias2 = second.norm4.weight.detach(), second.norm4.bias.detach()
        self._gain1 = gain1

        # What a cell takes of a token, by head: centred, as its mean would be taken out anyway.
        self._out1, self._out2 = (
            _centred(heads.attention.out_proj.weight.detach().T).contiguous()
            for heads in self._from_tokens
        )
        self._bias_out1 = self._from_tokens[0].attention.out_proj.bias.detach()
        constant = bias1 + self._from_tokens[1].attention.out_proj.bias.detach()
        self._constant = _centred(constant[None])
        self._constant_square = float((self._constant * self._constant).sum())

        # Projections of what the norms make of the cells: their gain goes into the weights.
        looking, answering, last = self._from_image[1], self._from_tokens[1], self._from_image[2]
        self._key1 = looking.attention.k_proj.weight.detach() * gain1
        self._value1 = looking.attention.v_proj.weight.detach() * gain1
        self._query1 = answering.attention.q_proj.weight.detach() * gain1 * answering.scale
        self._key2 = last.attention.k_proj.weight.detach() * gain2
        self._value2 = last.attention.v_proj.weight.detach() * gain2
        self._first_step = first_step * gain2
        # What the second norm's bias adds behind the first step of the upscaling, (4c).
        self._first_step_offset = first_step @ bias2
        self._value_bias0 = self._from_image[0].attention.v_proj.bias.detach()
        self._value_bias1 = _bias_of_values(looking, bias1)
        self._value_bias2 = _bias_of_values(last, bias2)
        self._encoded_keys1 = looking.columns(
            linear(encoding + bias1, looking.attention.k_proj.weight)
        )
        self._encoded_queries1 = answering.columns(
            linear(
                encoding + bias1, answering.attention.q_proj.weight, answering.attention.q_proj.bias
            )
            * answering.scale
        )
        self._encoded_keys2 = last.columns(linear(encoding + bias2, last.attention.k_proj.weight))

    def image(self, cells: Tensor, width: int) -> list[ImagePart]:
        """Prepare the cells (N, C) of an image, by part of whole rows of so many cells."""
        rows = -(-len(cells) // (width * self._crew.size))
        parts = [slice(at, at + rows * width) for at in range(0, len(cells), rows * width)]
        return self._crew.share(lambda part: self._part(cells, part), parts)

    def _part(self, cells: Tensor, part: slice) -> ImagePart:
        first, second, last = self._from_image
        answer1 = self._from_tokens[0]
        cells = cells[part]
        placed = cells + self._encoding[part]
        bare = _centred(cells + self._bias_out1)
        gained = _centred(bare * self._gain1)
        queries0 = linear(placed, answer1.attention.q_proj.weight, answer1.attention.q_proj.bias)
        answers2 = [
            answer1.columns(linear(gained, out)) for out in (self._out1 * self._gain1, self._out2)
        ]
        return ImagePart(
            keys0=first.columns(linear(placed, first.attention.k_proj.weight)),
            queries0=answer1.columns(queries0 * answer1.scale),
            values0=first.rows(linear(cells, first.attention.v_proj.weight)),
            square1=(bare * bare).sum(1),
            answers1=answer1.columns(linear(bare, self._out1)),
            keys1=second.columns(linear(bare, self._key1)),
            queries1=second.columns(linear(bare, self._query1)),
            values1=second.rows(linear(bare, self._value1)),
            square2=(gained * gained).sum(1),
            offset2=2 * (gained @ self._constant[0]),
            answers2=torch.cat(answers2),
            keys2=last.columns(linear(gained, self._key2)),
            values2=last.rows(linear(gained, self._value2)),
            upscaled=linear(gained, self._first_step),
            encoded_keys1=self._encoded_keys1[:, :, part].contiguous(),
            encoded_queries1=self._encoded_queries1[:, :, part].contiguous(),
            encoded_keys2=self._encoded_keys2[:, :, part].contiguous(),
        )

    def __call__(
        self, tokens: Tensor, image: list[ImagePart], rows: list[int]
    ) -> tuple[Tensor, list[Seen]]:
        """Let tokens (B, n, C) and an image see each other.

        Returns
        -------
        tokens : Tensor
            (B, r, C): those in `rows`.
        seen : list of Seen
            The image, by prompt.
        """
        first, second = self._blocks
        batch, channels = len(tokens), tokens.shape[2]
        look0, look1, look2 = self._from_image
        answer1, answer2 = self._from_tokens

        queries = among_tokens(first, tokens, tokens)
        asked0 = look0.queries(queries + tokens)
        (taken,) = self._looked(lambda part: [_first_look(part, one) for one in asked0], image)
        queries = think(first, queries, look0.out(taken, self._value_bias0), self._mlps[0])

        keys = answer1.by_head(answer1.attention.k_proj(queries + tokens))
        values1 = answer1.by_head(answer1.attention.v_proj(queries))
        vectors1 = _per_head(values1, self._out1)  # A1
        queries = among_tokens(second, queries, tokens)
        asked1 = look1.queries(queries + tokens)
        looks = torch.cat([vectors1, _per_head(asked1, self._key1)], 1)
        steps1 = [
            _Step1(*each, channels, first.norm4.eps)
            for each in zip(keys, 2 * values1, asked1, looks @ vectors1.mT, strict=True)
        ]
        between: list[list[_Between]] = [[] for _ in image]

        def second_look(number: int) -> list[tuple[Tensor, ...]]:
            found = [step(image[number]) for step in steps1]
            between[number].extend(state for state, _ in found)
            return [looked for _, looked in found]

        taken, sums = self._looked(second_look, range(len(image)))
        taken = taken + self._of_sums(look1, sums, vectors1, self._value1)
        queries = think(second, queries, look1.out(taken, self._value_bias1), self._mlps[1])

        keys = answer2.by_head(answer2.attention.k_proj(queries + tokens))
        values2 = answer2.by_head(answer2.attention.v_proj(queries))
        wanted = queries[:, rows]
        asked2 = look2.queries(wanted + tokens[:, rows])
        vectors = torch.cat(
            [
                _centred(vectors1 * self._gain1),  # B1
                _per_head(values2, self._out2),  # A2
                self._constant.expand(batch, -1, -1),
            ],
            1,
        )
        looks = torch.cat([vectors[:, :-1], _per_head(asked2, self._key2)], 1)
        steps2 = [
            _Step2(*each, channels, second.norm4.eps, self._constant_square)
            for each in zip(
                keys,
                _per_head(keys, self._query1) @ vectors1.mT,
                2 * torch.cat([values1, values2], 1),
                asked2,
                looks @ vectors.mT,
                strict=True,
            )
        ]
        cells: list[list[ThinCells]] = [[] for _ in image]

        def last_look(number: int) -> list[tuple[Tensor, ...]]:
            found = [
                step(image[number], state)
                for step, state in zip(steps2, between[number], strict=True)
            ]
            cells[number].extend(state for state, _ in found)
            return [looked for _, looked in found]

        taken, sums = self._looked(last_look, range(len(image)))
        taken = taken + self._of_sums(look2, sums, vectors, self._value2)
        wanted = self._norm(wanted + look2.out(taken, self._value_bias2))
        seen = [Seen(vectors[prompt], [part[prompt] for part in cells]) for prompt in range(batch)]
        return wanted, seen

    def first_step(
        self, seen: Seen, bias: Tensor
    ) -> Callable[[ImagePart, ThinCells, slice | Tensor, slice], Tensor]:
        """Prepare the first step of the upscaling, with its bias (4c), for what a prompt left.

        It is then to be had for some cells (rows) of a part of the image, and some columns.
        """
        through = seen.vectors @ self._first_step.T
        weight, offset = through[:-1].T.contiguous(), through[-1]
        constant = bias + self._first_step_offset

        def step(bare: ImagePart, cells: ThinCells, rows: slice | Tensor, columns: slice) -> Tensor:
            own = linear(cells.weights[rows], weight[columns], offset[columns])
            own.addcmul_(bare.upscaled[rows][:, columns], cells.scale1[rows, None])
            return torch.addcmul(constant[columns], own, cells.scale2[rows, None])

        return step

    def _looked(
        self, look: Callable[[S], list[tuple[Tensor, ...]]], parts: Sequence[S]
    ) -> list[Tensor]:
        """Let tokens look at all parts; join what they take of each, (B, H, n, ·).

        A part gives, by prompt, the highest scores (H, n, 1), the sums of the exponentials, and
        sums that these weigh: with the highest scores of all parts they can be added up.
        """
        by_part = self._crew.share(look, parts)
        highest, total, *sums = (
            torch.stack([torch.stack(values) for values in each])
            for each in zip(*(zip(*prompts, strict=True) for prompts in by_part), strict=True)
        )
        weights = (highest - highest.amax(0)).exp_()
        weights /= (weights * total).sum(0)
        return [(weights * each).sum(0) for each in sums]

    def _of_sums(self, heads: Heads, sums: Tensor, vectors: Tensor, weight: Tensor) -> Tensor:
        """Project sums of vectors, by their weights (B, H, n, ·), to values (B, H, n, d)."""
        summed = sums.flatten(1, 2) @ vectors
        return torch.unflatten(summed, 1, sums.shape[1:3]) @ heads.matrices(weight).mT


class _SharedMLP:
    """An MLP whose hidden units a crew shares: its weights are 4 MB, and reading them is the work.

    Parameters
    ----------
    mlp
        Its weights are read where they are.
    crew
        Divides the hidden units.
    """

    def __init__(self, mlp: MLPBlock, crew: Crew) -> None:
        self._act, self._bias, self._crew = mlp.act, mlp.lin2.bias.detach(), crew
        self._shares = list(
            zip(
                mlp.lin1.weight.detach().chunk(crew.size),
                mlp.lin1.bias.detach().chunk(crew.size),
                mlp.lin2.weight.detach().chunk(crew.size, dim=1),
                strict=True,
            )
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, n, C) to the same shape."""

        def some(share: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            inwards, bias, outwards = share
            return F.linear(self._act(F.linear(x, inwards, bias)), outwards)

        first, *others = self._crew.share(some, self._shares)
        return sum(others, first + self._bias)


@dataclass(frozen=True, slots=True, eq=False)
class _Between:
    """Some cells between the two blocks: D1 W1 in both layouts, and D1."""

    weights: Tensor  # (H n, N)
    by_cell: Tensor  # (N, 2 H n), the second half still empty
    scale: Tensor


def _first_look(part: ImagePart, asked: Tensor) -> tuple[Tensor, ...]:
    """Look with queries (H, n, d) at the bare image."""
    scores = torch.bmm(asked, part.keys0)
    highest = scores.amax(-1, keepdim=True)
    shares = scores.sub_(highest).exp_()
    return highest, shares.sum(-1, keepdim=True), torch.bmm(shares, part.values0)


@dataclass(frozen=True, slots=True, eq=False)
class _Step1:
    """The cells look at the tokens of a prompt, and the tokens look again.

    Attributes
    ----------
    keys, values, asked
        Of the first block's tokens, twice the values, and queries of the second, (H, n, d).
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

    def __call__(self, part: ImagePart) -> tuple[_Between, tuple[Tensor, ...]]:
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
        looked = scores.sub_(highest).exp_()
        total = looked.sum(-1, keepdim=True)
        sums = torch.unflatten(looked.view(rows, -1) @ weights.T, 0, scores.shape[:2])
        taken = torch.bmm(looked.mul_(scale), part.values1)
        return _Between(weights, wide, scale), (highest, total, taken, sums)


@dataclass(frozen=True, slots=True, eq=False)
class _Step2:
    """The same in the second block, and the last look of the tokens that matter.

    Attributes
    ----------
    keys
        Of the second block's tokens, (H, n, d).
    crossed
        (H n, H n): these keys with A1.
    values
        (2H, n, d): twice the values of both blocks.
    asked
        Queries of the last look, (H, r, d).
    products
        (2 H n + H r, 2 H n + 1): vectors and queries with vectors.
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

    def __call__(self, part: ImagePart, between: _Between) -> tuple[ThinCells, tuple[Tensor, ...]]:
        heads, count = self.keys.shape[:2]
        rows, scale1 = heads * count, between.scale
        scores = torch.bmm(self.keys, part.queries1).mul_(scale1)
        scores.baddbmm_(self.keys, part.encoded_queries1)
        scores.view(rows, -1).addmm_(self.crossed, between.weights)
        shares = scores.softmax(1).view(rows, -1)  # W2
        by_cell = between.by_cell
        by_cell[:, rows:] = shares.T

        # The constant's share of all this is the same in each cell.
        offset = self.products[:, -1].clone()
        offset[: 2 * rows] *= 2
        known = linear(by_cell, self.products[:, :-1].contiguous(), offset)
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
        looked = scores.sub_(highest).exp_()
        total = looked.sum(-1, keepdim=True)
        looked.mul_(scale2)
        flat = looked.view(-1, len(scale1))
        of_constant = flat.sum(1, keepdim=True)
        sums = torch.cat([flat @ between.weights.T, flat @ shares.T, of_constant], 1)
        taken = torch.bmm(looked.mul_(scale1), part.values2)
        sums = torch.unflatten(sums, 0, scores.shape[:2])
        return ThinCells(by_cell, scale1, scale2), (highest, total, taken, sums)


def _norm_scale(square: Tensor, channels: int, eps: float) -> Tensor:
    """Turn the square of the length about the mean into the factor of a norm, in place."""
    return square.mul_(1 / channels).add_(eps).rsqrt_()


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _per_head(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply (B, H, n, d) by the heads' rows of a weight (H d, C): (B, H n, C)."""
    return (x @ torch.unflatten(weight, 0, (x.shape[1], -1))).flatten(1, 2)


def _bias_of_values(heads: Heads, norm_bias: Tensor) -> Tensor:
    """Give what a token takes of the biases, as the weights of all cells sum to one."""
    projection = heads.attention.v_proj
    return (projection.bias + projection.weight @ norm_bias).detach()

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
the end. What is done for the cells is in `thin_cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import e, log2
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from mobile_sam.modeling.common import MLPBlock
from mobile_sam.modeling.transformer import TwoWayAttentionBlock, TwoWayTransformer

from .attention import AmongTokens, Heads, Together, normed, think, turned
from .crew import Crew
from .linear import linear
from .thin_cells import Between, FirstBlock, ImagePart, SecondBlock, ThinCells, first_look
from .upscaling import FirstStep

S = TypeVar('S')

# With more tokens the sums have as many terms as there are channels.
MOST_TOKENS = 12
# Scores of the cells are logarithms to the base of 2; see `thin_cells`.
_BITS = log2(e)
# Of hidden units of an MLP, in the share of each member.
_GROUPS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the transformer leaves of one prompt.

    Attributes
    ----------
    upscaled
        (2 H n, 4c): B1 and A2 through the first step of the upscaling, and c, in one head's rows.
    cells
        By part of the image.
    also
        What else was done with each part at once.
    """

    upscaled: Tensor
    cells: list[ThinCells]
    also: list[Tensor]


class ThinTransformer:
    """Inference form of a `TwoWayTransformer` of two blocks.

    Parameters
    ----------
    transformer
        Its weights are read.
    encoding
        (N, C): positional encoding of the cells.
    first_step, first_bias
        (4c, C) and (4c): weight and bias of the first step of the upscaling.
    crew
        Shares the cells.
    """

    def __init__(
        self,
        transformer: TwoWayTransformer,
        encoding: Tensor,
        first_step: Tensor,
        first_bias: Tensor,
        crew: Crew,
    ) -> None:
        self._crew = crew
        self._blocks = [cast(TwoWayAttentionBlock, layer) for layer in transformer.layers]
        first, second = self._blocks
        self._among = [AmongTokens(block) for block in self._blocks]
        self._mlps = [_SharedMLP(block.mlp, crew) for block in self._blocks]
        self._norm = transformer.norm_final_attn
        looks = [
            first.cross_attn_token_to_image,
            second.cross_attn_token_to_image,
            transformer.final_attn_token_to_image,
        ]
        self._from_image = [Heads(attention) for attention in looks]
        self._from_tokens = [
            Heads(first.cross_attn_image_to_token),
            Heads(second.cross_attn_image_to_token),
        ]
        self._encoding = encoding
        gain1, bias1 = first.norm4.weight.detach(), first.norm4.bias.detach()
        gain2, bias2 = second.norm4.weight.detach(), second.norm4.bias.detach()
        self._gain1 = gain1

        # What a cell takes of a token, by head: centred, as its mean would be taken out anyway.
        out1, out2 = (
            _centred(heads.attention.out_proj.weight.detach().T).contiguous()
            for heads in self._from_tokens
        )
        self._out1 = out1
        self._bias_out1 = self._from_tokens[0].attention.out_proj.bias.detach()
        gained_out1 = _centred(out1 * gain1)
        constant = bias1 + self._from_tokens[1].attention.out_proj.bias.detach()
        self._constant = _centred(constant[None])
        self._constant_square = float((self._constant * self._constant).sum())

        # Projections of what the norms make of the cells: their gain goes into the weights.
        looking, answering, last = self._from_image[1], self._from_tokens[1], self._from_image[2]
        scale = answering.scale * _BITS
        self._key1 = looking.attention.k_proj.weight.detach() * gain1
        self._value1 = looking.attention.v_proj.weight.detach() * gain1
        self._query1 = answering.attention.q_proj.weight.detach() * gain1 * scale
        self._key2 = last.attention.k_proj.weight.detach() * gain2
        self._value2 = last.attention.v_proj.weight.detach() * gain2
        self._first_step = first_step * gain2
        self._quarter = slice(0, len(first_step) // 4)
        self._upscaled_constant = (self._constant @ self._first_step.T)[0]
        # What all cells get behind the first step of the upscaling, (4c).
        self._first_bias = first_bias + first_step @ bias2
        self._encoded_keys1 = looking.columns(
            linear(encoding + bias1, looking.attention.k_proj.weight)
        )
        self._encoded_queries1 = answering.columns(
            linear(
                encoding + bias1, answering.attention.q_proj.weight, answering.attention.q_proj.bias
            )
            * scale
        )
        self._encoded_keys2 = last.columns(linear(encoding + bias2, last.attention.k_proj.weight))

        # The tokens' side. What depends on them passes through the channels of the image only in
        # formulas: from the vectors of a head to those of another leads a matrix of (d, d).
        self._ask = [
            Together([heads.attention.q_proj], heads.scale * _BITS) for heads in self._from_image
        ]
        self._tell = [
            (turned(heads.attention.out_proj.weight.detach()), _bias_of_answer(heads, bias))
            for heads, bias in zip(self._from_image, (0 * bias1, bias1, bias2), strict=True)
        ]
        self._of_placed1 = Together([self._from_tokens[0].attention.k_proj, *self._among[1].placed])
        self._of_bare1 = Together([self._from_tokens[0].attention.v_proj, *self._among[1].bare])
        self._of_placed2 = Together([answering.attention.k_proj])
        self._of_bare2 = Together([answering.attention.v_proj])
        head = (answering.heads, -1)
        outs = torch.cat([gained_out1, out2])
        self._outs = outs
        self._pairs1 = torch.unflatten(
            torch.cat([out1 @ out1.T, self._key1 @ out1.T]), 0, (2 * answering.heads, -1)
        )
        self._back1 = torch.unflatten(out1 @ self._value1.T, 1, head).transpose(0, 1).contiguous()
        self._crossing = torch.unflatten(self._query1 @ out1.T, 0, head)
        with_constant = torch.cat([outs, self._constant]).T
        self._pairs2 = outs @ with_constant
        self._pairs2[:, -1] *= 2
        # What is symmetrical is asked for once.
        half = len(outs) // 2
        self._pairs2[:half, half:-1] *= 2
        self._pairs2 = torch.unflatten(self._pairs2, 0, (2 * answering.heads, -1))
        self._asked_pairs2 = torch.unflatten(self._key2 @ with_constant, 0, head)
        back2 = torch.unflatten(with_constant.T @ self._value2.T, 1, head).transpose(0, 1)
        self._back2, self._back_constant2 = back2[:, :-1].contiguous(), back2[:, -1:].contiguous()
        self._upscaling_of = torch.unflatten(
            outs @ self._first_step.T, 0, (2 * answering.heads, -1)
        )

    def image(self, cells: Tensor, width: int) -> list[ImagePart]:
        """Prepare the cells (N, C) of an image, by part of whole rows of so many cells."""
        parts = [
            slice(rows.start * width, rows.stop * width)
            for rows in self._crew.divided(len(cells) // width)
        ]
        return self._crew.share(lambda part: self._part(cells, part), parts)

    def _part(self, cells: Tensor, part: slice) -> ImagePart:
        first, second, last = self._from_image
        answer1 = self._from_tokens[0]
        cells = cells[part]
        placed = cells + self._encoding[part]
        bare = _centred(cells + self._bias_out1)
        gained = _centred(bare * self._gain1)
        queries0 = linear(placed, answer1.attention.q_proj.weight, answer1.attention.q_proj.bias)
        answers2 = torch.unflatten(
            linear(gained, 2 * self._outs).T.contiguous(), 0, (2 * answer1.heads, -1)
        )
        upscaled = linear(gained, self._first_step)
        return ImagePart(
            keys0=first.columns(linear(placed, first.attention.k_proj.weight)),
            queries0=answer1.columns(queries0 * (answer1.scale * _BITS)),
            values0=first.rows(linear(cells, first.attention.v_proj.weight)),
            square1=(bare * bare).sum(1),
            answers1=answer1.columns(linear(bare, 2 * self._out1)),
            keys1=second.columns(linear(bare, self._key1)),
            queries1=second.columns(linear(bare, self._query1)),
            values1=second.rows(linear(bare, self._value1)),
            square2=(gained * gained).sum(1),
            offset2=2 * (gained @ self._constant[0]),
            answers2=answers2,
            keys2=last.columns(linear(gained, self._key2)),
            values2=last.rows(linear(gained, self._value2)),
            upscaled=upscaled,
            first=upscaled[:, self._quarter].contiguous(),
            encoded_keys1=self._encoded_keys1[:, :, part].contiguous(),
            encoded_queries1=self._encoded_queries1[:, :, part].contiguous(),
            encoded_keys2=self._encoded_keys2[:, :, part].contiguous(),
        )

    def __call__(
        self,
        tokens: Tensor,
        image: list[ImagePart],
        rows: Tensor,
        also: Callable[[FirstStep], Tensor] | None = None,
    ) -> tuple[Tensor, list[Seen]]:
        """Let tokens (B, n, C) and an image see each other.

        What is `also` to be done with each part of the image, for each prompt, is done while it is
        at hand, and without another meeting of the crew.

        Returns
        -------
        tokens : Tensor
            (B, r, C): those in `rows`.
        seen : list of Seen
            The image, by prompt.
        """
        first, second = self._blocks
        channels = tokens.shape[2]
        look0, look1, look2 = self._from_image
        answer1, answer2 = self._from_tokens

        queries = self._among[0](tokens, tokens)
        (asked0,) = _by_head(self._ask[0](queries + tokens), look0)
        taken = self._looked(lambda part: [first_look(part, one) for one in asked0], image)
        queries = think(first, queries, self._told(0, taken), self._mlps[0])

        keys, *to_compare = self._of_placed1(queries + tokens)
        values, *to_tell = self._of_bare1(queries)
        keys1, values1 = _by_head([keys, values], answer1)
        queries = self._among[1].projected([*to_compare, *to_tell], queries)
        (asked1,) = _by_head(self._ask[1](queries + tokens), look1)
        # Products of A1, and of the queries as the image sees them, with A1.
        pairs = torch.cat([values1, asked1], 1) @ self._pairs1
        steps1 = [
            FirstBlock(*each, channels, first.norm4.eps)
            for each in zip(
                keys1, values1, asked1, _with(pairs.flatten(1, 2), values1), strict=True
            )
        ]
        between: list[list[Between]] = [[] for _ in image]

        def second_look(number: int) -> list[Tensor]:
            found = [step(image[number]) for step in steps1]
            between[number].extend(state for state, _ in found)
            return [looked for _, looked in found]

        looked = self._looked(second_look, range(len(image)))
        taken, sums = looked.tensor_split([look1.width], -1)
        taken = taken + _sums_of(sums, values1) @ self._back1
        queries = think(second, queries, self._told(1, taken), self._mlps[1])

        keys2, values2 = _by_head(
            [*self._of_placed2(queries + tokens), *self._of_bare2(queries)], answer2
        )
        wanted = queries.index_select(1, rows)
        (asked2,) = _by_head(self._ask[2](wanted + tokens.index_select(1, rows)), look2)
        values = torch.cat([values1, values2], 1)  # of B1 and A2
        pairs = torch.cat(
            [
                (values @ self._pairs2).flatten(1, 2),
                (asked2 @ self._asked_pairs2).flatten(1, 2),
            ],
            1,
        )
        crossed = _with((keys2 @ self._crossing).flatten(1, 2), values1)
        # The weights of a head sum to one: all cells get a constant alike from one head's tokens.
        heads, count = values1.shape[1:3]
        constant = slice(heads * count, (heads + 1) * count)
        products = _with(pairs[..., :-1], values)
        products[..., constant] += pairs[..., -1:]
        steps2 = [
            SecondBlock(*each, channels, second.norm4.eps, self._constant_square)
            for each in zip(keys2, crossed, values, asked2, products, strict=True)
        ]
        upscaled = (values @ self._upscaling_of).flatten(1, 2)
        upscaled[:, constant] += self._upscaled_constant
        seen = [Seen(one, [], []) for one in upscaled]
        cells: list[list[ThinCells]] = [[] for _ in image]
        done: list[list[Tensor]] = [[] for _ in image]

        def last_look(number: int) -> list[Tensor]:
            found = [
                step(image[number], state)
                for step, state in zip(steps2, between[number], strict=True)
            ]
            cells[number].extend(state for state, _ in found)
            if also is not None:
                for one, (state, _) in zip(seen, found, strict=True):
                    done[number].append(also(self.first_step(one, image[number], state)))
            return [looked for _, looked in found]

        looked = self._looked(last_look, range(len(image)))
        taken, sums, of_constant = looked.tensor_split([look2.width, looked.shape[-1] - 1], -1)
        taken = taken + _sums_of(sums, values) @ self._back2 + of_constant * self._back_constant2
        wanted = normed(self._norm, wanted + self._told(2, taken))
        for prompt, one in enumerate(seen):
            one.cells.extend(part[prompt] for part in cells)
            one.also.extend(part[prompt] for part in done if part)
        return wanted, seen

    def first_step(self, seen: Seen, bare: ImagePart, cells: ThinCells) -> FirstStep:
        """Return the first step of the upscaling of a part of the image, for what a prompt left."""

        def step(rows: slice | Tensor, columns: slice) -> Tensor:
            own = torch.mm(_some(cells.weights, rows, 1).T, seen.upscaled[:, columns])
            # Of all cells just the first position is wanted often: it lies together.
            known = bare.first if columns == self._quarter else bare.upscaled[:, columns]
            own.addcmul_(_some(known, rows), _some(cells.scale1, rows)[:, None])
            constant = self._first_bias[columns]
            return torch.addcmul(constant, own, _some(cells.scale2, rows)[:, None])

        return step

    def _looked(self, look: Callable[[S], list[Tensor]], parts: Sequence[S]) -> Tensor:
        """Let tokens look at all parts; join what they take of each, (B, H, n, ·).

        A part gives, by prompt, the highest scores, the sums of the exponentials, and sums that
        these weigh, as one (H, n, 2 + ·): with the highest scores of all parts they add up.
        """
        found = torch.stack(self._crew.share(lambda part: torch.stack(look(part)), parts))
        highest, sums = found[..., :1], found[..., 1:]
        sums = ((highest - highest.amax(0)).exp2_() * sums).sum(0)
        return sums[..., 1:] / sums[..., :1]

    def _told(self, look: int, taken: Tensor) -> Tensor:
        """Give tokens (B, n, C) what they took in a look, (B, H, n, d)."""
        return F.linear(taken.transpose(1, 2).flatten(2), *self._tell[look])


class _SharedMLP:
    """An MLP whose hidden units a crew shares: its weights are 4 MB, and reading them is the work.

    Groups of hidden units are as many small products, which for a few tokens take a fifth less
    time than one of all.

    Parameters
    ----------
    mlp
        Its weights are copied.
    crew
        Divides the hidden units.
    """

    def __init__(self, mlp: MLPBlock, crew: Crew) -> None:
        self._act, self._bias, self._crew = mlp.act, mlp.lin2.bias.detach(), crew
        inwards, bias = mlp.lin1.weight.detach(), mlp.lin1.bias.detach()[:, None]
        outwards = mlp.lin2.weight.detach().T
        groups = _GROUPS if len(inwards) % _GROUPS == 0 else 1

        def grouped(units: Tensor, part: slice) -> Tensor:
            return torch.unflatten(units[part.start * groups : part.stop * groups], 0, (groups, -1))

        self._shares = [
            (
                grouped(inwards, part).mT.contiguous(),
                grouped(bias, part).mT.contiguous(),
                grouped(outwards, part).contiguous(),
            )
            for part in crew.divided(len(inwards) // groups)
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, n, C) to the same shape."""
        rows = x.flatten(0, 1)

        def some(share: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            inwards, bias, outwards = share
            hidden = torch.baddbmm(bias, rows.expand(len(inwards), -1, -1), inwards)
            return torch.bmm(self._act(hidden), outwards).sum(0)

        first, *others = self._crew.share(some, self._shares)
        return sum(others, first + self._bias).view(x.shape)


def _some(x: Tensor, which: slice | Tensor, axis: int = 0) -> Tensor:
    """Take some of an axis; by indices in a fifth of the time that indexing takes."""
    if isinstance(which, Tensor):
        return x.index_select(axis, which)
    return x[which] if axis == 0 else x[:, which]


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _by_head(projected: list[Tensor], heads: Heads) -> list[Tensor]:
    """See each (B, n, H d) as (B, H, n, d)."""
    return [torch.unflatten(x, 2, (heads.heads, -1)).transpose(1, 2) for x in projected]


def _with(rows: Tensor, values: Tensor) -> Tensor:
    """Multiply rows (B, R, G d), which know all heads' matrices, by values (B, G, n, d)."""
    by_head = torch.unflatten(rows, 2, (values.shape[1], -1)).transpose(1, 2) @ values.mT
    return by_head.transpose(1, 2).flatten(2)


def _sums_of(weights: Tensor, values: Tensor) -> Tensor:
    """Weigh values (B, G, n, d) by weights (B, H, m, G n); (B, H, m, G d)."""
    by_head = torch.unflatten(weights.flatten(1, 2), 2, (values.shape[1], -1)).transpose(1, 2)
    summed = (by_head @ values).transpose(1, 2).flatten(2)
    return torch.unflatten(summed, 1, weights.shape[1:3])


def _bias_of_answer(heads: Heads, norm_bias: Tensor) -> Tensor:
    """Give what a token gets of the biases, as the weights of all cells sum to one."""
    values, out = heads.attention.v_proj, heads.attention.out_proj
    of_values = values.bias + values.weight @ norm_bias
    return (out.bias + out.weight @ of_values).detach()

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
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from mobile_sam.modeling.common import MLPBlock
from mobile_sam.modeling.transformer import TwoWayAttentionBlock, TwoWayTransformer

from .attention import AmongTokens, Heads, think
from .crew import Crew
from .linear import linear
from .thin_cells import Between, FirstBlock, ImagePart, SecondBlock, ThinCells, first_look

S = TypeVar('S')

# With more tokens the sums have as many terms as there are channels.
MOST_TOKENS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the transformer leaves of one prompt.

    Attributes
    ----------
    upscaled
        (2 H n, 4c): B1 and A2 through the first step of the upscaling.
    cells
        By part of the image.
    """

    upscaled: Tensor
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
        self._among = [AmongTokens(block) for block in self._blocks]
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
        self._gained_out1 = _centred(self._out1 * gain1)
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
        self._quarter = slice(0, len(first_step) // 4)
        self._upscaled1 = self._gained_out1 @ self._first_step.T
        self._upscaled2 = self._out2 @ self._first_step.T
        self._upscaled_constant = (self._constant @ self._first_step.T)[0]
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
        answers2 = [answer1.columns(linear(gained, out)) for out in (self._gained_out1, self._out2)]
        upscaled = linear(gained, self._first_step)
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
            upscaled=upscaled,
            first=upscaled[:, self._quarter].contiguous(),
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

        queries = self._among[0](tokens, tokens)
        asked0 = look0.queries(queries + tokens)
        taken = self._looked(lambda part: [first_look(part, one) for one in asked0], image)
        queries = think(first, queries, look0.out(taken, self._value_bias0), self._mlps[0])

        keys = answer1.by_head(answer1.attention.k_proj(queries + tokens))
        values1 = answer1.by_head(answer1.attention.v_proj(queries))
        vectors1 = _per_head(values1, self._out1)  # A1
        queries = self._among[1](queries, tokens)
        asked1 = look1.queries(queries + tokens)
        looks = torch.cat([vectors1, _per_head(asked1, self._key1)], 1)
        steps1 = [
            FirstBlock(*each, channels, first.norm4.eps)
            for each in zip(keys, 2 * values1, asked1, looks @ vectors1.mT, strict=True)
        ]
        between: list[list[Between]] = [[] for _ in image]

        def second_look(number: int) -> list[Tensor]:
            found = [step(image[number]) for step in steps1]
            between[number].extend(state for state, _ in found)
            return [looked for _, looked in found]

        looked = self._looked(second_look, range(len(image)))
        taken, sums = looked.tensor_split([look1.width], -1)
        taken = taken + self._of_sums(look1, sums, vectors1, self._value1)
        queries = think(second, queries, look1.out(taken, self._value_bias1), self._mlps[1])

        keys = answer2.by_head(answer2.attention.k_proj(queries + tokens))
        values2 = answer2.by_head(answer2.attention.v_proj(queries))
        wanted = queries[:, rows]
        asked2 = look2.queries(wanted + tokens[:, rows])
        vectors = torch.cat(
            [
                _per_head(values1, self._gained_out1),  # B1
                _per_head(values2, self._out2),  # A2
                self._constant.expand(batch, -1, -1),
            ],
            1,
        )
        looks = torch.cat([vectors[:, :-1], _per_head(asked2, self._key2)], 1)
        steps2 = [
            SecondBlock(*each, channels, second.norm4.eps, self._constant_square)
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

        def last_look(number: int) -> list[Tensor]:
            found = [
                step(image[number], state)
                for step, state in zip(steps2, between[number], strict=True)
            ]
            cells[number].extend(state for state, _ in found)
            return [looked for _, looked in found]

        looked = self._looked(last_look, range(len(image)))
        taken, sums = looked.tensor_split([look2.width], -1)
        taken = taken + self._of_sums(look2, sums, vectors, self._value2)
        wanted = self._norm(wanted + look2.out(taken, self._value_bias2))
        upscaled = torch.cat(
            [_per_head(values1, self._upscaled1), _per_head(values2, self._upscaled2)], 1
        )
        seen = [Seen(upscaled[prompt], [part[prompt] for part in cells]) for prompt in range(batch)]
        return wanted, seen

    def first_step(
        self, seen: Seen, bias: Tensor
    ) -> Callable[[ImagePart, ThinCells, slice | Tensor, slice], Tensor]:
        """Prepare the first step of the upscaling, with its bias (4c), for what a prompt left.

        It is then to be had for some cells (rows) of a part of the image, and some columns.
        """
        weight, offset = seen.upscaled.T.contiguous(), self._upscaled_constant
        constant = bias + self._first_step_offset

        def step(bare: ImagePart, cells: ThinCells, rows: slice | Tensor, columns: slice) -> Tensor:
            own = linear(cells.weights[rows], weight[columns], offset[columns])
            # Of all cells just the first position is wanted often: it lies together.
            known = bare.first if columns == self._quarter else bare.upscaled[:, columns]
            own.addcmul_(known[rows], cells.scale1[rows, None])
            return torch.addcmul(constant[columns], own, cells.scale2[rows, None])

        return step

    def _looked(self, look: Callable[[S], list[Tensor]], parts: Sequence[S]) -> Tensor:
        """Let tokens look at all parts; join what they take of each, (B, H, n, ·).

        A part gives, by prompt, the highest scores, the sums of the exponentials, and sums that
        these weigh, as one (H, n, 2 + ·): with the highest scores of all parts they add up.
        """
        found = torch.stack(self._crew.share(lambda part: torch.stack(look(part)), parts))
        highest, total, sums = found[..., :1], found[..., 1:2], found[..., 2:]
        weights = (highest - highest.amax(0)).exp_()
        weights /= (weights * total).sum(0)
        return (weights * sums).sum(0)

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


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _per_head(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply (B, H, n, d) by the heads' rows of a weight (H d, C): (B, H n, C)."""
    return (x @ torch.unflatten(weight, 0, (x.shape[1], -1))).flatten(1, 2)


def _bias_of_values(heads: Heads, norm_bias: Tensor) -> Tensor:
    """Give what a token takes of the biases, as the weights of all cells sum to one."""
    projection = heads.attention.v_proj
    return (projection.bias + projection.weight @ norm_bias).detach()

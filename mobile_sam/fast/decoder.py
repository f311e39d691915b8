"""The mask decoder as it is fast: the same sums, in an order that needs half of the products.

Of the decoder's work, nearly all is done for each of the 4096 image cells, and little for the seven
or so tokens. So what belongs to both is multiplied into the tokens' side first:

- Scores of an attention between tokens and image are ``(t Wq) (x Wk)^T = (t Wq Wk^T) x^T``, head by
  head: eight rows per token, instead of a projection of all cells.
- What the tokens take from the image, ``softmax(...) (x Wv)``, is ``(softmax(...) x) Wv``; what the
  image takes from the tokens, ``softmax(...) (t Wv) Wo``, is ``softmax(...) (t Wv Wo)``.
- Before the first block the image side is the same for all prompts without a mask, and is projected
  once per image (:class:`ImageSide`).
- A transposed convolution whose stride is its size is a linear layer per cell. The cells of its
  output stay beside each other until the masks, a hundredth of the data, are put in order.
- Masks that nobody asked for have no row in the last attention, and none among the kernels; and
  none is drawn before its predicted quality is known.

One prompt needs 1.6 GFLOP instead of 3.6, and a thousand need no more memory than a few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from mobile_sam.modeling.common import MLP, LayerNorm2d, MLPBlock
from mobile_sam.modeling.mask_decoder import MaskDecoder
from mobile_sam.modeling.prompt_encoder import PromptEncoder
from mobile_sam.modeling.transformer import Attention, TwoWayAttentionBlock, TwoWayTransformer

from .attention import ImageFromTokens, TokensFromImage
from .upscaling import Upscaling

# Prompts whose tokens are treated together, so that the weights of their MLP are read once for all.
# With more, the image side of each (4 MB) leaves the cache before it is needed again.
PROMPTS_AT_ONCE = 4

_LAYERS = (
    MaskDecoder,
    TwoWayTransformer,
    TwoWayAttentionBlock,
    Attention,
    MLPBlock,
    MLP,
    LayerNorm2d,
    nn.Linear,
    nn.LayerNorm,
    nn.ConvTranspose2d,
    nn.Embedding,
    nn.Sequential,
    nn.ModuleList,
)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSide:
    """What the decoder needs of one image, whatever the prompts: 14 MB.

    Attributes
    ----------
    features
        (h · w, C): the embedding, cell by cell.
    cells
        (h · w, C): the same with "no mask given" added.
    keys, values, queries
        Its projections in the first block: (heads, d, h · w), (heads, h · w, d) and
        (heads, d, h · w).
    """

    features: Tensor
    cells: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor


class Attended:
    """A few prompts after the transformer: the quality of their masks, and the means to draw them.

    Parameters
    ----------
    cells
        Per prompt (h · w, C), what the image has become for it.
    kernels
        (B, M, c), what to look for in the upscaled image.
    scores
        (B, M), predicted IoU.
    upscaling
        Draws.
    """

    def __init__(
        self, cells: list[Tensor], kernels: Tensor, scores: Tensor, upscaling: Upscaling
    ) -> None:
        self._cells, self._kernels, self._upscaling = cells, kernels, upscaling
        self.scores = scores

    @torch.inference_mode()
    def draw(self, prompt: int, masks: Sequence[int] | None = None) -> Tensor:
        """Draw masks of one prompt, by default all of those that were asked for.

        Returns
        -------
        Tensor
            Logits (M, 4h, 4w).
        """
        kernels = self._kernels[prompt]
        return self._upscaling(
            self._cells[prompt], kernels if masks is None else kernels[list(masks)]
        )


class FastDecoder:
    """Inference form of a prompt encoder and mask decoder.

    Made from the weights as they are, where they are: make a new one after either changed. The
    modules themselves stay untouched.

    Parameters
    ----------
    prompt_encoder, mask_decoder
        Of one model.

    Raises
    ------
    TypeError
        If a part of the decoder is none of ours, so that its sums are not known: see `foldable`.
    """

    def __init__(self, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder) -> None:
        if not foldable(mask_decoder):
            raise TypeError(
                'expected a mask decoder of the layers in mobile_sam.modeling, without hooks; this '
                'one has others in it: call the model itself'
            )
        transformer = cast(TwoWayTransformer, mask_decoder.transformer)
        self._decoder = mask_decoder
        with torch.inference_mode():
            self._encoding = prompt_encoder.get_dense_pe()[0].flatten(1).T.contiguous()
            self._no_mask = prompt_encoder.no_mask_embed.weight[0]
            self._blocks = [
                _Block(cast(TwoWayAttentionBlock, layer), self._encoding)
                for layer in transformer.layers
            ]
            self._last = TokensFromImage(transformer.final_attn_token_to_image, self._encoding)
            self._last_norm = transformer.norm_final_attn
            self._upscaling = Upscaling(
                mask_decoder.output_upscaling, prompt_encoder.image_embedding_size
            )
            self._own_tokens = torch.cat(
                [mask_decoder.iou_token.weight, mask_decoder.mask_tokens.weight]
            )

    @torch.inference_mode()
    def image_side(self, features: Tensor) -> ImageSide:
        """Prepare an embedding (C, h, w) once, for any number of prompts on it."""
        flat = features.flatten(1).T.contiguous()
        cells = flat + self._no_mask
        placed = cells + self._encoding
        first = self._blocks[0]
        return ImageSide(
            features=flat,
            cells=cells,
            keys=first.from_image.keys(placed),
            values=first.from_image.values(cells),
            queries=first.from_tokens.queries(placed),
        )

    @torch.inference_mode()
    def attend(
        self, image: ImageSide, sparse: Tensor, dense: Tensor | None, multimask: bool
    ) -> Attended:
        """Let some prompts and the image see each other.

        Parameters
        ----------
        image
            From `image_side`.
        sparse
            (B, n, C) from the prompt encoder. Takes 4 MB per prompt: pass a few at a time.
        dense
            (B, C, h, w) from the prompt encoder where the prompts have masks, else None.
        multimask
            The candidates of each prompt, or its single unambiguous mask.
        """
        decoder = self._decoder
        tokens = torch.cat([self._own_tokens.expand(len(sparse), -1, -1), sparse], dim=1)
        blocks = self._blocks
        if dense is None:
            queries, cells = blocks[0].on_shared(tokens, image)
            blocks = blocks[1:]
        else:
            queries, cells = tokens, [image.features + some.flatten(1).T for some in dense]
        for block in blocks:
            queries, cells = block(queries, tokens, cells)

        # From here on only the token of the scores and those of the wanted masks matter.
        masks = range(1, decoder.num_mask_tokens) if multimask else range(1)
        rows = [0, *(1 + mask for mask in masks)]
        wanted = queries[:, rows]
        taken = self._last.folded(wanted + tokens[:, rows], cells)
        wanted = self._last_norm(wanted + taken)
        kernels = torch.stack(
            [
                decoder.output_hypernetworks_mlps[mask](wanted[:, 1 + place])
                for place, mask in enumerate(masks)
            ],
            dim=1,
        )
        scores = decoder.iou_prediction_head(wanted[:, 0])[:, masks.start : masks.stop]
        return Attended(cells, kernels, scores, self._upscaling)

    def decode(
        self, image: ImageSide, sparse: Tensor, dense: Tensor | None, multimask: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode any number of prompts, a few at a time; parameters as of `attend`.

        Yields
        ------
        tuple of Tensor
            Logits (M, 4h, 4w) and predicted IoU (M,) of each prompt, in order.
        """
        for start in range(0, len(sparse), PROMPTS_AT_ONCE):
            some = slice(start, start + PROMPTS_AT_ONCE)
            masks = None if dense is None else dense[some]
            found = self.attend(image, sparse[some], masks, multimask)
            for prompt, scores in enumerate(found.scores):
                yield found.draw(prompt), scores


def foldable(decoder: nn.Module) -> bool:
    """Whether a mask decoder consists of layers whose sums `FastDecoder` knows.

    Adapters, quantised layers, parametrisations and hooks compute what folded matrices would leave
    out. Activations may be any.
    """
    return type(decoder) is MaskDecoder and all(
        (type(module) in _LAYERS or not [*module.children(), *module.parameters()])
        and not module._forward_hooks
        and not module._forward_pre_hooks
        for module in decoder.modules()
    )


class _Block:
    """A two-way block: tokens as in the model, the image's share folded."""

    def __init__(self, layer: TwoWayAttentionBlock, encoding: Tensor) -> None:
        self._layer = layer
        self.from_image = TokensFromImage(layer.cross_attn_token_to_image, encoding)
        self.from_tokens = ImageFromTokens(layer.cross_attn_image_to_token, encoding)

    def on_shared(self, tokens: Tensor, image: ImageSide) -> tuple[Tensor, list[Tensor]]:
        """Treat tokens (B, n, C) on the one image; the tokens, and the image for each prompt."""
        queries = self._among_tokens(tokens, tokens)
        taken = self.from_image.projected(queries + tokens, image.keys, image.values)
        queries = self._think(queries, taken)
        answers = self.from_tokens.projected(queries + tokens, queries, image.queries, image.cells)
        return queries, [self._layer.norm4(answer) for answer in answers]

    def __call__(
        self, queries: Tensor, tokens: Tensor, cells: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Treat tokens and, for each prompt, its own image cells (N, C)."""
        queries = self._among_tokens(queries, tokens)
        taken = self.from_image.folded(queries + tokens, cells)
        queries = self._think(queries, taken)
        answers = self.from_tokens.folded(queries + tokens, queries, cells)
        return queries, [self._layer.norm4(answer) for answer in answers]

    def _among_tokens(self, queries: Tensor, tokens: Tensor) -> Tensor:
        layer = self._layer
        if layer.skip_first_layer_pe:
            queries = layer.self_attn(queries, queries, queries)
        else:
            placed = queries + tokens
            queries = queries + layer.self_attn(placed, placed, queries)
        normed: Tensor = layer.norm1(queries)
        return normed

    def _think(self, queries: Tensor, taken: Tensor) -> Tensor:
        layer = self._layer
        queries = layer.norm2(queries + taken)
        normed: Tensor = layer.norm3(queries + layer.mlp(queries))
        return normed

"""The mask decoder as it is fast: the same sums, in an order that needs a third of the products.

Of the decoder's work, nearly all is done for each of the 4096 image cells, and little for the seven
or so tokens. So what belongs to both is multiplied into the tokens' side first:

- Scores of an attention between tokens and image are ``(t Wq) (x Wk)^T = (t Wq Wk^T) x^T``, head by
  head: eight rows per token, instead of a projection of all cells.
- What the tokens take from the image, ``softmax(...) (x Wv)``, is ``(softmax(...) x) Wv``; what the
  image takes from the tokens, ``softmax(...) (t Wv) Wo``, is ``softmax(...) (t Wv Wo)``.
- Without a mask prompt the image of a prompt is the bare image plus a sum of few vectors, and need
  not be written out at all: see `thin`.
- A transposed convolution whose stride is its size is a linear layer per cell. The cells of its
  output stay beside each other until the masks, a hundredth of the data, are put in order.
- Masks that nobody asked for have no row in the last attention, and none among the kernels; and
  none is drawn before its predicted quality is known.
- Threads share the cells, not the operations: see `crew`.

One prompt needs 0.9 GFLOP instead of 3.6 (1.6 with a mask prompt or with many tokens), and a
thousand need no more memory than a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from mobile_sam.modeling.common import MLP, LayerNorm2d, MLPBlock
from mobile_sam.modeling.mask_decoder import MaskDecoder
from mobile_sam.modeling.prompt_encoder import PromptEncoder
from mobile_sam.modeling.transformer import Attention, TwoWayAttentionBlock, TwoWayTransformer

from .attention import AmongTokens, ImageFromTokens, Together, TokensFromImage, think
from .crew import Crew
from .drawing import Drawing
from .known import known
from .linear import linear
from .thin import MOST_TOKENS, Seen, ThinTransformer
from .thin_cells import ImagePart
from .upscaling import Upscaling

S = TypeVar('S')
T = TypeVar('T')

# Prompts whose tokens are treated together, so that the weights of their MLP are read once for all.
# With more, the image side of each (3 to 8 MB) leaves the cache before it is needed again.
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
    """What the decoder needs of one image, whatever the prompts: 40 MB.

    Attributes
    ----------
    features
        (h · w, C): the embedding, cell by cell.
    cells
        (h · w, C): the same with "no mask given" added.
    parts
        These cells prepared for the thin form, by part; empty where it does not apply.
    """

    features: Tensor
    cells: Tensor
    parts: list[ImagePart]


class Attended:
    """A few prompts after the transformer: the quality of their masks, and the means to draw them.

    Parameters
    ----------
    drawing
        Per prompt, prepares to draw its masks.
    kernels
        Gives what to look for in the upscaled image, (B, M, c), for some of the masks.
    scores
        (B, M), predicted IoU.
    """

    def __init__(
        self,
        drawing: Sequence[Callable[[], Drawing]],
        kernels: Callable[[slice], Tensor],
        scores: Tensor,
    ) -> None:
        self._drawing, self._kernels = drawing, kernels
        self._all: Tensor | None = None
        self.scores = scores

    @torch.inference_mode()
    def draw(self, prompt: int, masks: Sequence[int] | None = None) -> Tensor:
        """Draw masks of one prompt, by default all of those that were asked for.

        Returns
        -------
        Tensor
            Logits (M, 4h, 4w).
        """
        return self._drawing[prompt]().full(self._chosen(prompt, masks))

    @torch.inference_mode()
    def sketch(self, prompt: int, masks: Sequence[int] | None = None) -> Tensor:
        """Draw the same, exact near the contours only: see `Drawing.sketch`."""
        return self._drawing[prompt]().sketch(self._chosen(prompt, masks))

    def _chosen(self, prompt: int, masks: Sequence[int] | None) -> Tensor:
        if self._all is None and len(self.scores) == 1 and masks is not None and len(masks) == 1:
            # A hover: of the weights of all masks a third is enough to read.
            return self._kernels(slice(masks[0], masks[0] + 1))[0]
        if self._all is None:
            self._all = self._kernels(slice(None))
        kernels = self._all[prompt]
        return kernels if masks is None else kernels[list(masks)]


class FastDecoder:
    """Inference form of a prompt encoder and mask decoder.

    Made from the weights as they are, where they are: make a new one after either changed. The
    modules themselves stay untouched. Belongs to one thread at a time.

    Parameters
    ----------
    prompt_encoder, mask_decoder
        Of one model.
    crew
        Threads to share the work; by default as many as torch has in the calling thread.

    Raises
    ------
    TypeError
        If a part of the decoder is none of ours, so that its sums are not known: see `foldable`.
    """

    def __init__(
        self, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder, crew: Crew | None = None
    ) -> None:
        if not foldable(mask_decoder):
            raise TypeError(
                'expected a mask decoder of the layers in mobile_sam.modeling, without hooks; this '
                'one has others in it: call the model itself'
            )
        transformer = cast(TwoWayTransformer, mask_decoder.transformer)
        self._decoder = mask_decoder
        with torch.inference_mode():
            encoding = prompt_encoder.get_dense_pe()[0].flatten(1).T.contiguous()
            if crew is None:
                # Other devices divide the work themselves.
                crew = Crew.of_torch() if encoding.device.type == 'cpu' else Crew(1)
            self._crew = crew
            self._width = prompt_encoder.image_embedding_size[1]
            self._no_mask = prompt_encoder.no_mask_embed.weight[0]
            self._blocks = [
                _Block(cast(TwoWayAttentionBlock, layer), encoding) for layer in transformer.layers
            ]
            self._last = TokensFromImage(transformer.final_attn_token_to_image, encoding)
            self._last_norm = transformer.norm_final_attn
            self._upscaling = Upscaling(
                mask_decoder.output_upscaling, prompt_encoder.image_embedding_size
            )
            self._thin = None
            if len(transformer.layers) == 2:
                self._thin = ThinTransformer(
                    transformer, encoding, self._upscaling.first, self._upscaling.first_bias, crew
                )
            # On the device already: what is sent there in between cannot be recorded.
            self._rows = {
                False: torch.tensor([0, 1], device=encoding.device),
                True: torch.tensor(
                    [0, *range(2, 1 + mask_decoder.num_mask_tokens)], device=encoding.device
                ),
            }
            self._quality = [
                Together([cast(nn.Linear, layer)])
                for layer in mask_decoder.iou_prediction_head.layers
            ]
            self._kernels = _Kernels(mask_decoder.output_hypernetworks_mlps)
            self._own_tokens = torch.cat(
                [mask_decoder.iou_token.weight, mask_decoder.mask_tokens.weight]
            )

    def together(self, work: Callable[[], T]) -> T:
        """Do work that calls this decoder and draws, without changing threads each time."""
        return self._crew.run(work)

    @property
    def lanes(self) -> int:
        """How many prompts can be decoded at the same time, each by a thread of its own."""
        return self._crew.size

    def apart(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Do work that calls this decoder on each part, each by one thread where there are many.

        That is quicker than one after the other, each shared by all, as nobody waits for anybody.
        """
        return self._crew.run(lambda: self._crew.apart(work, parts))

    def image_side(self, features: Tensor) -> ImageSide:
        """Prepare an embedding (C, h, w) once, for any number of prompts on it."""
        return self._crew.run(lambda: self._image_side(features))

    def _image_side(self, features: Tensor) -> ImageSide:
        flat = features.flatten(1).T.contiguous()
        cells = flat + self._no_mask
        return ImageSide(
            flat, cells, [] if self._thin is None else self._thin.image(cells, self._width)
        )

    def attend(
        self,
        image: ImageSide,
        sparse: Tensor,
        dense: Tensor | None,
        multimask: bool,
        sketching: bool = False,
    ) -> Attended:
        """Let some prompts and the image see each other.

        Parameters
        ----------
        image
            From `image_side`.
        sparse
            (B, n, C) from the prompt encoder. Takes 3 to 8 MB per prompt: pass a few at a time.
        dense
            (B, C, h, w) from the prompt encoder where the prompts have masks, else None.
        multimask
            The candidates of each prompt, or its single unambiguous mask.
        sketching
            A mask of each prompt will be sketched: what that needs of any mask is done at once.
        """
        return self._crew.run(lambda: self._attend(image, sparse, dense, multimask, sketching))

    def _attend(
        self,
        image: ImageSide,
        sparse: Tensor,
        dense: Tensor | None,
        multimask: bool,
        sketching: bool,
    ) -> Attended:
        decoder = self._decoder
        tokens = torch.cat([self._own_tokens.expand(len(sparse), -1, -1), sparse], dim=1)
        # From the last attention on only the token of the scores and the wanted masks' matter.
        masks = range(1, decoder.num_mask_tokens) if multimask else range(1)
        rows = self._rows[multimask]
        drawing: Sequence[Callable[[], Drawing]]
        if self._thin is not None and dense is None and tokens.shape[1] <= MOST_TOKENS:
            # Other devices draw all instead: see `Drawing.sketch`.
            here = tokens.device.type == 'cpu'
            also = self._upscaling.centres if sketching and here else None
            wanted, seen = self._thin(tokens, image.parts, rows, also)
            drawing = [partial(self._thin_drawing, image.parts, one) for one in seen]
        else:
            wanted, cells = self._folded(tokens, image, dense, rows)
            drawing = [partial(self._folded_drawing, some) for some in cells]

        def kernels(some: slice) -> Tensor:
            return self._kernels(wanted[:, 1:][:, some], masks[some])

        scores = self._score(wanted[:, 0])[:, masks.start : masks.stop]
        return Attended(drawing, kernels, scores)

    def _score(self, tokens: Tensor) -> Tensor:
        """Predict the IoU of all masks from the token of the scores, (B, C)."""
        *hidden, last = self._quality
        for layer in hidden:
            (tokens,) = layer(tokens)
            tokens.relu_()
        (scores,) = last(tokens)
        return scores.sigmoid() if self._decoder.iou_prediction_head.sigmoid_output else scores

    def _folded(
        self, tokens: Tensor, image: ImageSide, dense: Tensor | None, rows: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Do the transformer with an image of each prompt's own; see `ThinTransformer`."""
        if dense is None:
            cells = [image.cells] * len(tokens)
        else:
            cells = [image.features + some.flatten(1).T for some in dense]
        queries = tokens
        for block in self._blocks:
            queries, cells = block(queries, tokens, cells)
        wanted = queries.index_select(1, rows)
        taken = self._last(wanted + tokens.index_select(1, rows), cells)
        return self._last_norm(wanted + taken), cells

    def _thin_drawing(self, image: list[ImagePart], seen: Seen) -> Drawing:
        assert self._thin is not None
        steps = [
            (len(cells.scale1), self._thin.first_step(seen, bare, cells))
            for bare, cells in zip(image, seen.cells, strict=True)
        ]
        return Drawing(self._upscaling, self._crew, steps, seen.also)

    def _folded_drawing(self, cells: Tensor) -> Drawing:
        upscaling = self._upscaling

        def step(part: Tensor, rows: slice | Tensor, columns: slice) -> Tensor:
            return linear(part[rows], upscaling.first[columns], upscaling.first_bias[columns])

        rows = -(-len(cells) // (self._width * self._crew.few))
        parts = torch.split(cells, rows * self._width)
        return Drawing(upscaling, self._crew, [(len(part), partial(step, part)) for part in parts])

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
    """Whether a mask decoder consists of layers whose sums `FastDecoder` knows; see `known`."""
    return type(decoder) is MaskDecoder and known(decoder, _LAYERS, activations=True)


class _Kernels:
    """The MLPs that turn each mask's token into a kernel, side by side."""

    def __init__(self, mlps: nn.ModuleList) -> None:
        alike = [cast(MLP, mlp) for mlp in mlps]
        self._layers = [
            (
                torch.stack([layer.weight.T for layer in layers]),
                torch.stack([layer.bias[None] for layer in layers]),
            )
            for layers in zip(*(mlp.layers for mlp in alike), strict=True)
        ]

    def __call__(self, tokens: Tensor, masks: range) -> Tensor:
        """Map the tokens of some masks, (B, M, C), to kernels (B, M, c)."""
        x, some = tokens.transpose(0, 1), slice(masks.start, masks.stop)
        for place, (weight, bias) in enumerate(self._layers):
            x = torch.baddbmm(bias[some], x, weight[some])
            if place + 1 < len(self._layers):
                x = x.relu_()
        return x.transpose(0, 1)


class _Block:
    """A two-way block: tokens as in the model, the image's share folded."""

    def __init__(self, layer: TwoWayAttentionBlock, encoding: Tensor) -> None:
        self._layer = layer
        self._among = AmongTokens(layer)
        self._from_image = TokensFromImage(layer.cross_attn_token_to_image, encoding)
        self._from_tokens = ImageFromTokens(layer.cross_attn_image_to_token, encoding)

    def __call__(
        self, queries: Tensor, tokens: Tensor, cells: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Treat tokens and, for each prompt, its own image cells (N, C)."""
        queries = self._among(queries, tokens)
        queries = think(self._layer, queries, self._from_image(queries + tokens, cells))
        answers = self._from_tokens(queries + tokens, queries, cells)
        return queries, [self._layer.norm4(answer) for answer in answers]

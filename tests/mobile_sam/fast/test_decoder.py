"""The fast decoder gives what the plain one gives, for all kinds of prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from plain_decoder import module_decode, plain_decode
from torch import Tensor, nn

from mobile_sam.fast.crew import Crew
from mobile_sam.fast.decoder import PROMPTS_AT_ONCE, FastDecoder, foldable
from mobile_sam.fast.forms import PlainDecoder, decoder_form
from mobile_sam.fast.thin import MOST_TOKENS
from mobile_sam.modeling import MaskDecoder, Sam

SIDE = 128  # of small_sam
KINDS = ('point', 'points', 'many points', 'box', 'points box', 'mask', 'points box mask')
Encoded = tuple[Tensor, Tensor]


@pytest.fixture(scope='module')
def features(small_sam: Sam) -> Tensor:
    return torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope='module')
def fast(small_sam: Sam) -> FastDecoder:
    return FastDecoder(small_sam.prompt_encoder, small_sam.mask_decoder)


def prompts(sam: Sam, kind: str, count: int) -> tuple[Encoded, bool]:
    """Encode some prompts of a kind; whether they have masks."""
    source = torch.Generator().manual_seed(count)
    number = MOST_TOKENS if 'many' in kind else 3
    points = torch.rand(count, number, 2, generator=source) * SIDE
    labels = torch.tensor([1, 0] * number)[:number].expand(count, number)
    boxes = torch.rand(count, 4, generator=source) * SIDE
    masks = torch.randn(count, 1, SIDE // 4, SIDE // 4, generator=source)
    with torch.no_grad():
        encoded = sam.prompt_encoder(
            points=(points[:, :1], labels[:, :1])
            if kind == 'point'
            else (points, labels)
            if 'points' in kind
            else None,
            boxes=boxes if 'box' in kind else None,
            masks=masks if 'mask' in kind else None,
        )
    return encoded, 'mask' in kind


def plainly(sam: Sam, features: Tensor, encoded: Encoded, multimask: bool) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return sam.mask_decoder(
            image_embeddings=features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=encoded[0],
            dense_prompt_embeddings=encoded[1],
            multimask_output=multimask,
        )


@pytest.mark.parametrize('multimask', [True, False])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('count', [1, 2 * PROMPTS_AT_ONCE + 1])
def test_equals_the_plain_decoder(
    small_sam: Sam, fast: FastDecoder, features: Tensor, kind: str, count: int, multimask: bool
) -> None:
    encoded, masked = prompts(small_sam, kind, count)
    logits, scores = plainly(small_sam, features, encoded, multimask)
    found = fast.decode(
        fast.image_side(features[0]), encoded[0], encoded[1] if masked else None, multimask
    )
    ours, ours_scores = zip(*found, strict=True)
    torch.testing.assert_close(torch.stack(ours), logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.stack(ours_scores), scores, rtol=1e-5, atol=1e-6)
    assert logits.std() > 0.01


def test_the_yardstick_is_the_same_model(small_sam: Sam, features: Tensor) -> None:
    points = torch.rand(3, 2, generator=torch.Generator().manual_seed(0)) * SIDE
    for multimask in (True, False):
        spelled = plain_decode(small_sam, features, points, multimask)
        for one, other in zip(
            spelled, module_decode(small_sam, features, points, multimask), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_masks_are_drawn_one_by_one_after_their_scores(
    small_sam: Sam, fast: FastDecoder, features: Tensor
) -> None:
    encoded, _ = prompts(small_sam, 'point', 2)
    logits, _ = plainly(small_sam, features, encoded, True)
    attended = fast.attend(fast.image_side(features[0]), encoded[0], None, True)
    assert attended.scores.shape == (2, 3)
    drawn = attended.draw(1, [2, 0])
    torch.testing.assert_close(drawn, logits[1, [2, 0]], rtol=1e-5, atol=1e-5)


def test_order_and_company_do_not_matter(
    small_sam: Sam, fast: FastDecoder, features: Tensor
) -> None:
    (sparse, _), _ = prompts(small_sam, 'points', 7)
    image = fast.image_side(features[0])
    forward = [logits for logits, _ in fast.decode(image, sparse, None, True)]
    backward = [logits for logits, _ in fast.decode(image, sparse.flip(0), None, True)]
    alone = [next(fast.decode(image, one[None], None, True))[0] for one in sparse]
    for one, other, single in zip(forward, reversed(backward), alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(one, single, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('kind', ['point', 'mask'])
def test_threads_do_not_matter(small_sam: Sam, features: Tensor, kind: str) -> None:
    (sparse, dense), masked = prompts(small_sam, kind, 2)
    threads, found = torch.get_num_threads(), []
    try:
        for number, members in ((1, 1), (2, 2), (2, 3)):
            torch.set_num_threads(number)
            fast = FastDecoder(small_sam.prompt_encoder, small_sam.mask_decoder, Crew(members))
            image = fast.image_side(features[0])
            drawn = fast.decode(image, sparse, dense if masked else None, True)
            found.append(torch.stack([logits for logits, _ in drawn]))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, rtol=1e-5, atol=1e-5)


def test_a_prompt_far_from_others_in_scale(small_sam: Sam, features: Tensor) -> None:
    """Sums that nearly cancel and scores that would overflow: the norms' lengths stay right."""
    fast = FastDecoder(small_sam.prompt_encoder, small_sam.mask_decoder)
    (sparse, dense), _ = prompts(small_sam, 'point', 1)
    for factor in (1e-3, 30.0):
        logits, _ = plainly(small_sam, factor * features, (factor * sparse, dense), True)
        image = fast.image_side(factor * features[0])
        ours, _ = next(fast.decode(image, factor * sparse, None, True))
        torch.testing.assert_close(
            ours, logits[0], rtol=1e-4, atol=3e-5 * float(logits.abs().max())
        )


def test_golden_decoder(
    golden: Mapping[str, np.ndarray],
    golden_sam: Sam,
    golden_predictor: Callable[[str], object],
) -> None:
    """With the size of the published model, on an embedding of a picture."""
    fast = FastDecoder(golden_sam.prompt_encoder, golden_sam.mask_decoder)
    features = golden_predictor('coins').features  # type: ignore[attr-defined]
    points = torch.tensor([[[300.0, 200.0]], [[700.0, 512.0]]])
    with torch.no_grad():
        encoded = golden_sam.prompt_encoder(
            points=(points, torch.ones(2, 1, dtype=torch.int64)), boxes=None, masks=None
        )
    logits, scores = plainly(golden_sam, features, encoded, True)
    found = list(fast.decode(fast.image_side(features[0]), encoded[0], None, True))
    spread = float(logits.abs().max())
    for prompt, (ours, quality) in enumerate(found):
        torch.testing.assert_close(ours, logits[prompt], rtol=1e-5, atol=1e-5 * spread)
        torch.testing.assert_close(quality, scores[prompt], rtol=1e-5, atol=1e-5)


def small_decoder() -> MaskDecoder:
    from mobile_sam.modeling import TwoWayTransformer

    return MaskDecoder(
        transformer_dim=32,
        transformer=TwoWayTransformer(depth=1, embedding_dim=32, num_heads=2, mlp_dim=8),
    )


class Adapted(nn.Linear):
    """Stands for a layer that adds something of its own."""


def test_what_cannot_be_folded_is_refused(small_sam: Sam) -> None:
    decoder = small_decoder()
    assert foldable(decoder)
    attention = decoder.transformer.final_attn_token_to_image  # type: ignore[union-attr]
    attention.k_proj = Adapted(32, 16)  # type: ignore[union-attr,assignment]
    assert not foldable(decoder)
    with pytest.raises(TypeError, match='call the model itself'):
        FastDecoder(small_sam.prompt_encoder, decoder)

    hooked = small_decoder()
    hooked.iou_token.register_forward_hook(lambda *_: None)
    assert not foldable(hooked)
    assert not foldable(nn.Identity())


def test_what_cannot_be_folded_is_called_as_it_is(small_sam: Sam, features: Tensor) -> None:
    fast = decoder_form(small_sam)
    assert isinstance(fast, FastDecoder)
    handle = small_sam.mask_decoder.register_forward_hook(lambda *_: None)
    try:
        plain = decoder_form(small_sam)
        assert isinstance(plain, PlainDecoder)
        for kind in ('point', 'box mask'):
            encoded, masked = prompts(small_sam, kind, 2)
            dense = encoded[1] if masked else None
            found = [
                form.attend(form.image_side(features[0]), encoded[0], dense, True)
                for form in (fast, plain)
            ]
            torch.testing.assert_close(found[0].scores, found[1].scores, rtol=1e-5, atol=1e-6)
            for masks in (None, [2, 0]):
                ours, theirs = (one.draw(1, masks) for one in found)
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    finally:
        handle.remove()

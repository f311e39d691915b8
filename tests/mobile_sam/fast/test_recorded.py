"""Recorded encoders and decoders give the same, and what they record never leaves the card."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tape import Tape
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mobile_sam.fast.decoder import PROMPTS_AT_ONCE, FastDecoder
from mobile_sam.fast.encoder_forms import encoder_form
from mobile_sam.fast.forms import decoder_form
from mobile_sam.fast.recorded import RecordedDecoder, RecordedEncoder
from mobile_sam.modeling import MaskDecoder, PromptEncoder, Sam, TinyViT, TwoWayTransformer

needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
WIDTH, GRID = 256, 8


@pytest.fixture(scope='module')
def fast(small_sam: Sam) -> FastDecoder:
    return FastDecoder(small_sam.prompt_encoder, small_sam.mask_decoder)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_is_used_on_graphics_cards_only(small_sam: Sam) -> None:
    form, name = encoder_form(small_sam.image_encoder, 'cuda:0')
    assert isinstance(form, RecordedEncoder)
    assert name == 'torch, CUDA graphs'
    for device in ('cpu', 'mps'):
        assert not isinstance(encoder_form(small_sam.image_encoder, device)[0], RecordedEncoder)
    assert isinstance(decoder_form(small_sam), FastDecoder)


def test_an_encoder_is_recorded_and_released() -> None:
    tape = Tape()
    encode = RecordedEncoder(lambda x: 2 * x, tape.record)
    batches = [random(2, 3, 4, 4, seed=seed) for seed in range(3)]
    for batch in batches:
        assert torch.equal(encode(batch), 2 * batch)
    assert (tape.recorded, tape.played) == ([[2]], [[2], [2]])
    encode.release()
    assert torch.equal(encode(batches[0]), 2 * batches[0])
    assert tape.recorded == [[2], [2]]


@pytest.mark.parametrize('multimask', [True, False])
@pytest.mark.parametrize('masked', [True, False])
@pytest.mark.parametrize('tokens', [2, 20])
@pytest.mark.parametrize('count', [1, PROMPTS_AT_ONCE])
def test_a_decoder_gives_the_same_on_whatever_image(
    fast: FastDecoder, count: int, tokens: int, masked: bool, multimask: bool
) -> None:
    tape = Tape()
    recorded = RecordedDecoder(fast, tape.record)
    images = [fast.image_side(random(WIDTH, GRID, GRID, seed=seed)) for seed in range(2)]
    kept = []
    for turn, number in enumerate((0, 0, 1, 1, 0)):
        image, sparse = images[number], random(count, tokens, WIDTH, seed=turn)
        dense = random(count, WIDTH, GRID, GRID, seed=turn + 9) if masked else None
        found = recorded.together(
            lambda image=image, sparse=sparse, dense=dense: recorded.attend(
                image, sparse, dense, multimask
            )
        )
        kept.append((found, fast.attend(image, sparse, dense, multimask)))
    # Looked at when all is computed: nothing was overwritten meanwhile.
    for found, expected in kept:
        torch.testing.assert_close(found.scores, expected.scores)
        for prompt in range(count):
            torch.testing.assert_close(found.draw(prompt), expected.draw(prompt))
            torch.testing.assert_close(found.sketch(prompt, [0]), expected.draw(prompt, [0]))
    assert len(tape.recorded) == 1
    assert len(tape.played) == 4


def test_images_are_not_touched(fast: FastDecoder) -> None:
    recorded = RecordedDecoder(fast, Tape().record)
    images = [fast.image_side(random(WIDTH, GRID, GRID, seed=seed)) for seed in range(2)]
    before = [image.cells.clone() for image in images]
    for image in (*images, *images):
        recorded.attend(image, random(1, 2, WIDTH), None, True)
    assert all(torch.equal(image.cells, cells) for image, cells in zip(images, before, strict=True))


def test_many_prompts_at_once_are_not_recorded(fast: FastDecoder) -> None:
    tape = Tape()
    recorded = RecordedDecoder(fast, tape.record)
    image = recorded.image_side(random(WIDTH, GRID, GRID))
    for _ in range(3):
        recorded.attend(image, random(PROMPTS_AT_ONCE + 1, 2, WIDTH), None, True)
    assert tape.recorded == []


class HostCopies(TorchDispatchMode):
    """Notes what comes from the host, or waits to go there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += 1
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(tensor.device.type != 'cuda' for tensor in tensors):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors without numbers, which may say they are on a card where there is none."""
    monkeypatch.setattr(Tensor, '__float__', lambda _: 1.0)
    with FakeTensorMode(), torch.device('cuda'), torch.inference_mode():
        yield


@pytest.mark.usefixtures('card')
@pytest.mark.parametrize('multimask', [True, False])
@pytest.mark.parametrize('masked', [True, False])
def test_what_is_recorded_needs_nothing_of_the_host(masked: bool, multimask: bool) -> None:
    grid = (GRID, GRID)
    fast = FastDecoder(
        PromptEncoder(WIDTH, grid, (16 * GRID, 16 * GRID), 16),
        MaskDecoder(transformer_dim=WIDTH, transformer=TwoWayTransformer(2, WIDTH, 8, 2048)),
    )
    tape = Tape()
    recorded = RecordedDecoder(fast, tape.record)
    image = fast.image_side(torch.empty(WIDTH, *grid))
    dense = torch.empty(2, WIDTH, *grid) if masked else None
    with HostCopies() as copies:
        for _ in range(3):
            found = recorded.attend(image, torch.empty(2, 2, WIDTH), dense, multimask)
    assert copies.count > 100
    assert copies.found == []
    assert len(tape.recorded) == 1
    assert found.draw(1).shape == (3 if multimask else 1, 4 * GRID, 4 * GRID)


def test_an_encoder_needs_nothing_of_the_host_either() -> None:
    encoder = TinyViT(img_size=16 * GRID).eval()
    named = [*encoder.named_parameters(), *encoder.named_buffers()]
    with FakeTensorMode(), torch.device('cuda'), torch.inference_mode():
        weights = {name: torch.empty(each.shape, dtype=each.dtype) for name, each in named}
        with HostCopies() as copies:
            features = functional_call(encoder, weights, torch.empty(2, 3, 16 * GRID, 16 * GRID))
    assert features.shape == (2, WIDTH, GRID, GRID)
    assert copies.count > 100
    assert copies.found == []


@needs_card
def test_a_graph_of_an_encoder_gives_the_same(small_sam: Sam) -> None:
    side = small_sam.image_encoder.img_size
    encoder = small_sam.image_encoder.cuda()
    try:
        encode = RecordedEncoder(encoder)
        with torch.inference_mode():
            for seed in range(4):
                x = random(2, 3, side, side, seed=seed).cuda()
                torch.testing.assert_close(encode(x), encoder(x), rtol=1e-4, atol=1e-4)
    finally:
        encoder.cpu()


@needs_card
def test_a_graph_of_a_decoder_gives_the_same(small_sam: Sam) -> None:
    small_sam.cuda()
    try:
        recorded = decoder_form(small_sam)
        assert isinstance(recorded, RecordedDecoder)
        fast = FastDecoder(small_sam.prompt_encoder, small_sam.mask_decoder)
        images = [fast.image_side(random(WIDTH, GRID, GRID, seed=seed).cuda()) for seed in range(2)]
        for turn in range(6):
            sparse = random(1, 2, WIDTH, seed=turn).cuda()
            found = recorded.attend(images[turn % 2], sparse, None, True)
            expected = fast.attend(images[turn % 2], sparse, None, True)
            torch.testing.assert_close(found.scores, expected.scores, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(found.draw(0), expected.draw(0), rtol=1e-4, atol=1e-4)
    finally:
        small_sam.cpu()

"""The fast encoder against the modules that it is made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from plain_encoder import plain_encode
from torch import nn

from mobile_sam.fast.crew import Crew
from mobile_sam.fast.encoder import FastTinyViT, foldable
from mobile_sam.fast.encoder_forms import encoder_form
from mobile_sam.fast.encoder_layers import Buffers
from mobile_sam.modeling import Sam, TinyViT

# Relative L2 distance. The sums are the same in another order.
TOLERANCE = 1e-5


@pytest.fixture(scope='module')
def vit() -> TinyViT:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        vit = TinyViT().eval()
        for module in vit.modules():  # fresh ones would hide half of the arithmetic
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.2, 1.5)
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
            if hasattr(module, 'attention_biases'):
                nn.init.normal_(module.attention_biases)
    return vit


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def picture(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize('members', [1, 3])
@pytest.mark.parametrize('size', [(16, 16), (64, 64), (80, 112), (144, 48), (256, 304)])
def test_same_features(vit: TinyViT, size: tuple[int, int], members: int) -> None:
    x = picture(1, 3, *size)
    with torch.inference_mode():
        expected = vit(x)
    features = FastTinyViT(vit, Crew(members))(x)
    assert features.is_contiguous()
    assert distance(features, expected) < TOLERANCE


def test_the_yardstick_is_the_same_model(vit: TinyViT) -> None:
    x = picture(2, 3, 80, 112)
    with torch.inference_mode():
        assert distance(plain_encode(vit, x), vit(x)) < TOLERANCE


@pytest.mark.parametrize('members', [1, 2, 5])
def test_many_strips(vit: TinyViT, monkeypatch: pytest.MonkeyPatch, members: int) -> None:
    x = picture(1, 3, 144, 176)
    monkeypatch.setattr('mobile_sam.fast.encoder._STRIP_BYTES', 1)  # two rows at a time
    with torch.inference_mode():
        assert distance(FastTinyViT(vit, Crew(members))(x), vit(x)) < TOLERANCE


def test_independent_of_batch_order_and_history(vit: TinyViT) -> None:
    fast = FastTinyViT(vit)
    a, b = picture(1, 3, 64, 96), picture(1, 3, 96, 64)
    alone = fast(a)
    fast(b)  # leaves its own numbers in the buffers
    both = fast(torch.cat([-a, a]))
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=0)
    torch.testing.assert_close(fast(a), alone, rtol=0, atol=0)


def test_independent_of_threads(vit: TinyViT, threads: None) -> None:
    x = picture(1, 3, 240, 304)
    torch.set_num_threads(1)
    one = FastTinyViT(vit, Crew(1))(x)
    for members in (2, 3, 5):
        assert distance(FastTinyViT(vit, Crew(members))(x), one) < TOLERANCE
    torch.set_num_threads(2)
    assert distance(FastTinyViT(vit, Crew(1))(x), one) < TOLERANCE


def test_model_is_left_alone_and_copied(vit: TinyViT) -> None:
    before = {name: value.clone() for name, value in vit.state_dict().items()}
    fast = FastTinyViT(vit)
    x = picture(1, 3, 48, 48)
    features = fast(x)
    assert all(torch.equal(vit.state_dict()[name], value) for name, value in before.items())
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(1)
    try:
        torch.testing.assert_close(fast(x), features, rtol=0, atol=0)
    finally:
        vit.load_state_dict(before)


def test_buffers_are_kept_and_given_back(vit: TinyViT) -> None:
    fast = FastTinyViT(vit, Crew(1))
    assert fast.buffer_bytes == 0
    features = fast(picture(1, 3, 96, 96))
    held = fast.buffer_bytes
    assert held > 0
    kept = features.clone()
    fast(picture(1, 3, 96, 96) + 1)
    assert fast.buffer_bytes == held
    torch.testing.assert_close(features, kept, rtol=0, atol=0)  # an answer is nobody's buffer
    fast.release()
    assert fast.buffer_bytes == 0


def test_buffers_are_lent_to_one_thread_at_a_time() -> None:
    buffers = Buffers()
    with buffers.lent() as mine, buffers.lent() as theirs:
        one, other = mine.get('strip', 4), theirs.get('strip', 4)
        assert one.data_ptr() != other.data_ptr()
        assert mine.get('strip', 2, 2).data_ptr() == one.data_ptr()
    assert buffers.nbytes == 2 * 4 * 4
    with buffers.lent() as again:
        assert again.get('strip', 4).data_ptr() in (one.data_ptr(), other.data_ptr())
    assert buffers.nbytes == 2 * 4 * 4
    buffers.release()
    assert buffers.nbytes == 0


def test_only_what_computes_the_same_is_folded(vit: TinyViT) -> None:
    assert foldable(vit)
    assert isinstance(encoder_form(vit, 'cpu')[0], FastTinyViT)
    vit.train()  # drops paths, and normalises by the batch
    assert not foldable(vit)
    vit.eval()
    handle = vit.layers[1].blocks[0].attn.qkv.register_forward_hook(lambda *_: None)
    assert not foldable(vit)
    assert encoder_form(vit, 'cpu') == (vit, 'torch')
    handle.remove()
    assert foldable(vit)

    class Other(TinyViT):
        pass

    assert not foldable(Other().eval())
    assert not foldable(TinyViT().eval().bfloat16())
    with torch.device('meta'):
        assert not foldable(TinyViT().eval())


@pytest.mark.parametrize('size', [(16, 20), (0, 16)])
def test_odd_sizes_are_refused(vit: TinyViT, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match='multiples of 16'):
        FastTinyViT(vit)(torch.zeros(1, 3, *size))


def test_golden_embedding_of_the_fast_form(
    golden_sam: Sam, golden: Any, golden_image: Any, golden_seen: set[str]
) -> None:
    from mobile_sam.utils.transforms import ResizeLongestSide

    resized = ResizeLongestSide(1024).apply_image(golden_image('formula'))
    pixels = torch.as_tensor(resized).permute(2, 0, 1)[None].contiguous()
    encoder = golden_sam.image_encoder
    assert isinstance(encoder, TinyViT)
    features = FastTinyViT(encoder)(golden_sam.preprocess(pixels)).numpy()
    golden_seen.add('formula/embedding/sample')
    np.testing.assert_allclose(
        features.ravel()[::257], golden['formula/embedding/sample'], atol=2e-3, rtol=0
    )

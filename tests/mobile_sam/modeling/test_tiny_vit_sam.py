from __future__ import annotations

import pytest
import torch

from mobile_sam.modeling import TinyViT
from mobile_sam.modeling.common import join_windows, split_windows


@pytest.fixture(scope='module')
def encoder() -> TinyViT:
    torch.manual_seed(0)
    return TinyViT().eval()


@pytest.mark.parametrize('size', [(16, 16), (64, 64), (96, 160), (224, 48), (304, 304)])
def test_any_multiple_of_16(encoder: TinyViT, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        out = encoder(torch.randn(2, 3, *size))
    assert out.shape == (2, 256, size[0] // 16, size[1] // 16)
    assert out.isfinite().all()


@pytest.mark.parametrize('size', [(100, 64), (64, 8), (0, 64)])
def test_other_sizes_are_refused(encoder: TinyViT, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match='multiples of 16'):
        encoder(torch.zeros(1, 3, *size))


def test_images_of_a_batch_do_not_see_each_other(encoder: TinyViT) -> None:
    x = torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        together = encoder(x)
        alone = torch.cat([encoder(one[None]) for one in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_train_and_eval_order_does_not_matter() -> None:
    """The reference gathers attention biases on eval(), and goes stale after loading."""
    torch.manual_seed(0)
    fresh, used = TinyViT().eval(), TinyViT().eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        used(x)
        for attn in (m for m in fresh.modules() if hasattr(m, 'attention_biases')):
            attn.attention_biases.normal_()
        used.load_state_dict(fresh.state_dict())
        torch.testing.assert_close(used(x), fresh(x))


def test_gradient_checkpointing_changes_memory_only() -> None:
    torch.manual_seed(0)
    plain = TinyViT(depths=(1, 1, 1, 1))
    saving = TinyViT(depths=(1, 1, 1, 1), use_checkpoint=True)
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 32, 32)
    grads = []
    for model in (plain.train(), saving.train()):
        model(x).square().mean().backward()
        grads.append(model.patch_embed.seq[0].c.weight.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('shape', [(1, 14, 14), (2, 15, 7), (1, 3, 20)])
def test_windows_round_trip(shape: tuple[int, int, int]) -> None:
    x = torch.randn(*shape, 5)
    windows = split_windows(x, 7)
    assert windows.shape[1:] == (7, 7, 5)
    assert torch.equal(join_windows(windows, 7, shape[1:]), x)
    # What lies beyond the edge is zero, at the bottom and right only.
    assert windows.sum() == pytest.approx(x.sum().item(), abs=1e-3)
    assert torch.equal(windows[0, 0, : min(7, shape[2])], x[0, 0, :7])

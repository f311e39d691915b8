from __future__ import annotations

import pytest
import torch

from mobile_sam.modeling import ImageEncoderViT
from mobile_sam.modeling.image_encoder import Attention, relative_table


def small(**options: object) -> ImageEncoderViT:
    torch.manual_seed(0)
    return ImageEncoderViT(
        img_size=160, embed_dim=24, depth=2, num_heads=3, use_rel_pos=True,
        window_size=7, global_attn_indexes=(1,), **options,  # type: ignore[arg-type]
    ).eval()  # fmt: skip


def test_shape_and_one_size_only() -> None:
    encoder = small()
    with torch.inference_mode():
        assert encoder(torch.randn(2, 3, 160, 160)).shape == (2, 256, 10, 10)
    with pytest.raises(ValueError, match='160 × 160'):
        encoder(torch.randn(1, 3, 160, 144))


def test_relative_positions_by_definition() -> None:
    """Decomposed relative positions against the sum written out pair by pair."""
    torch.manual_seed(0)
    attn = Attention(dim=8, num_heads=2, qkv_bias=True, use_rel_pos=True, input_size=(3, 4))
    with torch.no_grad():
        attn.rel_pos_h.normal_()
        attn.rel_pos_w.normal_()
    x = torch.randn(1, 3, 4, 8)
    with torch.no_grad():
        query, key, value = attn.qkv(x).view(12, 3, 2, 4).permute(1, 2, 0, 3)
        logits = torch.empty(2, 12, 12)
        for head in range(2):
            for i in range(12):
                for j in range(12):
                    q = query[head, i]
                    dot = q @ key[head, j] / 2  # sqrt of the 4 channels of a head
                    row = q @ attn.rel_pos_h[i // 4 - j // 4 + 2]
                    col = q @ attn.rel_pos_w[i % 4 - j % 4 + 3]
                    logits[head, i, j] = dot + row + col
        expected = (logits.softmax(-1) @ value).permute(1, 0, 2).reshape(1, 3, 4, 8)
        torch.testing.assert_close(attn(x), attn.proj(expected), atol=1e-5, rtol=1e-4)


def test_relative_table_is_resampled_for_another_length() -> None:
    table = torch.linspace(-1, 1, 13)[:, None]
    same = relative_table(table, 7, 7)
    assert same.shape == (7, 7, 1)
    assert same[0, 0] == table[6]
    assert same[6, 0] == table[12]
    longer = relative_table(table, 14, 14)
    assert longer.shape == (14, 14, 1)
    assert (longer[1:, 0] >= longer[:-1, 0]).all()

from __future__ import annotations

import torch

from mobile_sam.build_sam import build_sam_vit_t


def test_each_label_adds_its_own_offset_and_unknown_ones_none() -> None:
    encoder = build_sam_vit_t().prompt_encoder
    labels = torch.tensor([[-1, 0, 1, 2, 3, -2, 4, 9]])
    coords = torch.rand(1, labels.shape[1], 2) * 1024
    with torch.no_grad():
        bare = encoder.pe_layer.forward_with_coords(coords + 0.5, (1024, 1024))[0]
        found = encoder.embed_labelled(coords, labels)[0]
        assert torch.equal(found[0], encoder.not_a_point_embed.weight[0])
        for label, table in enumerate(encoder.point_embeddings):
            assert torch.equal(found[label + 1], bare[label + 1] + table.weight[0])
        assert torch.equal(found[5:], bare[5:])
        assert torch.equal(encoder.embed_labelled(coords, labels.int())[0], found)

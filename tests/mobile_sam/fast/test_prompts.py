"""Tokens of prompts in numpy are those of the prompt encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mobile_sam.fast.prompts import prompt_tokens
from mobile_sam.modeling import Sam

SIDE = 128  # of small_sam


@pytest.mark.parametrize('kind', ['points', 'box', 'points box'])
@pytest.mark.parametrize('batch', [1, 3])
def test_equals_the_prompt_encoder(small_sam: Sam, kind: str, batch: int) -> None:
    source = np.random.default_rng(0)
    points = signs = corners = None
    if 'points' in kind:
        points = source.uniform(-1, SIDE, (batch, 4, 2)).astype(np.float32)
        signs = source.integers(0, 2, (batch, 4))
    if 'box' in kind:
        corners = source.uniform(-1, SIDE, (batch, 2, 2)).astype(np.float32)
    tokens = prompt_tokens(small_sam.prompt_encoder)
    assert tokens is not None
    with torch.no_grad():
        expected, _ = small_sam.prompt_encoder(
            points=None
            if points is None or signs is None
            else (torch.from_numpy(points), torch.from_numpy(signs)),
            boxes=None if corners is None else torch.from_numpy(corners),
            masks=None,
        )
    found = torch.from_numpy(tokens(points, signs, corners))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1


def test_what_may_compute_something_else_is_left_alone(small_sam: Sam) -> None:
    handle = small_sam.prompt_encoder.pe_layer.register_forward_hook(lambda *_: None)
    try:
        assert prompt_tokens(small_sam.prompt_encoder) is None
    finally:
        handle.remove()
    assert prompt_tokens(torch.nn.Identity()) is None

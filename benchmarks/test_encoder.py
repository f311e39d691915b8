"""The image encoder at 1024²."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from plain_encoder import plain_encode

from mobile_sam import setup_model
from mobile_sam.modeling import TinyViT


@pytest.fixture(scope='module')
def encoder() -> TinyViT:
    # Random weights: the time is the same, the features mean nothing.
    torch.manual_seed(0)
    return setup_model().image_encoder


@pytest.fixture(scope='module')
def pixels() -> torch.Tensor:
    return torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(1))


def test_encoder_modules(compare: Any, encoder: TinyViT, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        compare(
            'encoder, as its modules compute it',
            lambda: plain_encode(encoder, pixels),
            lambda: encoder(pixels),
        )

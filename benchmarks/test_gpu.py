"""On a graphics card, where one is at hand: milliseconds, beside what products alone would take.

python -m pytest benchmarks/test_gpu.py
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch

from mobile_sam import setup_model
from mobile_sam.checkpoints import LoadedModel
from mobile_sam.fast.encoder_forms import encoder_form
from mobile_sam.fast.forms import decoder_form
from mobile_sam.fast.prompts import prompt_tokens
from mobile_sam.modeling import Sam
from napari_mobilesam.engine import SamSegmenter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')

ENCODER_FLOP, DECODER_FLOP = 77.5e9, 0.9e9
SLICES = 64


@pytest.fixture(scope='module')
def model() -> Sam:
    torch.manual_seed(0)
    return setup_model().cuda()


def milliseconds(call: Callable[[], Any], times: int = 50, warm: int = 10) -> list[float]:
    taken = []
    for _ in range(warm + times):
        torch.cuda.synchronize()
        start = perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(1000 * (perf_counter() - start))
    return taken[warm:]


def products_ms(flop: float, dtype: torch.dtype) -> list[float]:
    """How long the card takes for so many operations where they are one large product."""
    side = 8192
    matrix = torch.ones(side, side, dtype=dtype, device='cuda')
    return [flop / (2 * side**3) * each for each in milliseconds(lambda: matrix @ matrix, 10)]


def half() -> Any:
    return torch.autocast('cuda', torch.bfloat16, cache_enabled=False)


@torch.inference_mode()
def test_encoder(note: Any, model: Sam) -> None:
    encode, name = encoder_form(model.image_encoder, 'cuda')
    pixels = torch.randn(1, 3, 1024, 1024, device='cuda')

    def one() -> None:
        with half():
            encode(pixels)

    note(f'encoder, one image, bfloat16 ({name})', milliseconds(one), 'ms', floor=4, aim=2)
    note('its products alone', products_ms(ENCODER_FLOP, torch.bfloat16), 'ms')


@torch.inference_mode()
def test_decoder(note: Any, model: Sam) -> None:
    form = decoder_form(model)
    image = form.image_side(torch.randn(256, 64, 64, device='cuda'))
    tokens = prompt_tokens(model.prompt_encoder)
    assert tokens is not None
    point, positive = np.full((1, 1, 2), 400, np.float32), np.ones((1, 1), np.int64)

    def one() -> None:
        sparse = torch.from_numpy(tokens(point, positive, None)).cuda()
        form.attend(image, sparse, None, multimask=True).draw(0)

    note(
        f'decoder, 1 prompt, float32 ({type(form).__name__})',
        milliseconds(one),
        'ms',
        floor=2,
        aim=1,
    )
    note('its products alone', products_ms(DECODER_FLOP, torch.float32), 'ms')


def test_slices(note: Any, model: Sam) -> None:
    loaded = LoadedModel(model, '0' * 64, 'vit_t', 'random')
    segmenter = SamSegmenter(loaded, 'cuda', precision='bfloat16')
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (SLICES, 1024, 1024, 3), dtype=np.uint8))
    taken = milliseconds(lambda: list(segmenter.encode_many(images)), times=5, warm=2)
    note(
        'a slice of a stack, bfloat16',
        [each / SLICES for each in taken],
        'ms',
        floor=1000 / 250,
        aim=1000 / 600,
    )

"""From prompts to masks: the decoder, a click and a hover, against the plain way.

The plain way is that of the published implementation: decode everything, enlarge everything, look.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from plain_decoder import module_decode, plain_click, plain_decode
from scipy import ndimage

from mobile_sam import setup_model
from mobile_sam.checkpoints import LoadedModel
from mobile_sam.fast.decoder import FastDecoder
from mobile_sam.modeling import Sam
from napari_mobilesam.engine import (
    Candidates,
    Embedding,
    Prompts,
    SamSegmenter,
)

SQUARE = (1024, 1024)
POINT = (400.0, 300.0)


@pytest.fixture(scope='module')
def model() -> Sam:
    torch.manual_seed(0)
    return setup_model()


@pytest.fixture(scope='module')
def segmenter(model: Sam) -> SamSegmenter:
    return SamSegmenter(LoadedModel(model, '0' * 64, 'vit_t', 'random'), 'cpu')


@pytest.fixture(scope='module')
def features() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(256, 64, 64)).astype(np.float16)
    return noise


def tensor(features: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(features[None].astype(np.float32))


@pytest.mark.parametrize(
    ('count', 'rounds', 'floor', 'aim'), [(1, 15, 3.0, 4.5), (64, 3, 4.5, 8.0)]
)
def test_decoder(
    compare: Any,
    model: Sam,
    features: np.ndarray,
    count: int,
    rounds: int,
    floor: float,
    aim: float,
) -> None:
    fast = FastDecoder(model.prompt_encoder, model.mask_decoder)
    image = fast.image_side(tensor(features)[0])
    points = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 1024
    labels = torch.ones(count, 1, dtype=torch.int64)

    def decode() -> None:
        with torch.inference_mode():
            sparse, _ = model.prompt_encoder(
                points=(points[:, None], labels), boxes=None, masks=None
            )
            deque(fast.decode(image, sparse, None, True), maxlen=0)

    compare(
        f'decoder, {count} prompt{"s" if count > 1 else ""}',
        lambda: plain_decode(model, tensor(features), points),
        decode,
        rounds=rounds,
        floor=floor,
        aim=aim,
    )


def test_decoder_modules(compare: Any, model: Sam, features: np.ndarray) -> None:
    """The modules attend by torch's fused operation, and are no upstream-like form any more."""
    point = torch.tensor([[400.0, 300.0]])
    compare(
        'decoder, 1 prompt, as its modules compute it',
        lambda: plain_decode(model, tensor(features), point),
        lambda: module_decode(model, tensor(features), point),
        rounds=15,
    )


def cell_like(found: Candidates) -> Candidates:
    """Give candidates the logits that a trained model gives: one object, smooth, with an edge."""
    rows, columns = np.mgrid[:256, :256]
    disc = (20 - np.hypot(rows - 100, columns - 75)).clip(-12, 12)
    bumps = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(256, 256)), 4)
    logits = np.repeat((disc + 20 * bumps)[None], len(found), axis=0)
    return Candidates(logits, found.scores, found.original_size, found.input_size)


@pytest.mark.parametrize('size', [512, 2048, 8192])
@pytest.mark.parametrize('every', [True, False], ids=['same', 'best'])
def test_click(
    compare: Any, model: Sam, segmenter: SamSegmenter, features: np.ndarray, size: int, every: bool
) -> None:
    embedding = Embedding(features, (size, size), SQUARE, 'noise')
    click = Prompts(((size * 0.4, size * 0.3),), (True,))
    segmenter.decode(embedding, click)  # the image side is made with the first click

    # The masks of random weights are noise: those of the last step are a cell's, as it would be.
    cells = cell_like(segmenter.decode(embedding, click))

    def fast() -> None:
        if every:
            scores = segmenter.decode(embedding, click).scores
            for index in range(len(scores)):
                cells.mask(index)
        else:
            segmenter.hover(embedding, click.points[0])
            cells.patch()

    floors = {(2048, True): (5.0, 8.0), (2048, False): (7.0, 10.0)}
    floor, aim = floors.get((size, every), (None, None))
    compare(
        f'click at {size}², {"all masks" if every else "best mask"}',
        lambda: plain_click(
            model, tensor(features), torch.tensor([400.0, 300.0]), SQUARE, (size, size)
        ),
        fast,
        rounds=5 if size > 4000 else 9,
        floor=floor,
        aim=aim,
    )


@pytest.mark.parametrize('size', [2048, 8192])
def test_mask(compare: Any, model: Sam, size: int) -> None:
    """One mask in full size, of one cell, without the decoding."""
    scores = np.ones(1, np.float32)
    found = cell_like(Candidates(np.zeros((1, 256, 256)), scores, (size, size), SQUARE))
    logits = torch.from_numpy(np.array(found.logits[None]))  # those of candidates are read-only
    compare(
        f'mask at {size}², one cell',
        lambda: model.postprocess_masks(logits, SQUARE, (size, size)) > 0,
        lambda: found.patch(),
    )


def test_hover(compare: Any, model: Sam, segmenter: SamSegmenter, features: np.ndarray) -> None:
    embedding = Embedding(features, (2048, 2048), SQUARE, 'noise')
    segmenter.hover(embedding, POINT)
    compare(
        'hover, against a click at 2048²',
        lambda: plain_click(
            model, tensor(features), torch.tensor([150.0, 200.0]), SQUARE, (2048, 2048)
        ),
        lambda: segmenter.hover(embedding, POINT).patch(grid=(256, 256)),
        rounds=9,
        floor=8.0,
        aim=10.0,
    )

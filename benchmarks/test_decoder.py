"""From prompts to masks: the decoder, a click and a hover, against the plain way.

The plain way is that of the published implementation: decode everything, enlarge everything, look.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from coin_picture import COIN, coin_picture
from plain_decoder import module_decode, plain_click, plain_decode

from mobile_sam.checkpoints import BUNDLED_NAME, LoadedModel, load_model
from mobile_sam.fast.decoder import FastDecoder
from mobile_sam.modeling import Sam
from mobile_sam.utils.transforms import frame_coords
from napari_mobilesam.engine import (
    Embedding,
    Patch,
    Prompts,
    SamSegmenter,
)

SQUARE = (1024, 1024)


@pytest.fixture(scope='module')
def loaded() -> LoadedModel:
    return load_model(BUNDLED_NAME)


@pytest.fixture(scope='module')
def model(loaded: LoadedModel) -> Sam:
    return loaded.model


@pytest.fixture(scope='module')
def segmenter(loaded: LoadedModel) -> SamSegmenter:
    return SamSegmenter(loaded, 'cpu')


@pytest.fixture(scope='module')
def features(segmenter: SamSegmenter) -> np.ndarray:
    return segmenter.encode(coin_picture()).features


def tensor(features: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(features[None].astype(np.float32))


@pytest.mark.parametrize(
    ('count', 'rounds', 'floor', 'aim'), [(1, 15, 3.0, 4.5), (64, 5, 4.5, 8.0)]
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


def on_coin(size: int) -> tuple[float, float]:
    return COIN[0] * size, COIN[1] * size


def in_frame(size: int) -> torch.Tensor:
    """The same point, (x, y) in the model's frame."""
    row, column = on_coin(size)
    return torch.from_numpy(frame_coords(np.array([column, row]), (size, size), SQUARE)).float()


@pytest.mark.parametrize('size', [512, 2048, 8192])
@pytest.mark.parametrize('every', [True, False], ids=['same', 'best'])
def test_click(
    compare: Any, model: Sam, segmenter: SamSegmenter, features: np.ndarray, size: int, every: bool
) -> None:
    embedding = Embedding(features, (size, size), SQUARE, 'coins')
    click = Prompts((on_coin(size),), (True,))
    segmenter.decode(embedding, click)  # the image side is made with the first click

    def plain() -> tuple[torch.Tensor, torch.Tensor]:
        return plain_click(model, tensor(features), in_frame(size), SQUARE, (size, size))

    def all_masks() -> list[np.ndarray]:
        found = segmenter.decode(embedding, click)
        return [found.mask(index) for index in range(len(found))]

    def best_mask() -> Patch:
        return segmenter.hover(embedding, click.points[0]).patch()

    masks, scores = plain()
    expected = masks.numpy()
    assert 0.005 < expected[int(scores.argmax())].mean() < 0.05  # a coin
    assert np.mean(best_mask().full() != expected[int(scores.argmax())]) < 1e-5
    assert np.mean(np.array(all_masks()) != expected) < 1e-5
    floors = {(2048, True): (5.0, 8.0), (2048, False): (7.0, 10.0)}
    floor, aim = floors.get((size, every), (None, None))
    compare(
        f'click at {size}², {"all masks" if every else "best mask"}',
        plain,
        all_masks if every else best_mask,
        rounds=5 if size > 4000 else 9,
        floor=floor,
        aim=aim,
    )


@pytest.mark.parametrize('size', [2048, 8192])
def test_mask(
    compare: Any, model: Sam, segmenter: SamSegmenter, features: np.ndarray, size: int
) -> None:
    """One mask in full size, without the decoding."""
    embedding = Embedding(features, (size, size), SQUARE, 'coins')
    found = segmenter.hover(embedding, on_coin(size))
    logits = torch.from_numpy(np.array(found.logits[None]))  # those of candidates are read-only
    compare(
        f'mask at {size}², one coin',
        lambda: model.postprocess_masks(logits, SQUARE, (size, size)) > 0,
        lambda: found.patch(),
    )


def test_hover(compare: Any, model: Sam, segmenter: SamSegmenter, features: np.ndarray) -> None:
    """A mouse that moves: three points in turn, in either form."""
    embedding = Embedding(features, (2048, 2048), SQUARE, 'coins')
    row, column = on_coin(2048)
    path = [(row + step, column) for step in (-10.0, 0.0, 10.0)]
    segmenter.hover(embedding, path[0])

    def clicks() -> None:
        for step in (-5.0, 0.0, 5.0):
            at = in_frame(2048) + torch.tensor([0.0, step])
            plain_click(model, tensor(features), at, SQUARE, (2048, 2048))

    def hovers() -> None:
        for point in path:
            segmenter.hover(embedding, point).patch(grid=(256, 256))

    # In many rounds, as what a plain click costs swings.
    compare('three hovers, against clicks at 2048²', clicks, hovers, rounds=25, floor=8.0, aim=10.0)

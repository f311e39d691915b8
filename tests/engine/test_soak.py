"""A long day of work: the process does not grow while clicks and pictures come and go."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from mobile_sam import setup_model
from mobile_sam.checkpoints import LoadedModel
from napari_mobilesam.engine import Embedding, Prompts, SamSegmenter

# What an allocator may hold on to. A mask that is kept of each click would be 500 MiB.
ALLOWED_MIB = 48


def resident() -> float:
    """Memory of this process in MiB."""
    gc.collect()
    with open('/proc/self/status', encoding='ascii') as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith('VmRSS')) / 1024


def growth(work: Callable[[int], None], times: int) -> float:
    """Do something many times; by how many MiB the last three quarters of them made us grow."""
    for number in range(times // 4):
        work(number)
    before = resident()
    for number in range(times // 4, times):
        work(number)
    return resident() - before


@pytest.fixture(scope='module')
def segmenter() -> SamSegmenter:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SamSegmenter(LoadedModel(setup_model(), '0' * 64, 'vit_t', 'random'), 'cpu')


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc'),
]


def test_two_thousand_clicks(segmenter: SamSegmenter) -> None:
    rng = np.random.default_rng(0)
    embeddings = [
        Embedding(rng.normal(size=(256, 64, 64)), (512, 512), (1024, 1024), str(number))
        for number in range(3)
    ]

    def click(number: int) -> None:
        point = tuple(rng.uniform(0, 511, 2).tolist())
        embedding = embeddings[number // 10 % 3]  # from slice to slice
        if number % 3:
            segmenter.hover(embedding, point).patch(grid=(256, 256))
        found = segmenter.decode(embedding, Prompts((point,), (True,)))
        found.patch()

    assert growth(click, 2000) < ALLOWED_MIB


def test_two_hundred_encodes(segmenter: SamSegmenter) -> None:
    rng = np.random.default_rng(1)
    shapes = [(64, 48), (512, 512), (300, 700), (64, 64)]

    def encode(number: int) -> None:
        shape = (*shapes[number % len(shapes)], 3)
        segmenter.encode(rng.integers(0, 256, shape, dtype=np.uint8))

    assert growth(encode, 200) < ALLOWED_MIB

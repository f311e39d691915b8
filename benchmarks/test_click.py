"""What a click costs, in units of what embedding a plane costs on the same machine."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import pytest

from mobile_sam import sam_model_registry
from mobile_sam.checkpoints import LoadedModel
from napari_mobilesam.engine import (
    Annotator,
    IntensityMapping,
    OverlapRule,
    PlaneKey,
    PlaneSource,
    Prompts,
    SamSegmenter,
    plan_commit,
)

CLICK = Prompts(points=((256.0, 256.0),), positive=(True,))


@pytest.fixture(scope='module')
def annotator() -> Annotator:
    # Random weights: the time is the same, the masks mean nothing.
    model = sam_model_registry['vit_t'](checkpoint=None)
    loaded = LoadedModel(model=model, digest='0' * 64, architecture='vit_t', name='random')
    return Annotator(SamSegmenter(loaded, device='cpu'))


def plane(seed: int) -> PlaneSource:
    pixels = np.random.default_rng(seed).integers(0, 4096, (512, 512), dtype=np.uint16)
    return PlaneSource(PlaneKey('noise', (0, 1), ()), pixels, IntensityMapping(), rgb=False)


def test_click_on_an_embedded_plane(benchmark: Any, annotator: Annotator) -> None:
    source = plane(0)
    annotator.embed(plane(1))  # warm up
    start = perf_counter()
    annotator.embed(source)
    embedding_seconds = perf_counter() - start

    benchmark(annotator.predict, source, CLICK)

    ratio = benchmark.stats.stats.median / embedding_seconds
    benchmark.extra_info['in units of an embedding'] = ratio
    assert ratio < 0.2


def test_full_size_mask_and_commit(benchmark: Any, annotator: Annotator) -> None:
    candidates = annotator.predict(plane(0), CLICK).candidates
    labels = np.zeros((512, 512), np.int32)

    benchmark(lambda: plan_commit(candidates.mask(), labels, 1, OverlapRule.KEEP))

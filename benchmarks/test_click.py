"""What a click costs, in units of what embedding a plane costs on the same machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mobile_sam import sam_model_registry
from mobile_sam.checkpoints import LoadedModel
from napari_mobilesam.engine import (
    Annotator,
    IntensityMapping,
    PlacedMask,
    PlaneKey,
    PlaneSource,
    Prompts,
    SamSegmenter,
    SegmentedObject,
    Session,
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


def test_click_on_an_embedded_plane(compare: Any, annotator: Annotator) -> None:
    source = plane(0)
    annotator.embed(source)

    def embed() -> None:
        annotator.store.clear()
        annotator.embed(source)

    def click() -> None:
        annotator.predict(source, CLICK)

    compare('embedding a plane ÷ a click on it', lambda: (embed(), click()), click, floor=6)


def test_full_size_mask_and_commit(compare: Any, annotator: Annotator) -> None:
    source = plane(0)
    candidates = annotator.predict(source, CLICK).candidates
    labels = np.zeros((512, 512), np.int32)

    compare(
        'a click ÷ its commit',
        lambda: annotator.predict(source, CLICK),
        lambda: plan_commit(
            Session(), labels, [PlacedMask((0, 0), candidates.mask(), SegmentedObject())]
        ),
    )

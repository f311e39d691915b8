"""Golden outputs of the reference implementation and the model that must repeat them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from mobile_sam import SamPredictor, setup_model
from mobile_sam.modeling import (
    MaskDecoder,
    PromptEncoder,
    Sam,
    TinyViT,
    TwoWayTransformer,
)

SMALL_SIDE = 128


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the check that no golden array was forgotten come after all who compare them."""
    items.sort(key=lambda item: item.name == 'test_golden_arrays_are_all_compared')


@pytest.fixture(scope='session')
def golden(goldens: Path) -> Mapping[str, np.ndarray]:
    """Every golden array, by key."""
    return np.load(goldens / 'goldens.npz')


@pytest.fixture(scope='session')
def golden_meta(golden: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return json.loads(str(golden['meta']))


@pytest.fixture(scope='session')
def golden_seen() -> set[str]:
    """Keys that a golden test has compared: a last test checks that none was left out."""
    return {'meta'}


@pytest.fixture(scope='session')
def synthetic(goldens: Path) -> ModuleType:
    """The recipe of the synthetic weights, loaded from beside the goldens."""
    path = goldens / 'synthetic_weights.py'
    spec = importlib.util.spec_from_file_location('synthetic_weights', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def golden_spec(synthetic: ModuleType) -> dict[str, Any]:
    return synthetic.load_spec()


@pytest.fixture(scope='session')
def golden_sam(
    synthetic: ModuleType, golden_spec: dict[str, Any], golden_meta: dict[str, Any]
) -> Sam:
    """MobileSAM with the weights that the goldens were made with."""
    sam = setup_model()
    state = synthetic.synthetic_state_dict(golden_spec, golden_meta['salt'])
    sam.load_state_dict(state, strict=True)
    return sam


@pytest.fixture(scope='session')
def golden_image(golden: Mapping[str, np.ndarray]) -> Callable[[str], np.ndarray]:
    """Give the golden images by name, uint8 (H, W, 3)."""
    from skimage import data

    def image(name: str) -> np.ndarray:
        if name == 'formula':
            return golden['formula/image']
        pixels = getattr(data, name)()
        return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)

    return image


@pytest.fixture(scope='session')
def golden_predictor(
    golden_sam: Sam, golden_image: Callable[[str], np.ndarray]
) -> Callable[[str], SamPredictor]:
    """Give predictors with a golden image set; every image is encoded once per session."""
    made: dict[str, SamPredictor] = {}

    def predictor(name: str) -> SamPredictor:
        if name not in made:
            made[name] = SamPredictor(golden_sam)
            made[name].set_image(golden_image(name))
        return made[name]

    return predictor


@pytest.fixture(scope='session')
def small_sam() -> Sam:
    """MobileSAM with random weights for pictures of 128 pixels: fast, and needs no files."""
    grid = SMALL_SIDE // 16
    with torch.random.fork_rng():
        torch.manual_seed(7)
        sam = Sam(
            image_encoder=TinyViT(img_size=SMALL_SIDE),
            prompt_encoder=PromptEncoder(
                embed_dim=256,
                image_embedding_size=(grid, grid),
                input_image_size=(SMALL_SIDE, SMALL_SIDE),
                mask_in_chans=16,
            ),
            mask_decoder=MaskDecoder(
                transformer_dim=256,
                transformer=TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=64),
            ),
        )
    return sam.eval()


@pytest.fixture(scope='session')
def small_image() -> np.ndarray:
    """A picture, uint8 (90, 120, 3), of smooth random blobs."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return coarse.repeat(10, axis=0).repeat(10, axis=1)

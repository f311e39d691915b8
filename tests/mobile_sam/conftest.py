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

from mobile_sam import setup_model
from mobile_sam.modeling import Sam


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

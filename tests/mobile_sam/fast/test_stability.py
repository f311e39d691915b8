from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from mobile_sam.fast.masks import Upscaler
from mobile_sam.fast.stability import CroppedLogits, estimated_stability, stability
from mobile_sam.utils.amg import calculate_stability_score

SIZE = (300, 400)
SCALE = Upscaler(256, (768, 1024), SIZE)


def blob(seed: int, width: float) -> np.ndarray:
    """Logits of one object, smooth, of about this radius."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256]
    row, column = rng.uniform(20, 170), rng.uniform(20, 230)
    bumps = ndimage.gaussian_filter(rng.normal(size=(256, 256)), 4) * 8
    return (width - np.hypot(y - row, x - column) + bumps).clip(-15, 15).astype(np.float32)


def plainly(logits: np.ndarray) -> float:
    tensor = torch.from_numpy(logits)[None, None]
    square = functional.interpolate(tensor, (1024, 1024), mode='bilinear', align_corners=False)
    full = functional.interpolate(square[..., :768, :], SIZE, mode='bilinear', align_corners=False)
    return float(calculate_stability_score(full[0, 0], 0.0, 1.0))


@pytest.mark.parametrize('width', [2.0, 5.0, 15.0, 60.0])
@pytest.mark.parametrize('seed', range(5))
def test_exact_and_estimated(seed: int, width: float) -> None:
    logits = blob(seed, width)
    exact = stability(logits, SCALE, 0.0, 1.0)
    assert exact == pytest.approx(plainly(logits), abs=1e-4)
    estimate, doubt = estimated_stability(logits[:192], 0.0, 1.0)
    assert abs(estimate - exact) < doubt


def test_nothing_there() -> None:
    logits = np.full((256, 256), -5, np.float32)
    assert np.isnan(stability(logits, SCALE, 0.0, 1.0))
    estimate, doubt = estimated_stability(logits, 0.0, 1.0)
    assert np.isnan(estimate)
    assert doubt == np.inf


@pytest.mark.parametrize('seed', range(5))
def test_cropped_logits_are_enough(seed: int) -> None:
    logits = blob(seed, 9.0)
    cropped = CroppedLogits.of(logits, -0.1)
    assert cropped.part.size < 40 * 40
    for threshold in (-0.1, 0.0, 0.1):
        for ours, theirs in zip(
            SCALE.above(cropped.whole(), threshold), SCALE.above(logits, threshold), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    empty = CroppedLogits.of(np.full((256, 256), -5, np.float32), -1.0)
    assert not SCALE.above(empty.whole(), -1.0)[2].size

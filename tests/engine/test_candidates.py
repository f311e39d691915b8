from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_mobilesam.engine import Candidates, best_index

NAN = float('nan')


@pytest.mark.parametrize(
    ('scores', 'best', 'order'),
    [
        ([0.1, 0.9, 0.5], 1, (1, 2, 0)),
        ([0.9], 0, (0,)),
        ([0.5, 0.9, 0.9], 1, (1, 2, 0)),
        ([0.7, 0.7, 0.7], 0, (0, 1, 2)),
        ([NAN, 0.2, 0.1], 1, (1, 2, 0)),
        ([-0.5, NAN, -0.1], 2, (2, 0, 1)),
        ([NAN, NAN], 0, (0, 1)),
        ([0.2, float('inf'), NAN], 1, (1, 0, 2)),
    ],
)
def test_T21_the_best(scores: list[float], best: int, order: tuple[int, ...]) -> None:
    assert best_index(np.array(scores)) == best
    candidates = Candidates(
        np.zeros((len(scores), 256, 256)), np.array(scores), (4, 4), (1024, 1024)
    )
    assert candidates.best == best
    assert candidates.order == order
    assert len(candidates) == len(scores)


def test_T21_no_scores() -> None:
    with pytest.raises(ValueError, match='N >= 1'):
        best_index(np.array([]))
    with pytest.raises(ValueError, match='at least one candidate'):
        Candidates(np.zeros((0, 256, 256)), np.zeros(0), (4, 4), (1024, 1024))


def test_T21_mask_and_score_are_of_the_best_unless_told() -> None:
    logits = np.full((3, 256, 256), -5.0)
    logits[1, :128] = 5
    logits[2, 128:] = 5
    candidates = Candidates(logits, np.array([0.1, 0.9, 0.2]), (64, 64), (1024, 1024))
    assert candidates.mask()[:32].all()
    assert candidates.score() == pytest.approx(0.9)
    assert candidates.mask(2)[32:].all()
    assert not candidates.mask(0).any()
    assert candidates.score(2) == pytest.approx(0.2)
    for wrong in (3, -1):
        with pytest.raises(IndexError, match='3 candidates'):
            candidates.mask(wrong)


def reference(
    logits: np.ndarray, input_size: tuple[int, int], size: tuple[int, int]
) -> torch.Tensor:
    """Enlarge step by step with torch, as the model's own post-processing does."""
    tensor = torch.from_numpy(logits)[None, None]
    tensor = functional.interpolate(tensor, (1024, 1024), mode='bilinear', align_corners=False)
    tensor = tensor[..., : input_size[0], : input_size[1]]
    return functional.interpolate(tensor, size, mode='bilinear', align_corners=False)[0, 0]


@pytest.mark.parametrize(
    ('original', 'resized'),
    [
        ((1024, 1024), (1024, 1024)),
        ((256, 256), (1024, 1024)),
        ((300, 400), (768, 1024)),
        ((2000, 1501), (1024, 769)),
        ((1300, 77), (1024, 61)),
        ((1, 1), (1024, 1024)),
        ((5, 3000), (2, 1024)),
    ],
)
@pytest.mark.parametrize('seed', [0, 1])
def test_mask_equals_the_models_post_processing(
    original: tuple[int, int], resized: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(256, 256)).astype(np.float32)
    smooth = np.full((256, 256), -6, np.float32)
    smooth[40:90, 5:60] = rng.uniform(-2, 8, (50, 55))
    for logits in (noise, smooth):
        expected = reference(logits, resized, original).numpy()
        mask = Candidates(logits[None], np.ones(1), original, resized).mask()
        assert mask.shape == original
        assert mask.dtype == bool
        decided = np.abs(expected) > 1e-4  # the rest is the rounding of float32 sums
        np.testing.assert_array_equal(mask[decided], (expected > 0)[decided])


def test_padding_is_cut_away() -> None:
    logits = np.full((1, 256, 256), -4.0)
    logits[0, 192:] = 4  # below the picture
    candidates = Candidates(logits, np.ones(1), (300, 400), (768, 1024))
    # the interpolation reaches half a logit up into the picture, as it does in SAM
    assert not candidates.mask()[:-2].any()


def test_patch_is_small_for_a_small_object() -> None:
    logits = np.full((1, 256, 256), -4.0)
    logits[0, 100:110, 50:55] = 4
    candidates = Candidates(logits, np.ones(1), (2048, 2048), (1024, 1024))
    patch = candidates.patch()
    assert patch.shape == (2048, 2048)
    assert patch.mask.size < 120 * 80
    assert patch.n_pixels == candidates.mask().sum() > 0


def test_empty_patch() -> None:
    candidates = Candidates(np.full((1, 256, 256), -1.0), np.ones(1), (30, 30), (1024, 1024))
    patch = candidates.patch()
    assert patch.mask.shape == (0, 0)
    assert (patch.rows, patch.columns) == (slice(0, 0), slice(0, 0))


@pytest.mark.parametrize(
    ('original', 'resized'), [((400, 400), (1024, 1024)), ((300, 400), (768, 1024))]
)
def test_a_coarse_patch_lies_where_the_mask_lies(
    original: tuple[int, int], resized: tuple[int, int]
) -> None:
    logits = np.full((1, 256, 256), -4.0)
    logits[0, 40:80, 100:180] = 4
    candidates = Candidates(logits, np.ones(1), original, resized)
    centre = np.argwhere(candidates.mask()).mean(axis=0)
    grid = (original[0] // 4, original[1] // 4)
    coarse = np.argwhere(candidates.patch(grid=grid).full()).mean(axis=0)
    np.testing.assert_allclose((coarse + 0.5) * 4 - 0.5, centre, atol=0.5)


def test_logits_are_copied_and_protected() -> None:
    logits = np.ones((1, 256, 256), np.float32)
    candidates = Candidates(logits, np.ones(1), (4, 4), (1024, 1024))
    logits[:] = -1
    assert candidates.mask().all()
    with pytest.raises(ValueError, match='read-only'):
        candidates.logits[0, 0, 0] = 0


def test_nan_logits_stay_where_they_are() -> None:
    logits = np.full((1, 256, 256), 3.0)
    logits[0, 0, 0] = NAN
    mask = Candidates(logits, np.ones(1), (256, 256), (1024, 1024)).mask()
    assert not mask[0, 0]
    assert mask[2:].all()


@pytest.mark.parametrize('shape', [(256, 256), (1, 256, 128), (2, 256, 256)])
def test_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='expected logits'):
        Candidates(np.zeros(shape), np.ones(1), (4, 4), (1024, 1024))

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mobilesam.engine import MaskPrompt, Prompts, mask_logits

SIDE = st.integers(1, 700)


def coverage(mask: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-mask_logits(mask).astype(float)))


def test_inside_and_outside_are_certain() -> None:
    mask = np.zeros((512, 512), bool)
    mask[100:200, 300:400] = True
    logits = mask_logits(mask)
    assert logits.dtype == np.float32
    assert logits.shape == (256, 256)
    assert (logits[50:100, 150:200] == np.float32(6.9)).all()
    assert np.count_nonzero(logits > 0) == 50 * 50
    assert logits.min() == np.float32(-6.9)


def test_half_covered_cells_are_undecided() -> None:
    mask = np.zeros((512, 512), bool)
    mask[101:200, 300:400] = True
    assert np.abs(mask_logits(mask)[50, 150:200]).max() < 1e-5


@pytest.mark.parametrize('shape', [(512, 512), (300, 512), (2048, 1000), (100, 60), (1000, 7)])
def test_the_padding_is_outside_and_areas_are_kept(shape: tuple[int, int]) -> None:
    cell = max(shape) / 256
    covered = coverage(np.ones(shape, bool))
    height, width = (int(np.ceil(size / cell - 1e-9)) for size in shape)
    assert covered[:height, :width].min() > 0.99
    assert covered[height:].max(initial=0) < 0.01
    assert covered[:, width:].max(initial=0) < 0.01


@given(shape=st.tuples(SIDE, SIDE), seed=st.integers(0, 99))
def test_mass_is_where_the_mask_is(shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    ends = [np.sort(rng.integers(0, size, 2)) for size in shape]
    mask[ends[0][0] : ends[0][1] + 1, ends[1][0] : ends[1][1] + 1] = True
    covered = coverage(mask)
    cell = max(shape) / 256
    rows, columns = np.nonzero(covered > 0.5)
    if len(rows):  # a speck may cover no cell by half
        points = np.stack([rows, columns], 1) * cell + (cell - 1) / 2
        inside = np.argwhere(mask)
        assert (points >= inside.min(axis=0) - cell / 2 - 1).all()
        assert (points <= inside.max(axis=0) + cell / 2 + 1).all()
    # Cells at the end of the plane may be parts; none is ever quite outside.
    height, width = (np.clip(size / cell - np.arange(256), 0, 1) for size in shape)
    mass = height @ covered @ width * cell**2
    assert abs(mass - mask.sum()) < 0.01 * mask.sum() + 75 * cell**2


def test_wrong_masks() -> None:
    with pytest.raises(ValueError, match='empty mask'):
        mask_logits(np.zeros((5, 5), bool))
    with pytest.raises(ValueError, match=r'\(H, W\)'):
        mask_logits(np.zeros((5, 5, 3), bool))
    with pytest.raises(ValueError, match='from_mask'):
        MaskPrompt(np.zeros((64, 64)), (64, 64))
    with pytest.raises(ValueError, match='finite'):
        MaskPrompt(np.full((256, 256), np.nan), (64, 64))


def test_a_mask_prompt_is_a_value() -> None:
    mask = np.eye(40, dtype=bool)
    prompt = MaskPrompt.from_mask(mask)
    assert prompt == MaskPrompt.from_mask(mask)
    assert prompt != MaskPrompt.from_mask(~mask)
    assert prompt != 'mask'
    assert len({Prompts(mask=prompt), Prompts(mask=MaskPrompt.from_mask(mask))}) == 1
    with pytest.raises(ValueError, match='read-only'):
        prompt.logits[0, 0] = 1
    assert 'plane (40, 40)' in repr(prompt)


def test_prompts_with_a_mask() -> None:
    prompt = MaskPrompt.from_mask(np.ones((40, 50), bool))
    prompts = Prompts(((3, 4),), (True,))
    assert prompts.ambiguous
    assert not prompts.with_mask(prompt).ambiguous
    assert Prompts(mask=prompt)
    assert Prompts(mask=prompt).clipped((40, 50)).mask == prompt
    assert prompts.with_mask(prompt).with_mask(None) == prompts
    with pytest.raises(ValueError, match='make it anew'):
        Prompts(mask=prompt).clipped((40, 51))

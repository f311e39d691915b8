"""Run lengths of masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mobile_sam.utils.amg import (
    area_from_rle,
    coco_encode_rle,
    mask_to_rle_pytorch,
    rle_to_mask,
)

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


def encode(mask: np.ndarray) -> dict:
    (rle,) = mask_to_rle_pytorch(torch.from_numpy(mask)[None])
    return rle


@given(MASKS)
def test_round_trip(mask: np.ndarray) -> None:
    rle = encode(mask)
    np.testing.assert_array_equal(rle_to_mask(rle), mask)
    assert area_from_rle(rle) == mask.sum()
    assert all(run > 0 for run in rle['counts'][1:])
    assert json.loads(json.dumps(rle)) == rle


def test_columns_come_first_and_zeros_before_ones() -> None:
    mask = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    assert encode(mask) == {'size': [3, 2], 'counts': [0, 2, 3, 1]}


@pytest.mark.parametrize(('value', 'counts'), [(False, [12]), (True, [0, 12])])
def test_uniform_masks(value: bool, counts: list[int]) -> None:
    assert encode(np.full((3, 4), value))['counts'] == counts


def test_a_batch_gives_one_encoding_each() -> None:
    masks = torch.zeros(3, 2, 2, dtype=torch.bool)
    masks[1, 0, 1] = True
    assert [rle['counts'] for rle in mask_to_rle_pytorch(masks)] == [[4], [2, 1, 1], [4]]
    assert mask_to_rle_pytorch(masks[:0]) == []


def test_single_masks_need_a_batch_axis() -> None:
    with pytest.raises(ValueError, match=r'\(B, H, W\), found \(2, 2\)'):
        mask_to_rle_pytorch(torch.zeros(2, 2, dtype=torch.bool))


@pytest.mark.parametrize('counts', [[3], [2, 3], [5, -1]])
def test_damaged_encoding_is_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match='add up to 2 × 2 = 4'):
        rle_to_mask({'size': [2, 2], 'counts': counts})


@given(MASKS)
def test_compressed_form_is_that_of_pycocotools(mask: np.ndarray) -> None:
    coco = pytest.importorskip('pycocotools.mask')
    compressed = coco_encode_rle(encode(mask))
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert compressed['counts'] == theirs['counts'].decode('ascii')
    assert compressed['size'] == theirs['size']


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=9))
def test_long_runs_are_compressed_as_pycocotools_does(runs: list[int]) -> None:
    coco = pytest.importorskip('pycocotools.mask')
    rle = {'size': [sum(runs), 1], 'counts': runs}
    theirs = coco.frPyObjects(rle, *rle['size'])
    assert coco_encode_rle(rle)['counts'] == theirs['counts'].decode('ascii')


def test_compressed_form_without_pycocotools() -> None:
    """Worked out by hand: 6 is one digit; 1 is one; 40 = 8 + 1 · 32 two; then 4 − 1 = 3."""
    rle = {'size': [51, 1], 'counts': [6, 1, 40, 4]}
    assert coco_encode_rle(rle) == {'size': [51, 1], 'counts': '61X13'}

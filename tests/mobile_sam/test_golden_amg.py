"""Automatic masks and their building blocks against the reference implementation's outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobile_sam import SamAutomaticMaskGenerator
from mobile_sam.modeling import Sam
from mobile_sam.utils import amg

Golden = Mapping[str, np.ndarray]
TAGS = ('plain', 'nms', 'crops', 'min_area', 'many', 'many_crops')


@pytest.fixture(scope='module')
def golden_records(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / 'goldens_amg.json').read_text(encoding='utf-8'))


def test_golden_amg_tags_are_all_compared(golden_records: dict[str, Any]) -> None:
    assert set(golden_records) == set(TAGS)


@pytest.mark.parametrize('tag', TAGS)
def test_golden_automatic_masks(
    tag: str,
    golden_records: dict[str, Any],
    golden_sam: Sam,
    golden_image: Callable[[str], np.ndarray],
) -> None:
    expected = golden_records[tag]['records']
    generator = SamAutomaticMaskGenerator(golden_sam, **golden_records[tag]['parameters'])
    found = generator.generate(golden_image('coins'))
    assert len(found) == len(expected)
    # Masks of nearly equal quality may change places with rounding: match by point and overlap.
    rest = list(found)
    for record in expected:
        mask = amg.rle_to_mask(record['segmentation'])
        twins = [r for r in rest if r['point_coords'] == record['point_coords']]
        assert twins, f'no mask from point {record["point_coords"]}'
        twin = max(twins, key=lambda r: _iou(r['segmentation'], mask))
        rest = [r for r in rest if r is not twin]
        assert set(twin) == set(record)
        assert _iou(twin['segmentation'], mask) > 0.98
        assert twin['area'] == np.count_nonzero(twin['segmentation'])
        assert twin['area'] == pytest.approx(record['area'], rel=0.02)
        assert twin['bbox'] == pytest.approx(record['bbox'], abs=2)
        assert twin['predicted_iou'] == pytest.approx(record['predicted_iou'], abs=2e-3)
        assert twin['stability_score'] == pytest.approx(record['stability_score'], abs=2e-3)
        assert twin['crop_box'] == record['crop_box']


def test_golden_amg_helpers(
    golden: Golden, golden_meta: dict[str, Any], golden_seen: set[str]
) -> None:
    masks = torch.from_numpy(golden['amg/mask_in'])
    golden_seen.update({'amg/mask_in', 'amg/boxes', 'amg/grid'})
    np.testing.assert_array_equal(amg.batched_mask_to_box(masks).numpy(), golden['amg/boxes'])
    np.testing.assert_allclose(amg.build_point_grid(5), golden['amg/grid'], rtol=1e-12)
    assert amg.mask_to_rle_pytorch(masks) == golden_meta['amg_rle']
    for rle, mask in zip(golden_meta['amg_rle'], masks.numpy(), strict=True):
        np.testing.assert_array_equal(amg.rle_to_mask(rle), mask)
        assert amg.area_from_rle(rle) == mask.sum()
    boxes, layers = golden_meta['amg_crop_boxes']
    assert amg.generate_crop_boxes((301, 517), 2, 512 / 1500) == (boxes, layers)


def test_golden_amg_helpers_without_stored_inputs(golden: Golden, golden_seen: set[str]) -> None:
    """The goldens keep no inputs of these two; ours were found to explain their outputs.

    A ramp from −3 to 3 over two masks of the stored size gives exactly the stored stability; the
    near-edge flags are those of a free box, of one at a crop's edge and of one at the image's.
    """
    golden_seen.update({'amg/stability', 'amg/near_edge'})
    ramp = torch.linspace(-3, 3, 2 * 9 * 11).reshape(2, 9, 11)
    stability = amg.calculate_stability_score(ramp, 0.0, 1.0)
    np.testing.assert_allclose(stability.numpy(), golden['amg/stability'], rtol=1e-6)
    boxes = torch.tensor([[60, 60, 90, 90], [60, 60, 145, 90], [2, 60, 90, 90]])
    near = amg.is_box_near_crop_edge(boxes, [0, 0, 150, 300], [0, 0, 300, 300])
    np.testing.assert_array_equal(near.numpy(), golden['amg/near_edge'])


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / max(1, np.count_nonzero(a | b))

"""Resizing and prediction against the reference implementation's outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_sam import SamPredictor
from mobile_sam.utils.transforms import ResizeLongestSide

IMAGES = ('coins', 'astronaut', 'formula')
CASES = ('point', 'point_single', 'pos_neg', 'box', 'box_multi', 'box_points', 'mask_input')
ARGUMENTS = ('point_coords', 'point_labels', 'box', 'mask_input')
Golden = Mapping[str, np.ndarray]


@pytest.mark.parametrize('name', IMAGES)
def test_golden_resized(
    name: str, golden: Golden, golden_image: Callable[[str], np.ndarray], golden_seen: set[str]
) -> None:
    image = golden_image(name)
    resized = ResizeLongestSide(1024).apply_image(image)
    golden_seen.update(f'{name}/resized/{what}' for what in ('shape', 'sum', 'sample'))
    assert resized.dtype == np.uint8
    assert resized.shape == tuple(golden[f'{name}/resized/shape'])
    np.testing.assert_array_equal(resized[::17, ::19], golden[f'{name}/resized/sample'])
    assert int(resized.sum(dtype=np.int64)) == golden[f'{name}/resized/sum'][()]
    golden_seen.add(f'{name}/input_size')
    size = tuple(golden[f'{name}/input_size'])
    assert ResizeLongestSide.get_preprocess_shape(*image.shape[:2], 1024) == size
    if name == 'formula':
        golden_seen.add('formula/image')  # the input itself


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('name', IMAGES)
def test_golden_predict(
    name: str,
    case: str,
    golden: Golden,
    golden_predictor: Callable[[str], SamPredictor],
    golden_seen: set[str],
) -> None:
    key = f'{name}/{case}'
    given = {a: golden[f'{key}/in_{a}'] for a in ARGUMENTS if f'{key}/in_{a}' in golden}
    multimask = bool(golden[f'{key}/in_multimask'])
    predictor = golden_predictor(name)
    assert predictor.input_size == tuple(golden[f'{name}/input_size'])
    masks, iou, low_res = predictor.predict(**given, multimask_output=multimask)
    golden_seen.update(f'{key}/in_{argument}' for argument in (*given, 'multimask'))
    assert masks.dtype == bool
    assert iou.dtype == low_res.dtype == np.float32
    _compare(key, masks, iou, low_res, golden, golden_seen)


@pytest.mark.parametrize('name', IMAGES)
def test_golden_boxes_torch(
    name: str,
    golden: Golden,
    golden_predictor: Callable[[str], SamPredictor],
    golden_seen: set[str],
) -> None:
    key = f'{name}/boxes_torch'
    predictor = golden_predictor(name)
    assert predictor.original_size is not None
    boxes = predictor.transform.apply_boxes_torch(
        torch.from_numpy(golden[f'{key}/in_boxes']), predictor.original_size
    )
    expected = golden[f'{key}/in_boxes_transformed']
    golden_seen.update({f'{key}/in_boxes', f'{key}/in_boxes_transformed'})
    assert boxes.dtype == torch.float32
    np.testing.assert_allclose(boxes.numpy(), expected, rtol=1e-6)
    masks, iou, low_res = predictor.predict_torch(None, None, boxes=boxes, multimask_output=True)
    _compare(key, masks.numpy(), iou.numpy(), low_res.numpy(), golden, golden_seen)


def _compare(
    key: str,
    masks: np.ndarray,
    iou: np.ndarray,
    low_res: np.ndarray,
    golden: Golden,
    golden_seen: set[str],
) -> None:
    """Compare with the tolerances that the goldens' README states."""
    names = ('iou', 'low_res', 'mask_packed', 'mask_shape')
    golden_seen.update(f'{key}/{what}' for what in names)
    stored_iou, logits, packed, shape = (golden[f'{key}/{what}'] for what in names)
    np.testing.assert_allclose(iou, stored_iou, atol=2e-3, rtol=0)
    share = 2e-2 if logits.dtype == np.float16 else 5e-3
    logits = logits.astype(np.float32)
    tolerance = share * max(1.0, float(np.abs(logits).max()))
    np.testing.assert_allclose(low_res, logits, atol=tolerance, rtol=0)
    assert masks.shape == tuple(shape)
    expected = np.unpackbits(packed, count=masks.size).reshape(masks.shape).astype(bool)
    assert (masks != expected).mean() <= 5e-4


def test_golden_arrays_are_all_compared(
    request: pytest.FixtureRequest, golden: Golden, golden_seen: set[str]
) -> None:
    """Fail on a golden array that no test looks at; the conftest makes this the last test."""
    collected = {item.path for item in request.session.items}
    absent = set(Path(__file__).parent.rglob('test_golden_*.py')) - collected
    if absent or hasattr(request.config, 'workerinput'):
        pytest.skip('tells something only if one process runs all of the golden tests')
    assert set(golden) - golden_seen == set()

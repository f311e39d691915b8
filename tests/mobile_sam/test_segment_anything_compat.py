"""The original package's predictor and generator run over our model, and see the same masks."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import mobile_sam
from mobile_sam import SamAutomaticMaskGenerator, SamPredictor
from mobile_sam.modeling import Sam

# Two encodings per crop and generator add up on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope='module')
def theirs() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return pytest.importorskip('segment_anything')


def test_signatures_agree(theirs: ModuleType) -> None:
    """Names, order and defaults of every public function of both."""
    pairs = [(SamPredictor, theirs.SamPredictor)]
    pairs.append((SamAutomaticMaskGenerator, theirs.SamAutomaticMaskGenerator))
    pairs.append(
        (
            mobile_sam.utils.transforms.ResizeLongestSide,
            theirs.utils.transforms.ResizeLongestSide,
        )
    )
    for ours, original in pairs:
        for name, method in inspect.getmembers(original, inspect.isfunction):
            if not name.startswith('_') or name == '__init__':
                assert _parameters(getattr(ours, name)) == _parameters(method), name
    from mobile_sam.utils import amg as our_amg

    for name, function in inspect.getmembers(theirs.utils.amg, inspect.isfunction):
        if function.__module__ == 'segment_anything.utils.amg' and not name.startswith('_'):
            assert _parameters(getattr(our_amg, name)) == _parameters(function), name


def _parameters(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.default) for p in parameters if p.kind != p.VAR_KEYWORD]


def test_predictors_give_the_same_masks(
    theirs: ModuleType, golden_sam: Sam, golden_image: Callable[[str], np.ndarray]
) -> None:
    image = golden_image('coins')
    ours, original = SamPredictor(golden_sam), theirs.SamPredictor(golden_sam)
    for predictor in (ours, original):
        predictor.set_image(image)
    torch.testing.assert_close(ours.features, original.features)
    low_res = ours.predict(np.array([[192.0, 151.5]]), np.array([1]))[2]
    point = {'point_coords': np.array([[192.0, 151.5]]), 'point_labels': np.array([1])}
    pair = {'point_coords': np.array([[115, 181], [161, 166]]), 'point_labels': np.array([1, 0])}
    box = {'box': np.array([77.0, 45, 211, 182])}
    for arguments in (point, pair, box, {**pair, **box}, {**point, 'mask_input': low_res[:1]}):
        for multimask in (True, False):
            a = ours.predict(**arguments, multimask_output=multimask)
            b = original.predict(**arguments, multimask_output=multimask)
            assert [array.shape for array in a] == [array.shape for array in b]
            assert [array.dtype for array in a] == [array.dtype for array in b]
            assert (a[0] != b[0]).mean() < 1e-5
            np.testing.assert_allclose(a[1], b[1], atol=1e-4)
            np.testing.assert_allclose(a[2], b[2], atol=1e-3)

    boxes = torch.tensor([[20.0, 15, 115, 90], [115, 90, 268, 181]])
    scaled = ours.transform.apply_boxes_torch(boxes, image.shape[:2])
    torch.testing.assert_close(scaled, original.transform.apply_boxes_torch(boxes, image.shape[:2]))
    a = ours.predict_torch(None, None, boxes=scaled)
    b = original.predict_torch(None, None, boxes=scaled)
    assert (a[0] != b[0]).float().mean() < 1e-5


@pytest.mark.parametrize(
    'parameters',
    [
        {'points_per_side': 4, 'output_mode': 'binary_mask'},
        {'points_per_side': 2, 'crop_n_layers': 1, 'output_mode': 'uncompressed_rle'},
        {'points_per_side': 4, 'output_mode': 'coco_rle'},
    ],
)
def test_generators_give_the_same_masks(
    theirs: ModuleType,
    golden_sam: Sam,
    golden_image: Callable[[str], np.ndarray],
    parameters: dict[str, Any],
) -> None:
    # The weights mean nothing: filters must be lax for any mask to pass.
    parameters = parameters | {
        'pred_iou_thresh': 0.5,
        'stability_score_thresh': 0.2,
        'stability_score_offset': 0.15,
        'box_nms_thresh': 0.99,
        'crop_nms_thresh': 0.99,
    }
    image = golden_image('coins')
    ours = SamAutomaticMaskGenerator(golden_sam, **parameters).generate(image)
    original = theirs.SamAutomaticMaskGenerator(golden_sam, **parameters).generate(image)
    assert 0 < len(ours) == len(original)
    for a, b in zip(ours, original, strict=True):
        assert list(a) == list(b)
        assert a['point_coords'] == b['point_coords']
        assert a['bbox'] == b['bbox']
        assert a['crop_box'] == b['crop_box']
        assert a['area'] == pytest.approx(b['area'], abs=10)
        assert a['predicted_iou'] == pytest.approx(b['predicted_iou'], abs=1e-4)
        assert a['stability_score'] == pytest.approx(b['stability_score'], abs=1e-3)
        if parameters['output_mode'] == 'binary_mask':
            assert (a['segmentation'] != b['segmentation']).mean() < 1e-4
        else:
            assert a['segmentation']['size'] == b['segmentation']['size']
            assert type(a['segmentation']['counts']) is type(b['segmentation']['counts'])

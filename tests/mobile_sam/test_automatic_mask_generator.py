"""Automatic masks of a model with random weights: filters, crops, formats, errors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mobile_sam import SamAutomaticMaskGenerator, SamPredictor
from mobile_sam.modeling import Sam
from mobile_sam.utils import amg

KEYS = {
    'segmentation',
    'area',
    'bbox',
    'predicted_iou',
    'point_coords',
    'stability_score',
    'crop_box',
}
# Everything passes: no filter, no suppression.
ALL: dict[str, Any] = {
    'points_per_side': 3,
    'pred_iou_thresh': -1,
    'stability_score_thresh': -1,
    'box_nms_thresh': 1.1,
}


SIDE = 128
RADII = (6.0, 10.0, 14.0)


class DiscSam:
    """Answers a point with three discs round it: what comes out is known beforehand.

    Logits are how far a pixel of the model's frame lies inside the disc's edge; the quality is the
    radius.
    """

    mask_threshold = 0.0
    image_format = 'RGB'
    device = torch.device('cpu')
    postprocess_masks = Sam.postprocess_masks

    def __init__(self) -> None:
        self.image_encoder = _Encoder()
        self.prompt_encoder = _Prompts()

    def preprocess(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def mask_decoder(
        self, *, sparse_prompt_embeddings: torch.Tensor, **_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        centres = (torch.arange(SIDE // 4) + 0.5) * 4
        y, x = torch.meshgrid(centres, centres, indexing='ij')
        points = sparse_prompt_embeddings[:, 0, :, None, None]
        distance = torch.hypot(x - points[:, 0], y - points[:, 1])
        radii = torch.tensor(RADII)
        logits = radii[:, None, None] - distance[:, None]
        return logits, radii.expand(len(points), -1)


class _Encoder:
    img_size = SIDE

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :1]


class _Prompts(SimpleNamespace):
    mask_input_size = (SIDE // 4, SIDE // 4)
    image_embedding_size = (SIDE // 16, SIDE // 16)
    no_mask_embed = SimpleNamespace(weight=torch.zeros(1, 1))

    def __call__(self, points: Any, boxes: Any, masks: Any) -> tuple[torch.Tensor, None]:
        coords, labels = points
        assert boxes is masks is None
        assert (labels == 1).all()
        return coords, None

    def get_dense_pe(self) -> None:
        return None


def generate(sam: Sam | DiscSam, image: np.ndarray, **changes: Any) -> list[dict[str, Any]]:
    return SamAutomaticMaskGenerator(sam, **{**ALL, **changes}).generate(image)


@pytest.fixture(scope='module')
def records(small_sam: Sam, small_image: np.ndarray) -> list[dict[str, Any]]:
    return generate(small_sam, small_image)


def test_defaults_are_those_of_the_reference(small_sam: Sam) -> None:
    generator = SamAutomaticMaskGenerator(small_sam)
    assert [len(grid) for grid in generator.point_grids] == [1024]
    assert generator.points_per_batch == 64
    assert generator.pred_iou_thresh == 0.88
    assert generator.stability_score_thresh == 0.95
    assert generator.stability_score_offset == 1.0
    assert generator.box_nms_thresh == generator.crop_nms_thresh == 0.7
    assert generator.crop_n_layers == generator.min_mask_region_area == 0
    assert generator.crop_overlap_ratio == 512 / 1500
    assert generator.crop_n_points_downscale_factor == 1
    assert generator.output_mode == 'binary_mask'


def test_without_filters_every_point_gives_three_masks(
    small_sam: Sam, small_image: np.ndarray, records: list[dict[str, Any]]
) -> None:
    assert len(records) == 27
    assert [r['predicted_iou'] for r in records] == sorted(
        (r['predicted_iou'] for r in records), reverse=True
    )
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    for record in records:
        assert set(record) == KEYS
        masks, iou, _ = predictor.predict(np.array(record['point_coords']), [1])
        nearest = np.abs(iou - record['predicted_iou']).argmin()
        assert record['predicted_iou'] == pytest.approx(iou[nearest], abs=1e-5)
        assert (masks[nearest] != record['segmentation']).mean() < 1e-3


def test_records_describe_their_masks(records: list[dict[str, Any]]) -> None:
    for record in records:
        mask = record['segmentation']
        assert mask.dtype == bool
        assert mask.shape == (90, 120)
        assert record['area'] == mask.sum()
        box = amg.batched_mask_to_box(torch.from_numpy(mask)).tolist()
        assert record['bbox'] == amg.box_xyxy_to_xywh(box)
        assert record['crop_box'] == [0, 0, 120, 90]
        assert all(type(record[k]) is float for k in ('predicted_iou', 'stability_score'))


def test_quality_filter() -> None:
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    found = generate(DiscSam(), image, pred_iou_thresh=6.0)
    assert [r['predicted_iou'] for r in found] == [14.0] * 9 + [10.0] * 9


def test_stability_filter() -> None:
    """A disc of radius r has the stability ((r − 1) / (r + 1))²."""
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    centre = {'points_per_side': None, 'point_grids': [np.array([[0.5, 0.5]])]}
    found = generate(DiscSam(), image, **centre)
    for record in found:
        r = record['predicted_iou']
        assert record['stability_score'] == pytest.approx(((r - 1) / (r + 1)) ** 2, abs=0.15)
        assert record['area'] == pytest.approx(np.pi * r**2, rel=0.1)
    found = generate(DiscSam(), image, **centre, stability_score_thresh=0.56)
    assert [r['predicted_iou'] for r in found] == [14.0, 10.0]
    stricter = generate(DiscSam(), image, **centre, stability_score_offset=2)
    for one, two in zip(generate(DiscSam(), image, **centre), stricter, strict=True):
        assert two['stability_score'] < one['stability_score'] - 0.1


def test_suppression_keeps_the_best_of_overlapping_boxes(
    small_sam: Sam, small_image: np.ndarray, records: list[dict[str, Any]]
) -> None:
    kept = generate(small_sam, small_image, box_nms_thresh=0.5)
    assert 0 < len(kept) < len(records)
    assert kept[0]['predicted_iou'] == records[0]['predicted_iou']


def test_nothing_found_is_an_empty_list(small_sam: Sam, small_image: np.ndarray) -> None:
    for more in ({}, {'crop_n_layers': 1}, {'min_mask_region_area': 10}):
        assert generate(small_sam, small_image, pred_iou_thresh=1e6, **more) == []


def test_batches_do_not_change_the_result(
    small_sam: Sam, small_image: np.ndarray, records: list[dict[str, Any]]
) -> None:
    again = generate(small_sam, small_image, points_per_batch=2)
    assert len(again) == len(records)
    for a, b in zip(records, again, strict=True):
        assert a['predicted_iou'] == pytest.approx(b['predicted_iou'], abs=1e-5)
        assert (a['segmentation'] != b['segmentation']).mean() < 1e-3


def test_crops_lie_in_the_image_frame() -> None:
    """Discs at the edge of a crop are dropped, those at the edge of the image stay."""
    image = np.zeros((200, 300, 3), dtype=np.uint8)
    found = generate(DiscSam(), image, crop_n_layers=1, crop_nms_thresh=1.1)
    boxes, _ = amg.generate_crop_boxes((200, 300), 1, 512 / 1500)
    by_crop: dict[Any, list[Any]] = {tuple(amg.box_xyxy_to_xywh(box)): [] for box in boxes}
    for record in found:
        by_crop[tuple(record['crop_box'])].append(record)
        (x, y), (left, top, width, height) = record['point_coords'][0], record['bbox']
        # The mask lies round its point, in the image's frame, unless the image ends there.
        if left > 0 and left + width < 299:
            assert left + width / 2 == pytest.approx(x, abs=2)
        if top > 0 and top + height < 199:
            assert top + height / 2 == pytest.approx(y, abs=2)
        box = amg.batched_mask_to_box(torch.from_numpy(record['segmentation'])).tolist()
        assert record['bbox'] == amg.box_xyxy_to_xywh(box)
    whole, *crops = by_crop.values()
    assert len(whole) == 27
    # In the top left crop, large discs of the right column and of the bottom row are too near to
    # the crop's edges; the left column and the top row are near to the image's.
    for crop in crops:
        assert 0 < len(crop) < 27
    points = {tuple(r['point_coords'][0]) for r in crops[0] if r['predicted_iou'] == 14}
    x1, y1 = boxes[1][2:]
    expected = [(x1 * i / 6, y1 * j / 6) for i in (1, 3) for j in (1, 3)]
    np.testing.assert_allclose(sorted(points), expected)


def test_small_crops_win_over_large_ones() -> None:
    image = np.zeros((200, 300, 3), dtype=np.uint8)
    found = generate(DiscSam(), image, crop_n_layers=1, crop_nms_thresh=1.1)
    areas = [r['crop_box'][2] * r['crop_box'][3] for r in found]
    assert areas == sorted(areas)
    assert areas[0] < areas[-1]


def test_own_points(small_sam: Sam, small_image: np.ndarray) -> None:
    grid = np.array([[0.25, 0.5], [0.75, 0.1]], dtype=np.float32)
    found = generate(small_sam, small_image, points_per_side=None, point_grids=[grid])
    points = {tuple(np.round(r['point_coords'][0], 4)) for r in found}
    assert points == {(30.0, 45.0), (90.0, 9.0)}


def test_small_regions_are_removed(small_sam: Sam, small_image: np.ndarray) -> None:
    found = generate(small_sam, small_image, min_mask_region_area=40)
    assert found
    for record in found:
        mask = record['segmentation']
        for mode in ('holes', 'islands'):
            _, changed = amg.remove_small_regions(mask, 40, mode)
            # The largest island stays whatever its size.
            assert not changed or (mode == 'islands' and mask.sum() < 40)
        assert record['area'] == mask.sum()
        box = amg.batched_mask_to_box(torch.from_numpy(mask)).tolist()
        assert record['bbox'] == amg.box_xyxy_to_xywh(box)


def test_repair_of_a_table_prefers_untouched_masks() -> None:
    clean = np.zeros((20, 20), dtype=bool)
    clean[2:12, 2:12] = True
    holed, other = clean.copy(), np.zeros((20, 20), dtype=bool)
    holed[5, 5] = False
    other[15:19, 15:19] = True
    other[0, 0] = True
    masks = torch.from_numpy(np.stack([holed, clean, other]))
    table = amg.MaskData(
        rles=amg.mask_to_rle_pytorch(masks),
        boxes=amg.batched_mask_to_box(masks),
        names=['holed', 'clean', 'other'],
    )
    out = SamAutomaticMaskGenerator.postprocess_small_regions(table, 5, 0.7)
    assert out is table
    assert out['names'] == ['clean', 'other']
    assert out['boxes'].tolist() == [[2, 2, 11, 11], [15, 15, 18, 18]]
    assert [amg.area_from_rle(rle) for rle in out['rles']] == [100, 16]
    empty = amg.MaskData(rles=[], boxes=torch.zeros(0, 4))
    assert SamAutomaticMaskGenerator.postprocess_small_regions(empty, 5, 0.7)['rles'] == []


def test_output_modes_hold_the_same_masks(
    small_sam: Sam, small_image: np.ndarray, records: list[dict[str, Any]]
) -> None:
    runs = generate(small_sam, small_image, output_mode='uncompressed_rle')
    strings = generate(small_sam, small_image, output_mode='coco_rle')
    for record, run, string in zip(records, runs, strings, strict=True):
        np.testing.assert_array_equal(amg.rle_to_mask(run['segmentation']), record['segmentation'])
        assert string['segmentation'] == amg.coco_encode_rle(run['segmentation'])
        assert run['area'] == string['area'] == record['area']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'output_mode': 'png'}, "found 'png'"),
        ({'points_per_side': None}, 'found neither'),
        ({'point_grids': [np.ones((1, 2))]}, 'found both'),
        (
            {'points_per_side': None, 'point_grids': [np.ones((1, 2))], 'crop_n_layers': 1},
            'Expected 2 point grids, .* found 1',
        ),
    ],
)
def test_wrong_parameters_are_refused(
    small_sam: Sam, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SamAutomaticMaskGenerator(small_sam, **arguments)


def test_grey_images_are_refused(small_sam: Sam) -> None:
    with pytest.raises(ValueError, match='Stack a grey image three times'):
        SamAutomaticMaskGenerator(small_sam).generate(np.zeros((9, 9), dtype=np.uint8))

"""Masks of everything in an image, from a grid of points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .predictor import SamPredictor
from .utils.amg import (
    MaskData,
    batch_iterator,
    batched_mask_to_box,
    box_xyxy_to_xywh,
    build_all_layer_point_grids,
    calculate_stability_score,
    coco_encode_rle,
    generate_crop_boxes,
    is_box_near_crop_edge,
    remove_small_regions,
    rle_to_mask,
    uncrop_boxes_xyxy,
)
from .utils.rle import mask_to_rle

if TYPE_CHECKING:
    from .modeling import Sam

OUTPUT_MODES = ('binary_mask', 'uncompressed_rle', 'coco_rle')
# Logits in full size are held for this many pixels at a time (256 MiB of float32), however many
# points are decoded in one go: on a 4k image a batch of 192 masks would take 12 GiB.
MAX_PIXELS_AT_ONCE = 2**26


@dataclass(frozen=True, slots=True)
class _CropMask:
    """A mask, one bit per pixel, and where in the image it lies (x0, y0, x1, y1)."""

    bits: npt.NDArray[np.uint8]
    crop_box: tuple[int, ...]

    def in_image(self, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        x0, y0, x1, y1 = self.crop_box
        crop = np.unpackbits(self.bits, count=(y1 - y0) * (x1 - x0)).astype(bool)
        mask = np.zeros(size, dtype=bool)
        mask[y0:y1, x0:x1] = crop.reshape(y1 - y0, x1 - x0)
        return mask


class SamAutomaticMaskGenerator:
    """Prompt with a grid of points, over the image and over crops of it, and keep the good masks.

    A mask is kept if the model thinks well of it, if it hardly depends on the threshold, if no crop
    cut it off, and if no better mask has nearly the same box.

    Parameters
    ----------
    model : Sam
        The model, in evaluation mode.
    points_per_side : int or None
        Points along each side of the image. None if ``point_grids`` is given.
    points_per_batch : int
        Points decoded at once: more is faster and takes more memory.
    pred_iou_thresh : float
        Masks that the model predicts a lower quality for are dropped; ≤ 0 keeps all.
    stability_score_thresh : float
        Masks with a lower stability score are dropped; ≤ 0 keeps all.
    stability_score_offset : float
        How far the threshold is moved for the stability score, in logits.
    box_nms_thresh : float
        Of masks of one crop whose boxes overlap by more (IoU), only the best one stays.
    crop_n_layers : int
        Layers of crops: layer i has (2 ** i) ** 2 of them.
    crop_nms_thresh : float
        Like ``box_nms_thresh``, between crops: there the smaller crop wins.
    crop_overlap_ratio : float
        Overlap of the crops of the first layer, as a fraction of the image's short side.
    crop_n_points_downscale_factor : int
        In layer i, the points per side are divided by this number to the power i.
    point_grids : list of ndarray, optional
        Own points (x, y) in the unit square, one array of shape (N, 2) per layer, the whole image
        included. Instead of ``points_per_side``.
    min_mask_region_area : int
        Holes and islands of masks with fewer pixels are removed; 0 leaves them.
    output_mode : {'binary_mask', 'uncompressed_rle', 'coco_rle'}
        What ``segmentation`` is in the records.

    Raises
    ------
    ValueError
        If the points are given twice or not at all, or the output mode is unknown.
    """

    def __init__(
        self,
        model: Sam,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: list[npt.NDArray[Any]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = 'binary_mask',
    ) -> None:
        if output_mode not in OUTPUT_MODES:
            raise ValueError(
                f'Expected output_mode to be one of {OUTPUT_MODES}, found {output_mode!r}. '
                'Choose how the masks are written.'
            )
        if (points_per_side is None) == (point_grids is None):
            raise ValueError(
                'Expected either points_per_side or point_grids, found '
                f'{"neither" if point_grids is None else "both"}. With own point_grids, pass '
                'points_per_side=None.'
            )
        if points_per_side is not None:
            self.point_grids = build_all_layer_point_grids(
                points_per_side, crop_n_layers, crop_n_points_downscale_factor
            )
        elif point_grids is not None:
            self.point_grids = [np.asarray(grid, dtype=np.float64) for grid in point_grids]
        if len(self.point_grids) < crop_n_layers + 1:
            raise ValueError(
                f'Expected {crop_n_layers + 1} point grids, one for the image and one per layer of '
                f'crops, found {len(self.point_grids)}. Add grids, or lower crop_n_layers.'
            )
        self.predictor = SamPredictor(model)
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode

    @torch.no_grad()
    def generate(self, image: npt.NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Find the masks of an image.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3)
            The picture, RGB.

        Returns
        -------
        list of dict
            One record per mask:

            - ``segmentation``: bool array (H, W), or run lengths as a dict
            - ``area``: its pixels
            - ``bbox``: [x, y, width, height], the last two counting from the first to the last
              pixel's centre
            - ``predicted_iou``: the model's own guess of its quality
            - ``point_coords``: [[x, y]], the point that it came from
            - ``stability_score``: see `utils.amg.calculate_stability_score`
            - ``crop_box``: [x, y, width, height] of the crop that it was found in
        """
        picture = np.asarray(image)
        if picture.ndim != 3:
            raise ValueError(
                f'Expected an image of shape (H, W, 3), found {picture.shape}. '
                'Stack a grey image three times.'
            )
        size = (picture.shape[0], picture.shape[1])
        found = self._search(picture, size)
        boxes = found['boxes'].cpu()
        masks = [mask.in_image(size) for mask in found['masks']]
        rows: Sequence[int] = range(len(masks))
        if self.min_mask_region_area > 0:
            threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
            rows, masks, boxes = _repair(masks, boxes, self.min_mask_region_area, threshold)
        found.filter(torch.as_tensor(list(rows), dtype=torch.int64))
        found.to_numpy()
        return [
            {
                'segmentation': self._write(mask),
                'area': int(np.count_nonzero(mask)),
                'bbox': box_xyxy_to_xywh(box),
                'predicted_iou': float(quality),
                'point_coords': [point.tolist()],
                'stability_score': float(stability),
                'crop_box': box_xyxy_to_xywh(list(place.crop_box)),
            }
            for mask, box, quality, point, stability, place in zip(
                masks,
                boxes.tolist(),
                found['iou_preds'],
                found['points'],
                found['stability_score'],
                found['masks'],
                strict=True,
            )
        ]

    @staticmethod
    def postprocess_small_regions(
        mask_data: MaskData, min_area: int, nms_thresh: float
    ) -> MaskData:
        """Remove small holes and islands of masks, then the duplicates that this makes.

        Parameters
        ----------
        mask_data : MaskData
            Columns ``rles`` (uncompressed) and ``boxes`` (x0, y0, x1, y1), and any others.
            Changed in place.
        min_area : int
            Regions with fewer pixels go.
        nms_thresh : float
            Of masks whose boxes overlap by more (IoU), one stays; untouched masks win.

        Returns
        -------
        MaskData
            The same object.
        """
        masks = [rle_to_mask(rle) for rle in mask_data['rles']]
        rows, repaired, boxes = _repair(masks, mask_data['boxes'], min_area, nms_thresh)
        mask_data.filter(torch.as_tensor(rows, dtype=torch.int64))
        mask_data['rles'] = [mask_to_rle(mask) for mask in repaired]
        mask_data['boxes'] = boxes
        return mask_data

    def _search(self, image: npt.NDArray[np.uint8], size: tuple[int, int]) -> MaskData:
        """Find masks in all crops, without duplicates; boxes and points in the image's frame."""
        crop_boxes, layers = generate_crop_boxes(size, self.crop_n_layers, self.crop_overlap_ratio)
        found = _no_masks()
        for crop_box, layer in zip(crop_boxes, layers, strict=True):
            found.cat(self._search_crop(image, size, crop_box, self.point_grids[layer]))
        if len(crop_boxes) > 1:
            places = torch.tensor([mask.crop_box for mask in found['masks']]).reshape(-1, 4)
            areas = (places[:, 2] - places[:, 0]) * (places[:, 3] - places[:, 1])
            boxes = found['boxes']
            # A small crop shows its objects larger, so its masks are finer.
            found.filter(_nms(boxes, (1 / areas).to(boxes.device), self.crop_nms_thresh))
        return found

    def _search_crop(
        self,
        image: npt.NDArray[np.uint8],
        size: tuple[int, int],
        crop_box: list[int],
        grid: npt.NDArray[np.float64],
    ) -> MaskData:
        x0, y0, x1, y1 = crop_box
        self.predictor.set_image(image[y0:y1, x0:x1])
        found = _no_masks()
        for (points,) in batch_iterator(self.points_per_batch, grid * (x1 - x0, y1 - y0)):
            for batch in self._search_points(points, size, crop_box):
                found.cat(batch)
        self.predictor.reset_image()

        found.filter(_nms(found['boxes'], found['iou_preds'], self.box_nms_thresh))
        found['boxes'] = uncrop_boxes_xyxy(found['boxes'], crop_box)
        found['points'] = found['points'] + np.array([x0, y0])
        return found

    def _search_points(
        self,
        points: npt.NDArray[np.float64],
        size: tuple[int, int],
        crop_box: list[int],
    ) -> Iterator[MaskData]:
        """Yield the good masks at some points, in the crop's frame, a few at a time."""
        predictor, threshold = self.predictor, self.predictor.model.mask_threshold
        height, width = crop_box[3] - crop_box[1], crop_box[2] - crop_box[0]
        coords = torch.from_numpy(predictor.transform.apply_coords(points, (height, width)))
        low_res, quality = predictor.predict_low_res(
            coords[:, None], torch.ones(len(points), 1, dtype=torch.int64)
        )
        # Quality is known before the masks are brought to full size, which is the dear part.
        quality = quality.float()
        good = quality > (self.pred_iou_thresh if self.pred_iou_thresh > 0 else -torch.inf)
        sources, ranks = torch.nonzero(good, as_tuple=True)
        step = max(
            1, MAX_PIXELS_AT_ONCE // max(height * width, predictor.transform.target_length**2)
        )
        for source, rank in batch_iterator(step, sources, ranks):
            logits = predictor.upscale(low_res[source, rank][:, None])[:, 0]
            stability = calculate_stability_score(logits, threshold, self.stability_score_offset)
            masks = logits > threshold
            boxes = batched_mask_to_box(masks)
            keep = ~is_box_near_crop_edge(boxes, crop_box, [0, 0, size[1], size[0]])
            if self.stability_score_thresh > 0:
                keep &= stability >= self.stability_score_thresh
            yield MaskData(
                iou_preds=quality[source, rank][keep],
                stability_score=stability[keep],
                boxes=boxes[keep],
                points=points[source[keep].cpu().numpy()],
                masks=[
                    _CropMask(np.packbits(mask), tuple(crop_box))
                    for mask in masks[keep].cpu().numpy()
                ],
            )

    def _write(self, mask: npt.NDArray[np.bool_]) -> Any:
        if self.output_mode == 'binary_mask':
            return mask
        rle = mask_to_rle(mask)
        return rle if self.output_mode == 'uncompressed_rle' else coco_encode_rle(rle)


def _no_masks() -> MaskData:
    return MaskData(
        iou_preds=torch.zeros(0),
        stability_score=torch.zeros(0),
        boxes=torch.zeros((0, 4), dtype=torch.int64),
        points=np.zeros((0, 2)),
        masks=[],
    )


def _nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Indices of the boxes that no better one overlaps by more than a threshold, best first."""
    from torchvision.ops import nms

    return nms(boxes.float(), scores.float(), threshold)


def _repair(
    masks: list[npt.NDArray[np.bool_]], boxes: Tensor, min_area: int, nms_thresh: float
) -> tuple[list[int], list[npt.NDArray[np.bool_]], Tensor]:
    """Remove small holes and islands; return the rows that stay, their masks and their boxes."""
    if not masks:
        return [], [], boxes
    repaired, untouched = [], []
    for mask in masks:
        filled, had_holes = remove_small_regions(mask, min_area, mode='holes')
        cleaned, had_islands = remove_small_regions(filled, min_area, mode='islands')
        repaired.append(cleaned)
        untouched.append(not (had_holes or had_islands))
    tight = torch.stack([batched_mask_to_box(torch.from_numpy(mask)) for mask in repaired])
    tight = tight.to(boxes.device)
    kept = _nms(tight, torch.tensor(untouched, device=boxes.device), nms_thresh)
    rows = kept.tolist()
    # A box of an untouched mask is what it was, so that a caller's own boxes survive.
    kept_boxes = [tight[row] if not untouched[row] else boxes[row] for row in rows]
    return rows, [repaired[row] for row in rows], torch.stack(kept_boxes)

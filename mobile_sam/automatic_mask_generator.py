"""Masks of everything in an image, from a grid of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .fast.boxes import non_maximum_suppression
from .fast.everything import propose
from .fast.forms import DecoderForm, decoder_form
from .fast.masks import Upscaler, upscaler
from .fast.stability import CroppedLogits, estimated_stability, stability
from .predictor import SamPredictor
from .utils.amg import (
    MaskData,
    batched_mask_to_box,
    box_xyxy_to_xywh,
    build_all_layer_point_grids,
    coco_encode_rle,
    generate_crop_boxes,
    is_box_near_crop_edge,
    remove_small_regions,
    rle_to_mask,
)
from .utils.rle import mask_to_rle

if TYPE_CHECKING:
    from .modeling import Sam

OUTPUT_MODES = ('binary_mask', 'uncompressed_rle', 'coco_rle')


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A good mask in a crop: little of it is kept, as only few survive the others.

    ``box`` (x0, y0, x1, y1; first and last pixels) and ``point`` (x, y) are in the image's frame.
    """

    score: float
    box: tuple[int, int, int, int]
    point: tuple[float, float]
    logits: CroppedLogits
    crop_box: tuple[int, ...]
    scale: Upscaler

    def mask(self, size: tuple[int, int], threshold: float) -> npt.NDArray[np.bool_]:
        """Make the mask in an image of a size (H, W)."""
        x0, y0, x1, y1 = self.crop_box
        mask = np.zeros(size, dtype=bool)
        rows, columns, patch = self.scale.above(self.logits.whole(), threshold)
        mask[y0:y1, x0:x1][rows, columns] = patch
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
        Most points decoded at once. On a CPU it is a few, which is as fast as it gets.
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
        threshold = self.predictor.model.mask_threshold
        masks = [one.mask(size, threshold) for one in found]
        boxes = torch.tensor([one.box for one in found]).reshape(-1, 4)
        rows = list(range(len(masks)))
        if self.min_mask_region_area > 0:
            overlap = max(self.box_nms_thresh, self.crop_nms_thresh)
            rows, masks, boxes = _repair(masks, boxes, self.min_mask_region_area, overlap)
        return [
            {
                'segmentation': self._write(mask),
                'area': int(np.count_nonzero(mask)),
                'bbox': box_xyxy_to_xywh(box),
                'predicted_iou': found[row].score,
                'point_coords': [list(found[row].point)],
                'stability_score': stability(
                    found[row].logits.whole(),
                    found[row].scale,
                    threshold,
                    self.stability_score_offset,
                ),
                'crop_box': box_xyxy_to_xywh(list(found[row].crop_box)),
            }
            for row, mask, box in zip(rows, masks, boxes.tolist(), strict=True)
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

    def _search(self, image: npt.NDArray[np.uint8], size: tuple[int, int]) -> list[_Found]:
        """Find masks in all crops, without duplicates."""
        crop_boxes, layers = generate_crop_boxes(size, self.crop_n_layers, self.crop_overlap_ratio)
        # Made anew for each picture, in a millisecond: the weights may have changed since the last.
        form = decoder_form(self.predictor.model)
        found: list[_Found] = []
        for crop_box, layer in zip(crop_boxes, layers, strict=True):
            found += self._search_crop(image, size, crop_box, self.point_grids[layer], form)
        if len(crop_boxes) > 1:
            # A small crop shows its objects larger, so its masks are finer.
            areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one.crop_box for one in found)]
            found = _best(found, [-area for area in areas], self.crop_nms_thresh)
        return found

    def _search_crop(
        self,
        image: npt.NDArray[np.uint8],
        size: tuple[int, int],
        crop_box: list[int],
        grid: npt.NDArray[np.float64],
        form: DecoderForm,
    ) -> list[_Found]:
        predictor = self.predictor
        model, (x0, y0, x1, y1) = predictor.model, crop_box
        shape = (y1 - y0, x1 - x0)
        predictor.set_image(image[y0:y1, x0:x1])
        side, input_size = form.image_side(predictor.get_image_embedding()[0]), predictor.input_size
        assert input_size is not None
        predictor.reset_image()

        points = grid * (x1 - x0, y1 - y0)
        coords = torch.from_numpy(predictor.transform.apply_coords(points, shape))
        least = self.pred_iou_thresh if self.pred_iou_thresh > 0 else -np.inf
        scale = upscaler(model.prompt_encoder.mask_input_size[0], input_size, shape)
        found = []
        for some in propose(model, form, side, coords, least, self.points_per_batch):
            for proposal in some:
                if not self._stable(proposal.logits, scale, input_size):
                    continue
                rows, columns, patch = scale.above(proposal.logits, model.mask_threshold)
                box = [columns.start, rows.start, columns.stop - 1, rows.stop - 1]
                if not patch.size:
                    box = [0, 0, 0, 0]
                edges = [0, 0, size[1], size[0]]
                if is_box_near_crop_edge(torch.tensor([box]), crop_box, edges).item():
                    continue
                level = model.mask_threshold - abs(self.stability_score_offset)
                x, y = points[proposal.point].tolist()
                found.append(
                    _Found(
                        proposal.score,
                        (box[0] + x0, box[1] + y0, box[2] + x0, box[3] + y0),
                        (x + x0, y + y0),
                        CroppedLogits.of(proposal.logits, level),
                        tuple(crop_box),
                        scale,
                    )
                )
        return _best(found, [one.score for one in found], self.box_nms_thresh)

    def _stable(
        self, logits: npt.NDArray[np.float32], scale: Upscaler, input_size: tuple[int, int]
    ) -> bool:
        """Whether a mask is stable enough; counted in full size only where that could matter."""
        wanted = self.stability_score_thresh
        if wanted <= 0:
            return True
        threshold, offset = self.predictor.model.mask_threshold, self.stability_score_offset
        inside = logits[: -(-input_size[0] // 4), : -(-input_size[1] // 4)]
        estimate, doubt = estimated_stability(inside, threshold, offset)
        if abs(estimate - wanted) > doubt:
            return estimate > wanted
        return stability(logits, scale, threshold, offset) >= wanted

    def _write(self, mask: npt.NDArray[np.bool_]) -> Any:
        if self.output_mode == 'binary_mask':
            return mask
        rle = mask_to_rle(mask)
        return rle if self.output_mode == 'uncompressed_rle' else coco_encode_rle(rle)


def _best(found: list[_Found], scores: list[float], threshold: float) -> list[_Found]:
    """Drop what a better one overlaps by more than a threshold; the best come first."""
    boxes = np.array([one.box for one in found]).reshape(-1, 4)
    kept = non_maximum_suppression(boxes, np.array(scores), threshold)
    return [found[row] for row in kept.tolist()]


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
    scores = np.array(untouched, dtype=float)
    rows = non_maximum_suppression(tight.cpu().numpy(), scores, nms_thresh).tolist()
    # A box of an untouched mask is what it was, so that a caller's own boxes survive.
    kept_boxes = [tight[row] if not untouched[row] else boxes[row] for row in rows]
    return rows, [repaired[row] for row in rows], torch.stack(kept_boxes)

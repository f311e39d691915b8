"""Everything mode as a segmentation: the masks of a grid of points, made to labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mobile_sam.checkpoints import BUNDLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mobile_sam.modeling import Sam


@dataclass(frozen=True, slots=True)
class EverythingSettings:
    """How everything mode is run.

    The thresholds are lower than the published 0.88 and 0.95, which suit the scores of the
    published checkpoints: overlaps are given to the better mask, so a poor one costs little, and a
    missed object costs itself. They were chosen on pictures that the bundled checkpoint was
    trained on.

    Attributes
    ----------
    points_per_side, pred_iou_thresh, stability_score_thresh, box_nms_thresh
        As in `SamAutomaticMaskGenerator`.
    largest : float
        Masks over more than this share of the plane are background.
    least_left : float
        A mask of which better masks leave less than this share is dropped.
    """

    points_per_side: int = 32
    pred_iou_thresh: float = BUNDLED.thresholds[0]
    stability_score_thresh: float = BUNDLED.thresholds[1]
    box_nms_thresh: float = 0.5
    largest: float = 0.4
    least_left: float = 0.5


def segment_everything(
    model: Sam, image: NDArray[np.uint8], settings: EverythingSettings
) -> NDArray[np.int32]:
    """Segment all objects of a picture, (H, W, 3) uint8, without prompts: labels (H, W)."""
    from mobile_sam.automatic_mask_generator import SamAutomaticMaskGenerator

    generator = SamAutomaticMaskGenerator(
        model,
        points_per_side=settings.points_per_side,
        pred_iou_thresh=settings.pred_iou_thresh,
        stability_score_thresh=settings.stability_score_thresh,
        box_nms_thresh=settings.box_nms_thresh,
    )
    records = generator.generate(image)
    return flatten(
        [record['segmentation'] for record in records],
        [record['predicted_iou'] for record in records],
        (image.shape[0], image.shape[1]),
        settings,
    )


def flatten(
    masks: Sequence[NDArray[np.bool_]],
    scores: Sequence[float],
    shape: tuple[int, int],
    settings: EverythingSettings,
) -> NDArray[np.int32]:
    """Make labels of masks that overlap: the better one takes what it covers.

    Parameters
    ----------
    masks : sequence of ndarray, bool, (H, W)
    scores : sequence of float
        One for each mask; higher is better.
    shape : tuple of (int, int)
        H, W.
    settings : EverythingSettings
        Its `largest` and `least_left`.

    Returns
    -------
    ndarray, int32, (H, W)
        1 … n in the order of scores, 0 for background.
    """
    labels = np.zeros(shape, np.int32)
    count = 0
    for index in np.argsort(-np.asarray(scores, float), kind='stable'):
        mask = masks[int(index)]
        area = int(mask.sum())
        if not 0 < area <= settings.largest * labels.size:
            continue
        free = mask & (labels == 0)
        if free.sum() < settings.least_left * area:
            continue
        count += 1
        labels[free] = count
    return labels

"""Measures and repairs of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def calculate_stability_score(
    masks: Tensor, mask_threshold: float, threshold_offset: float
) -> Tensor:
    """Tell how little a mask changes when its threshold moves.

    Parameters
    ----------
    masks : Tensor of float, shape (..., H, W)
        Logits.
    mask_threshold : float
        The threshold that makes the mask.
    threshold_offset : float
        How far the threshold is moved up and down.

    Returns
    -------
    Tensor of float32, shape (...)
        Intersection over union of the mask at the upper and at the lower threshold. The upper one
        lies inside the lower one, so this is a ratio of areas; NaN where both are empty.
    """
    inner = torch.count_nonzero(masks > mask_threshold + threshold_offset, dim=(-2, -1))
    outer = torch.count_nonzero(masks > mask_threshold - threshold_offset, dim=(-2, -1))
    return inner.to(torch.float32) / outer.to(torch.float32)


def batched_mask_to_box(masks: Tensor) -> Tensor:
    """Box masks tightly.

    Parameters
    ----------
    masks : Tensor of bool, shape (..., H, W)
        The masks.

    Returns
    -------
    Tensor of int64, shape (..., 4)
        First and last column and row (x0, y0, x1, y1), both inclusive; zeros for an empty mask.
    """
    if masks.numel() == 0:
        return torch.zeros(*masks.shape[:-2], 4, dtype=torch.int64, device=masks.device)
    x0, x1 = _extent(masks.any(dim=-2))
    y0, y1 = _extent(masks.any(dim=-1))
    boxes = torch.stack([x0, y0, x1, y1], dim=-1)
    return boxes * masks.any(dim=-1).any(dim=-1, keepdim=True)


def _extent(hit: Tensor) -> tuple[Tensor, Tensor]:
    """First and last True along the last axis; the whole axis if there is none."""
    # argmax gives the first of equal values, but has no kernel for bool.
    flags = hit.to(torch.uint8)
    return flags.argmax(dim=-1), hit.shape[-1] - 1 - flags.flip(-1).argmax(dim=-1)


def remove_small_regions(
    mask: npt.NDArray[Any], area_thresh: float, mode: str
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Fill small holes of a mask, or drop its small islands.

    Regions touch at sides and corners, for holes as for islands.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        The mask.
    area_thresh : float
        Regions with fewer pixels are small.
    mode : {'holes', 'islands'}
        What to remove. Of islands, the largest one stays even if it is small.

    Returns
    -------
    mask : ndarray of bool, shape (H, W)
        The repaired mask; the input if there was nothing to do.
    changed : bool
        Whether anything was small.
    """
    if mode not in ('holes', 'islands'):
        raise ValueError(f'Expected mode "holes" or "islands", found {mode!r}. Pass one of them.')
    from scipy import ndimage

    inside = np.asarray(mask, dtype=bool)
    regions, n_regions = ndimage.label(
        ~inside if mode == 'holes' else inside, structure=np.ones((3, 3), dtype=bool)
    )
    sizes = np.bincount(regions.ravel(), minlength=n_regions + 1)[1:]
    small = sizes < area_thresh
    if not small.any():
        return inside, False
    if mode == 'holes':
        # Region 0, what is no hole, is the mask itself.
        chosen = np.concatenate([[True], small])
    else:
        if small.all():
            small[sizes.argmax()] = False
        chosen = np.concatenate([[False], ~small])
    return chosen[regions], True

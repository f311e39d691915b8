"""Grids of points and of overlapping crops for automatic masks, and the way back from a crop.

Crop boxes and mask boxes are ``(x0, y0, x1, y1)`` in pixels; points are ``(x, y)``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor


def build_point_grid(n_per_side: int) -> npt.NDArray[np.float64]:
    """Lay a square grid of points evenly over the unit square.

    Parameters
    ----------
    n_per_side : int
        Points per row and per column.

    Returns
    -------
    ndarray of float64, shape (n_per_side ** 2, 2)
        Points as (x, y) in (0, 1), x varying fastest; each is the centre of its grid cell.
    """
    if n_per_side < 1:
        raise ValueError(
            f'Expected at least one point per side, found {n_per_side}. '
            'Raise "points_per_side", or use fewer crop layers.'
        )
    half_cell = 1 / (2 * n_per_side)
    centres = np.linspace(half_cell, 1 - half_cell, n_per_side)
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def build_all_layer_point_grids(
    n_per_side: int, n_layers: int, scale_per_layer: int
) -> list[npt.NDArray[np.float64]]:
    """Lay one grid for the whole image and one per layer of crops, each sparser than the last.

    Parameters
    ----------
    n_per_side : int
        Points per side on the whole image.
    n_layers : int
        Number of layers of crops.
    scale_per_layer : int
        The points per side are divided by this number once per layer.

    Returns
    -------
    list of ndarray
        ``n_layers + 1`` grids as from `build_point_grid`.
    """
    return [build_point_grid(int(n_per_side / scale_per_layer**i)) for i in range(n_layers + 1)]


def generate_crop_boxes(
    im_size: tuple[int, ...], n_layers: int, overlap_ratio: float
) -> tuple[list[list[int]], list[int]]:
    """Cut an image into layers of overlapping crops: 1, then 2 × 2, then 4 × 4 and so on.

    Parameters
    ----------
    im_size : tuple of int
        Height and width of the image.
    n_layers : int
        Layers beyond the whole image.
    overlap_ratio : float
        Overlap of the crops of the first layer, as a fraction of the image's short side. It is
        halved from layer to layer.

    Returns
    -------
    boxes : list of list of int
        The crops, clipped to the image, column by column within a layer.
    layers : list of int
        The layer of each box; 0 is the whole image.
    """
    height, width = im_size[:2]
    boxes = [[0, 0, width, height]]
    layers = [0]
    for layer in range(1, n_layers + 1):
        n_per_side = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / n_per_side))
        crop_height = math.ceil((height + overlap * (n_per_side - 1)) / n_per_side)
        crop_width = math.ceil((width + overlap * (n_per_side - 1)) / n_per_side)
        for column, row in itertools.product(range(n_per_side), repeat=2):
            x0 = column * (crop_width - overlap)
            y0 = row * (crop_height - overlap)
            if x0 >= width or y0 >= height:
                continue  # rounding up used a tiny image up before the last crop
            boxes.append([x0, y0, min(x0 + crop_width, width), min(y0 + crop_height, height)])
            layers.append(layer)
    return boxes, layers


def is_box_near_crop_edge(
    boxes: Tensor,
    crop_box: Sequence[int],
    orig_box: Sequence[int],
    atol: float = 20.0,
) -> Tensor:
    """Find boxes that a crop's edge may have cut off.

    Parameters
    ----------
    boxes : Tensor, shape (B, 4)
        Boxes in the frame of the crop.
    crop_box, orig_box : sequence of int, length 4
        The crop and the whole image, in the frame of the image.
    atol : float
        How many pixels still count as near.

    Returns
    -------
    Tensor of bool, shape (B,)
        True where a side is near the crop's side and not near the same side of the image.
    """
    sides = uncrop_boxes_xyxy(boxes, crop_box).to(torch.float32)
    near_crop = (sides - sides.new_tensor(list(crop_box))).abs() <= atol
    near_image = (sides - sides.new_tensor(list(orig_box))).abs() <= atol
    return (near_crop & ~near_image).any(dim=1)


def uncrop_boxes_xyxy(boxes: Tensor, crop_box: Sequence[int]) -> Tensor:
    """Move boxes from the frame of a crop to that of the image.

    Parameters
    ----------
    boxes : Tensor, shape (..., 4)
        Boxes in the crop.
    crop_box : sequence of int, length 4
        The crop.

    Returns
    -------
    Tensor, shape (..., 4)
        A new tensor.
    """
    x0, y0 = crop_box[:2]
    return boxes + torch.tensor([x0, y0, x0, y0], device=boxes.device)


def uncrop_points(points: Tensor, crop_box: Sequence[int]) -> Tensor:
    """Move points, shape (..., 2), from the frame of a crop to that of the image."""
    return points + torch.tensor(list(crop_box[:2]), device=points.device)


def uncrop_masks(masks: Tensor, crop_box: Sequence[int], orig_h: int, orig_w: int) -> Tensor:
    """Put masks of a crop into the frame of the image, zero elsewhere.

    Parameters
    ----------
    masks : Tensor, shape (..., h, w)
        Masks of the crop's size.
    crop_box : sequence of int, length 4
        The crop.
    orig_h, orig_w : int
        Size of the image.

    Returns
    -------
    Tensor, shape (..., orig_h, orig_w)
        The very same tensor if the crop is the image.
    """
    x0, y0, x1, y1 = crop_box
    if (x0, y0, x1, y1) == (0, 0, orig_w, orig_h):
        return masks
    return F.pad(masks, (x0, orig_w - x1, y0, orig_h - y1), value=0)


def box_xyxy_to_xywh(box_xyxy: Any) -> Any:
    """Turn two corners into a corner and a size.

    Parameters
    ----------
    box_xyxy : Tensor, ndarray or list of length 4 (or Tensor or ndarray of shape (4, ...))
        The box (x0, y0, x1, y1).

    Returns
    -------
    same type
        The box (x0, y0, width, height), a copy.
    """
    x0, y0, x1, y1 = box_xyxy
    sides = [x0, y0, x1 - x0, y1 - y0]
    if isinstance(box_xyxy, Tensor):
        return torch.stack(sides)
    if isinstance(box_xyxy, np.ndarray):
        return np.stack(sides)
    return sides

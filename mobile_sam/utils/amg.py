"""Building blocks of automatic masks, under the names that the reference gives them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .crops import (
    box_xyxy_to_xywh,
    build_all_layer_point_grids,
    build_point_grid,
    generate_crop_boxes,
    is_box_near_crop_edge,
    uncrop_boxes_xyxy,
    uncrop_masks,
    uncrop_points,
)
from .masks import batched_mask_to_box, calculate_stability_score, remove_small_regions
from .rle import area_from_rle, coco_encode_rle, mask_to_rle_pytorch, rle_to_mask

__all__ = [
    'MaskData',
    'area_from_rle',
    'batch_iterator',
    'batched_mask_to_box',
    'box_xyxy_to_xywh',
    'build_all_layer_point_grids',
    'build_point_grid',
    'calculate_stability_score',
    'coco_encode_rle',
    'generate_crop_boxes',
    'is_box_near_crop_edge',
    'mask_to_rle_pytorch',
    'remove_small_regions',
    'rle_to_mask',
    'uncrop_boxes_xyxy',
    'uncrop_masks',
    'uncrop_points',
]


class MaskData:
    """Columns of equal length, one row per mask.

    Parameters
    ----------
    **columns : list, ndarray or Tensor
        The columns, rows along axis 0.
    """

    def __init__(self, **columns: Any) -> None:
        self._columns: dict[str, Any] = {}
        for name, column in columns.items():
            self[name] = column

    def __setitem__(self, key: str, item: Any) -> None:
        if not isinstance(item, (list, np.ndarray, Tensor)):
            raise TypeError(
                f'Expected a list, array or tensor for column {key!r}, found '
                f'{type(item).__name__}. Wrap single values in a list.'
            )
        self._columns[key] = item

    def __delitem__(self, key: str) -> None:
        del self._columns[key]

    def __getitem__(self, key: str) -> Any:
        return self._columns[key]

    def __contains__(self, key: str) -> bool:
        return key in self._columns

    def items(self) -> ItemsView[str, Any]:
        """Names and columns."""
        return self._columns.items()

    def filter(self, keep: Tensor) -> None:
        """Keep some rows of every column, in place.

        Parameters
        ----------
        keep : Tensor
            Either one bool per row, or the indices of the rows to keep, in their new order.
        """
        rows = torch.nonzero(keep).flatten() if keep.dtype == torch.bool else keep
        picks = rows.detach().cpu().numpy()
        for name, column in self._columns.items():
            if isinstance(column, Tensor):
                self._columns[name] = column[rows.to(column.device)]
            elif isinstance(column, np.ndarray):
                self._columns[name] = column[picks]
            else:
                self._columns[name] = [column[row] for row in picks]

    def cat(self, new_stats: MaskData) -> None:
        """Append the rows of another table, in place; columns not here yet are copied.

        Parameters
        ----------
        new_stats : MaskData
            The other table, left as it is.
        """
        for name, column in new_stats.items():
            if name not in self:
                self[name] = deepcopy(column)
            elif isinstance(column, Tensor):
                self[name] = torch.cat([self[name], column])
            elif isinstance(column, np.ndarray):
                self[name] = np.concatenate([self[name], column])
            else:
                self[name] = self[name] + deepcopy(column)

    def to_numpy(self) -> None:
        """Turn every tensor column into an array, in place."""
        for name, column in self._columns.items():
            if isinstance(column, Tensor):
                self._columns[name] = column.detach().cpu().numpy()


def batch_iterator(batch_size: int, *args: Any) -> Iterator[list[Any]]:
    """Walk through sequences of equal length in batches.

    Parameters
    ----------
    batch_size : int
        Rows per batch; the last one may be shorter.
    *args : sequence, ndarray or Tensor
        What to cut up.

    Yields
    ------
    list
        One slice per argument.
    """
    lengths = [len(arg) for arg in args]
    if not lengths or len(set(lengths)) > 1:
        raise ValueError(
            f'Expected one or more sequences of equal length, found lengths {lengths}. '
            'Pass one row per item in each of them.'
        )
    for start in range(0, lengths[0], batch_size):
        yield [arg[start : start + batch_size] for arg in args]

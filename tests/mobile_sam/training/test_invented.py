from __future__ import annotations

import numpy as np
import pytest

from mobile_sam.training.batches import CropSource
from mobile_sam.training.config import TrainConfig
from mobile_sam.training.data import Reader, read_items
from mobile_sam.training.invented import LARGEST, SMALLEST, draw_invented


@pytest.mark.parametrize('view', [64, 448])
def test_ellipses_lie_inside_and_fit_into_their_views(view: int):
    rng = np.random.default_rng(0)
    longest = []
    for _ in range(200):
        mask = draw_invented(256, 2, view, rng)
        rows, cols = np.nonzero(mask)
        assert 0 < rows.min() <= rows.max() < 255
        assert 0 < cols.min() <= cols.max() < 255
        longest.append(2 * max(np.ptp(rows) + 1, np.ptp(cols) + 1))
        # an ellipse and no box: it holds the middle of its own, and none of the corners
        assert mask[(rows.min() + rows.max()) // 2, (cols.min() + cols.max()) // 2]
    assert max(longest) <= min(LARGEST, 0.8 * view) + 4
    assert max(longest) > 0.6 * min(LARGEST, 0.8 * view)
    assert np.median(longest) < 2.5 * SMALLEST + 8, 'small ones as often as large ones'


def test_invented_objects_get_exact_boxes_and_answers_of_their_own(folder, tmp_path):
    config = TrainConfig(
        data=folder, out=tmp_path, steps=1, crop_sizes=(224,), crop_weights=(1.0,), views=(1.0,),
        batch=2, prompts=8, far=64, together=2, box_share=0.0, invented=1.0, augment=False,
    )  # fmt: skip
    batch = CropSource(read_items(folder), Reader(), config)(0)
    assert batch.is_box.all(), 'nothing but a box tells of them'
    assert not batch.far.targets.any()
    for coords, view, target in zip(batch.coords, batch.views, batch.targets, strict=True):
        rows, cols = np.nonzero(target.numpy())
        corners = coords.numpy() + 0.5 - (view.window.left, view.window.top)
        np.testing.assert_allclose(corners[0], (4 * cols.min(), 4 * rows.min()), atol=4)
        np.testing.assert_allclose(corners[1], (4 * cols.max() + 4, 4 * rows.max() + 4), atol=4)


def test_without_them_nothing_changes(folder, tmp_path):
    def boxes(share: float) -> int:
        config = TrainConfig(
            data=folder, out=tmp_path, steps=1, batch=2, prompts=40, box_share=0.0,
            together=1, views=(1.0,), invented=share,
        )  # fmt: skip
        return int(CropSource(read_items(folder), Reader(), config)(3).is_box.sum())

    assert boxes(0.0) == 0
    assert 0 < boxes(0.3) < 60

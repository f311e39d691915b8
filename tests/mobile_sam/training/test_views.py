from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mobile_sam.training.batches import CropSource
from mobile_sam.training.config import TrainConfig
from mobile_sam.training.crops import Window
from mobile_sam.training.data import Reader, read_items
from mobile_sam.training.views import (
    draw_view,
    draw_view_side,
    pooled,
    suiting_objects,
    token_blocks,
)

WINDOW = Window(160, 320, 224, 4.0, 10.0, 20.0)


def mask(rows: slice, cols: slice) -> np.ndarray:
    drawn = np.zeros((112, 112), bool)
    drawn[rows, cols] = True
    return drawn


@pytest.mark.parametrize(
    'object_', [mask(slice(20, 40), slice(80, 100)), mask(slice(40, 80), slice(50, 55))]
)
def test_an_object_that_fits_is_seen_whole(object_: np.ndarray):
    rng = np.random.default_rng(0)
    places = set()
    for _ in range(50):
        view = draw_view(object_, WINDOW, 0, 128, rng)
        cut = view.cut(object_, 2.0)
        assert cut.shape == (64, 64)
        assert cut.sum() == object_.sum()
        places.add((view.row, view.col))
    assert len(places) > 1


def test_of_a_larger_object_some_part_is_seen_even_of_a_ring():
    ring = mask(slice(0, 112), slice(0, 112)) & ~mask(slice(5, 107), slice(5, 107))
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert draw_view(ring, WINDOW, 0, 64, rng).cut(ring, 2.0).any()


def test_a_view_knows_its_place_in_window_frame_and_image():
    object_ = mask(slice(60, 70), slice(80, 90))
    view = draw_view(object_, WINDOW, 3, 64, np.random.default_rng(0))
    rows, cols = view.tokens
    assert view.image == 3
    assert (rows.stop - rows.start, cols.stop - cols.start) == (4, 4)
    seen = view.window
    assert (seen.top, seen.left, seen.side) == (160 + 16 * view.row, 320 + 16 * view.col, 64)
    assert (seen.row, seen.col) == (10 + 4 * view.row, 20 + 4 * view.col)


def test_a_view_of_all_tokens_is_the_window():
    view = draw_view(mask(slice(3, 20), slice(9, 30)), WINDOW, 0, 224, np.random.default_rng(0))
    assert view.window == WINDOW


def test_sides_are_whole_tokens_and_drawn_alike_often():
    rng = np.random.default_rng(0)
    sides = [draw_view_side(224, (0.57, 1.0), rng) for _ in range(400)]
    assert set(sides) == {128, 224}
    assert 150 < sides.count(128) < 250


def test_a_batch_is_seen_in_views_and_its_prompts_lie_in_them(folder):
    config = TrainConfig(
        data=folder, out=folder, steps=1, crop_sizes=(224,), crop_weights=(1.0,), batch=2,
        prompts=3, views=(0.57,), together=1, far=0,
    )  # fmt: skip
    batch = CropSource(read_items(folder), Reader(), config)(1)
    assert batch.targets.shape == (6, 32, 32)
    assert batch.far.count == 0
    assert [view.image for view in batch.views] == [0, 0, 0, 1, 1, 1]
    for view, coords, labels in zip(batch.views, batch.coords, batch.point_labels, strict=True):
        seen = view.window
        corner = torch.tensor([seen.left, seen.top])
        inside = (coords - corner)[labels != -1]
        slack = 21  # corners of boxes are moved
        assert bool(((inside > -slack) & (inside < seen.side + slack)).all())
    whole = CropSource(read_items(folder), Reader(), dataclasses.replace(config, views=(1.0,)))(1)
    assert whole.targets.shape == (6, 56, 56)
    assert torch.equal(whole.images, batch.images)


def test_pooling_gives_shares_and_blocks_belong_to_tokens():
    masks = np.zeros((1, 16, 24), bool)
    masks[0, 9, 5] = True
    shares = np.stack([pooled(masks[:, :, i : i + 16], 2) for i in (0, 8)])
    assert shares.shape == (2, 1, 8, 8)
    assert shares[0, 0, 4, 2] == 0.25
    blocks = token_blocks(shares[0])
    assert blocks.shape == (1, 4, 16)
    assert blocks[0, 2].reshape(4, 4)[0, 2] == 0.25
    assert blocks.sum() == 0.25


def test_objects_suit_views_that_hold_them():
    labels = np.zeros((256, 256), np.int32)
    labels[:10, :10], labels[50:100, 50:80], labels[100:250, 100:250] = 1, 2, 3
    assert suiting_objects(labels, [1, 2, 3], 4.0, 128).tolist() == [1]
    assert suiting_objects(labels, [1, 2, 3], 4.0, 224).tolist() == [1, 2]
    assert suiting_objects(labels, [1, 2, 3], 4.0, 1024).tolist() == [2, 3]
    assert suiting_objects(labels, [3], 4.0, 128).tolist() == [3]

from __future__ import annotations

import numpy as np
import pytest

from mobile_sam.training.crops import Window
from mobile_sam.training.prompts import (
    correction_click,
    first_prompts,
    interior_point,
    jittered_box,
    on_border,
    to_frame,
    visible_objects,
)

RING = np.zeros((40, 40), bool)
RING[5:35, 5:35] = True
RING[10:30, 10:30] = False


def test_points_are_inside_even_of_a_ring():
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert RING[interior_point(RING, rng)]


def test_first_prompts_are_inside_their_object_in_the_frame():
    window = Window(160, 320, 224, 4.0, 0, 0)
    masks = np.zeros((40, 112, 112), bool)
    masks[:, 30:50, 60:70] = True
    made = first_prompts(masks, [window] * 40, np.random.default_rng(0), box_share=0.5)
    assert 5 < made.is_box.sum() < 35
    for coords, labels, is_box in zip(made.coords, made.labels, made.is_box, strict=True):
        if is_box:
            assert labels.tolist() == [2, 3]
            assert (coords[0] < coords[1]).all()
        else:
            assert labels.tolist() == [1, -1]
            # Half a pixel is added by the prompt encoder.
            assert 320 + 120 <= coords[0, 0] + 0.5 <= 320 + 140
            assert 160 + 60 <= coords[0, 1] + 0.5 <= 160 + 100


def test_the_box_of_a_part_is_drawn_round_the_whole():
    window, view = Window(160, 320, 224, 4.0, 0, 0), Window(192, 352, 64, 4.0, 8, 8)
    whole = np.zeros((30, 112, 112), bool)
    whole[:, 10:90, 20:80] = True
    parts = whole[:, 16:48, 16:48]
    rng = np.random.default_rng(0)
    made = first_prompts(
        parts, [view] * 30, rng, box_share=1.0, whole=whole, window=window,
        boxable=np.arange(30) < 25,
    )  # fmt: skip
    assert made.is_box.tolist() == [True] * 25 + [False] * 5
    middle = np.median(made.coords[:25], 0) + 0.5
    np.testing.assert_allclose(middle, [[320 + 40, 160 + 20], [320 + 160, 160 + 180]], atol=14)
    clicks = made.coords[25:, 0] + 0.5
    assert ((clicks >= (360, 192)) & (clicks <= (416, 256))).all()


def test_masks_on_the_border_are_told_from_those_inside():
    masks = np.zeros((5, 6, 6), bool)
    masks[:, 2, 2] = True
    for number, place in enumerate([(0, 3), (5, 3), (3, 0), (3, 5)]):
        masks[number][place] = True
    assert on_border(masks).tolist() == [True] * 4 + [False]


def test_boxes_are_jittered_a_little_and_often_exact():
    mask = np.zeros((100, 100), bool)
    mask[20:60, 30:50] = True
    rng = np.random.default_rng(0)
    boxes = np.array([jittered_box(mask, rng) for _ in range(2000)])
    exact = (boxes == (20, 30, 60, 50)).all(1)
    assert 0.45 < exact.mean() < 0.55
    moved = boxes[~exact] - (20, 30, 60, 50)
    np.testing.assert_allclose(moved.std(0), (2, 1, 2, 1), rtol=0.1)
    assert all(jittered_box(mask, rng, exact=True) == (20, 30, 60, 50) for _ in range(20))


def test_the_robot_clicks_in_the_middle_of_the_largest_error():
    wanted = np.zeros((40, 40), bool)
    wanted[10:21, 10:21] = True
    assert correction_click(np.zeros_like(wanted), wanted) == (15, 15, 1)
    found = wanted.copy()
    found[25:38, 20:33] = True
    assert correction_click(found, wanted) == (31, 26, 0)
    assert correction_click(wanted, wanted) == (15, 15, 1)
    with pytest.raises(ValueError, match='empty'):
        correction_click(~wanted & False, ~wanted & False)


def test_random_corrections_lie_in_the_error_and_are_labelled_by_it():
    rng = np.random.default_rng(0)
    wanted = np.zeros((40, 40), bool)
    wanted[10:20, 10:20] = True
    found = np.roll(wanted, 5, 1)
    for _ in range(100):
        row, col, label = correction_click(found, wanted, rng)
        assert found[row, col] != wanted[row, col]
        assert label == wanted[row, col]


def test_specks_and_slivers_are_not_prompted():
    labels = np.zeros((112, 112), np.int32)
    labels[5:20, 5:20] = 1
    labels[50:52, 50:52] = 2
    labels[:, 111] = 3
    assert visible_objects(labels, 2.0) == [1]


def test_positions_in_the_frame():
    window = Window(160, 320, 224, 4.0, 0, 0)
    assert to_frame(1.0, 3.0, window, 2.0) == (325.5, 161.5)

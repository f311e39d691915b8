from __future__ import annotations

import numpy as np
import pytest

from mobile_sam.training.evaluation.metrics import THRESHOLDS, clicks_until, iou, precision


def test_iou_by_hand():
    found = np.array([[[1, 1, 0]], [[0, 0, 0]]], bool)
    wanted = np.array([[[0, 1, 1]], [[1, 0, 0]]], bool)
    assert iou(found, wanted).tolist() == pytest.approx([1 / 3, 0])


def test_clicks_until_a_threshold():
    ious = np.array([[0.5, 0.85, 0.7], [0.9, 0.1, 0.1], [0.1, 0.2, 0.3]])
    assert clicks_until(ious, 0.8).tolist() == [2, 1, 4]


def test_thresholds_are_those_of_msa():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_precision_by_hand():
    wanted = np.zeros((4, 10), np.int32)
    wanted[:, :4], wanted[:, 6:8] = 7, 3
    found = np.zeros_like(wanted)
    # Three of four columns of the first object: IoU 0.75. Nothing of the second, one too many.
    found[:, :3], found[0, 9] = 1, 2
    values = precision(found, wanted, (0.5, 0.7, 0.8))
    # One hit, one missed, one invented; then none, two missed, two invented.
    assert values.tolist() == pytest.approx([1 / 3, 1 / 3, 0])


def test_one_found_object_is_no_two_hits():
    wanted = np.array([[1, 2, 2, 2]], np.int32)
    assert precision(np.ones_like(wanted), wanted, (0.5,)).tolist() == [0.5]


def test_perfect_and_empty_segmentations():
    labels = np.array([[0, 4, 9]], np.int32)
    nothing = np.zeros_like(labels)
    assert precision(labels[:, ::1] * 3, labels).tolist() == [1] * 10
    assert precision(nothing, labels).tolist() == [0] * 10
    assert precision(nothing, nothing).tolist() == [1] * 10
    assert precision(np.ones_like(labels), np.ones_like(labels)).tolist() == [1] * 10

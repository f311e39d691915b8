from __future__ import annotations

import numpy as np
import pytest
import torch

from mobile_sam.fast.boxes import non_maximum_suppression


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.7, 1.1])
def test_agrees_with_torchvision(threshold: float) -> None:
    from torchvision.ops import nms

    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 60, (300, 2, 2)), axis=1)  # some without area
    boxes = corners.reshape(300, 4)
    scores = rng.integers(0, 40, 300) / 40  # with ties
    expected = nms(torch.from_numpy(boxes).double(), torch.from_numpy(scores), threshold)
    np.testing.assert_array_equal(
        non_maximum_suppression(boxes, scores, threshold), expected.numpy()
    )


def test_none_and_one() -> None:
    assert non_maximum_suppression(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []
    assert non_maximum_suppression(np.array([[0, 0, 1, 1]]), np.ones(1), 0.5).tolist() == [0]

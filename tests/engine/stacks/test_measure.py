from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine.stacks.measure import area_drift, average_precision, overlap_table


def test_precision_counts_each_object_once() -> None:
    truth = np.zeros((2, 8, 8), np.int32)
    truth[:, :4, :4], truth[:, 4:, 4:] = 3, 7
    assert average_precision(truth, truth) == 1
    found = truth.copy()
    found[truth == 7] = 0
    assert average_precision(truth, found) == 0.5
    found[0, :4, :4] = 9  # one object in halves: neither is more than half of it
    assert average_precision(truth, found, 0.51) == 0
    assert average_precision(np.zeros_like(truth), np.zeros_like(truth)) == 1
    assert average_precision(truth, np.zeros_like(truth)) == 0
    np.testing.assert_allclose(overlap_table(truth, found), [[0.5, 0.5], [0, 0]])
    with pytest.raises(ValueError, match='one shape'):
        overlap_table(truth, found[0])


def test_drift_tells_growth_from_a_mask_that_is_too_large_everywhere() -> None:
    truth = np.zeros((9, 20, 20), bool)
    truth[:, 8:12, 8:12] = True
    large = np.zeros_like(truth)
    large[:, 7:13, 7:13] = True
    assert area_drift(truth, truth, 4).growth == 0
    assert area_drift(truth, large, 4).growth == 0
    assert area_drift(truth, large, 4).near == 36 / 16
    growing = truth.copy()
    growing[[0, 1, 7, 8]] = large[[0, 1, 7, 8]]
    assert area_drift(truth, growing, 4).growth > 0.5
    short = truth.copy()
    short[[0, 8]] = False
    assert area_drift(truth, short, 4).growth < 0
    truth[[0, 1]] = False
    assert area_drift(truth, large, 4).overshoot == pytest.approx(2 / 7)

from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import Patch


def test_cut_out_and_pasted_back() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:8, 10:14] = True
    mask[6, 11] = False
    patch = Patch.of(mask)
    assert (patch.rows, patch.columns) == (slice(5, 8), slice(10, 14))
    assert patch.corner == (5, 10)
    assert patch.n_pixels == 11
    np.testing.assert_array_equal(patch.full(), mask)
    assert patch.with_mask(~patch.mask).n_pixels == 1


def test_nothing() -> None:
    patch = Patch.of(np.zeros((4, 5), bool))
    assert patch.n_pixels == 0
    assert patch.full().shape == (4, 5)


@pytest.mark.parametrize(('rows', 'columns'), [((0, 3), (0, 2)), ((3, 5), (0, 2))])
def test_a_mask_that_does_not_fit(rows: tuple[int, int], columns: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match='expected a mask that fills'):
        Patch(slice(*rows), slice(*columns), np.ones((2, 2), bool), (4, 4))

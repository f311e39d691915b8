from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mobilesam.engine.outline import CONTOUR, TINT, contour_width, outline


def test_a_square() -> None:
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    drawing = outline(mask, 1)
    assert drawing.dtype == np.uint8
    assert (drawing[2:5, 2:5] == TINT).all()
    assert (drawing == CONTOUR).sum() == 25 - 9
    assert (drawing[~mask] == 0).all()


@pytest.mark.parametrize('width', [1, 2, 4])
def test_any_mask_is_its_inner_border_and_the_rest(width: int) -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(60, 80)), 3) > 0
    drawing = outline(mask, width)
    # an independent erosion; beyond the border of the picture counts as not the object
    inner = ndimage.binary_erosion(mask, iterations=width, border_value=0)
    np.testing.assert_array_equal(drawing == TINT, inner)
    np.testing.assert_array_equal(drawing == CONTOUR, mask & ~inner)


def test_the_contour_closes_along_the_border_of_the_plane() -> None:
    drawing = outline(np.ones((5, 5), bool), 1)
    assert (drawing[1:-1, 1:-1] == TINT).all()
    assert (drawing == CONTOUR).sum() == 16


def test_nothing_to_draw() -> None:
    assert outline(np.zeros((0, 0), bool), 1).shape == (0, 0)
    assert not outline(np.zeros((4, 5), bool), 1).any()


def test_the_contour_can_be_seen_on_a_large_plane() -> None:
    assert contour_width((64, 64)) == 1
    assert contour_width((2048, 1024)) == 5

from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import PlaneKey, PlaneSource
from napari_mobilesam.engine.stacks import MaskPatch, overlap
from napari_mobilesam.engine.stacks.contrast import PlaneValues, is_clear, stands_out


def measured(inside: float, spread: float) -> tuple[float, float]:
    """Measure a square in a ground of 100 and of that spread."""
    checks = np.indices((40, 40)).sum(axis=0) % 2
    picture = 100 + spread * (2.0 * checks - 1)
    picture[12:28, 12:28] = inside
    patch = MaskPatch.cut(np.ones((16, 16), bool), 12, 12)
    return PlaneValues(PlaneSource(PlaneKey('p', (0, 1), ()), picture)).contrast(patch)


@pytest.mark.parametrize(
    ('inside', 'out', 'clear'),
    [(200, True, True), (0, True, True), (128, True, False), (105, False, False)],
)
def test_how_far_an_object_stands_out(inside: float, out: bool, clear: bool) -> None:
    contrast = measured(inside, 40)
    assert contrast[1] == pytest.approx(40, rel=0.02)
    assert np.sign(contrast[0]) in (np.sign(inside - 100), 0) or not out
    assert (stands_out(contrast), is_clear(contrast)) == (out, clear)


@pytest.mark.parametrize('sign', [1, -1])
def test_the_part_of_a_mask_that_stands_out(sign: int) -> None:
    picture = np.full((40, 40), 100.0)
    picture[12:28, 12:20] += sign * 80
    picture[16:19, 15:17] -= sign * 80  # a hole
    picture[12:14, 26:28] += sign * 80  # a speck
    patch = MaskPatch.cut(np.ones((16, 16), bool), 12, 12)
    values = PlaneValues(PlaneSource(PlaneKey('p', (0, 1), ()), picture))
    kept = values.standing_out(patch, sign * 40.0)
    bright = MaskPatch.cut(np.ones((16, 8), bool), 12, 12)
    assert overlap(kept, bright) > 0.95
    assert not values.standing_out(patch, -sign * 40.0)
    # weaker than asked for
    assert not values.standing_out(patch, sign * 120.0)


def test_the_floor_is_what_most_of_an_object_stands_out_by() -> None:
    picture = np.full((40, 40), 100.0)
    picture[12:28, 12:28] -= 80
    patch = MaskPatch.cut(np.ones((16, 16), bool), 12, 12)

    def floor(part: float) -> float:
        return PlaneValues(PlaneSource(PlaneKey('p', (0, 1), ()), picture)).floor(
            patch, -80.0, part
        )

    assert floor(0.3) == pytest.approx(-24)
    picture[12:28, 12:18] = 90  # a third of it is fainter
    assert floor(0.3) == pytest.approx(-10, abs=1)
    picture[12:28, 12:18] = 110
    assert floor(0.3) == 0


def test_no_ring_and_nothing_to_see() -> None:
    assert not stands_out((0.0, 0.0))
    assert not is_clear((0.0, 0.0))
    whole = MaskPatch.cut(np.ones((8, 8), bool))
    values = PlaneValues(PlaneSource(PlaneKey('p', (0, 1), ()), np.ones((8, 8))))
    assert values.contrast(whole) == (0.0, 0.0)
    assert values.standing_out(whole, 5.0) is whole
    assert values.floor(whole, 5.0, 0.3) == 0
    part = MaskPatch.cut(np.ones((4, 4), bool), 2, 2)
    assert values.standing_out(part, 0.0) is part

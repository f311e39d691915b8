from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import PlaneKey, PlaneSource
from napari_mobilesam.engine.stacks import MaskPatch
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


def test_no_ring_and_nothing_to_see() -> None:
    assert not stands_out((0.0, 0.0))
    assert not is_clear((0.0, 0.0))
    whole = MaskPatch.cut(np.ones((8, 8), bool))
    values = PlaneValues(PlaneSource(PlaneKey('p', (0, 1), ()), np.ones((8, 8))))
    assert values.contrast(whole) == (0.0, 0.0)

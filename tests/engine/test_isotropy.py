from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeSegmenter

from napari_mobilesam.engine import (
    Annotator,
    IntensityMapping,
    MaskPrompt,
    PlaneKey,
    PlaneSource,
    Prompts,
)
from napari_mobilesam.engine.isotropy import square_pixels
from napari_mobilesam.engine.stacks import MaskPatch, PlaneSeries, Propagation

FULL = IntensityMapping('displayed', limits=(0, 255))


@pytest.mark.parametrize(
    ('shape', 'spacing', 'expected'),
    [
        ((20, 100), (5, 1), (100, 100)),
        ((100, 20), (1, 5), (100, 100)),
        ((100, 100), (1, 1.01), (100, 100)),
        ((20, 3000), (5, 1), (100, 3000)),
        ((100, 100), (50, 1), (1024, 20)),
        ((1, 1), (1e9, 1), (1024, 1)),
    ],
)
def test_sizes(
    shape: tuple[int, int], spacing: tuple[float, float], expected: tuple[int, int]
) -> None:
    picture = np.full((*shape, 3), 7, np.uint8)
    stretched = square_pixels(picture, spacing, 1024)
    assert stretched.shape == (*expected, 3)
    assert (stretched == 7).all()


def flat_ball() -> tuple[np.ndarray, PlaneSource]:
    """A ball in voxels five times as high as wide, and its XZ plane through the middle."""
    z, y, x = np.indices((16, 80, 80))
    ball = (5 * (z - 8)) ** 2 + (y - 40) ** 2 + (x - 40) ** 2 <= 25**2
    volume = np.where(ball, 200, 20).astype(np.uint8)
    key = PlaneKey('volume', (0, 2), (40,))
    return ball, PlaneSource(key, volume, FULL, spacing=(5.0, 1.0))


def test_points_boxes_and_masks_arrive_where_they_were_meant() -> None:
    ball, source = flat_ball()
    assert source.shape == (16, 80)
    assert source.image().shape == (80, 80, 3)
    truth = ball[:, 40]
    annotator = Annotator(FakeSegmenter())
    for prompts in (
        Prompts(((8, 40),), (True,)),
        Prompts(box=(2, 12, 14, 68)),
        Prompts(mask=MaskPrompt.from_mask(truth)),
    ):
        mask = annotator.predict(source, prompts).mask()
        assert mask.shape == truth.shape
        assert np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth) > 0.8


def test_propagation_through_xz_planes() -> None:
    ball, source = flat_ball()
    planes = PlaneSeries(source, 1)
    propagation = Propagation(Annotator(FakeSegmenter()), planes)
    propagation.anchor(1, 40, MaskPatch.cut(ball[:, 40]))
    list(propagation.run())
    found = np.stack([propagation.paint(y) for y in range(80)], axis=1) > 0
    assert np.count_nonzero(found & ball) / np.count_nonzero(found | ball) > 0.7


def test_another_spacing_is_another_picture() -> None:
    _, source = flat_ball()
    plain = PlaneSource(source.key, source.array, FULL)
    assert not source.same_picture(plain)
    with pytest.raises(ValueError, match='positive and finite'):
        PlaneSource(source.key, source.array, FULL, spacing=(0, 1))

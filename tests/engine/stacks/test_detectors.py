from __future__ import annotations

import pytest
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou, plane

from napari_mobilesam.engine import Annotator, PlaneKey, PlaneSource
from napari_mobilesam.engine.stacks.detectors import DETECTORS, detector


@pytest.mark.parametrize('what', DETECTORS)
def test_three_discs(what: str) -> None:
    picture = 200 - plane() if what == 'dark' else plane()
    source = PlaneSource(PlaneKey('discs', (0, 1)), picture)
    found = detector(what, Annotator(FakeSegmenter()))(source, 4, None)
    assert len(found) == 3
    for centre in CENTRES:
        truth = disc(picture.shape, centre, RADIUS)
        best = max(found, key=lambda one: iou(one.patch.full(picture.shape), truth))
        assert iou(best.patch.full(picture.shape), truth) > 0.8
        assert best.index == 4
        assert 0.3 < best.score <= 1


def test_proposals_are_met_where_voxels_are_not_cubes() -> None:
    tall = plane()[::4]  # one row for four columns, as in a view from the side
    source = PlaneSource(PlaneKey('discs', (0, 1)), tall, spacing=(4.0, 1.0))
    found = detector('bright', Annotator(FakeSegmenter()))(source, 0, None)
    assert len(found) == 3
    for row, column in CENTRES:
        truth = disc((120, 160), (row, column), RADIUS)[::4]
        assert max(iou(one.patch.full(tall.shape), truth) for one in found) > 0.7


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="got 'round'"):
        detector('round', Annotator(FakeSegmenter()))

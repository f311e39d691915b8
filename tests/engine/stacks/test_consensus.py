from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from scipy import ndimage

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    Channel,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
)
from napari_mobilesam.engine.stacks import MaskPatch, PlaneSeries, Propagation, StopReason
from napari_mobilesam.engine.stacks.consensus import agreed, sideways, three_views

FULL = IntensityMapping('displayed', limits=(0, 255))
SHAPE = (21, 40, 44)


def ball() -> np.ndarray:
    grid = np.indices(SHAPE)
    return sum((g - c) ** 2 for g, c in zip(grid, (10, 20, 22), strict=True)) <= 36


def series(volume: np.ndarray, axis: int = 0, index: tuple[int, ...] = (0,)) -> PlaneSeries:
    displayed = tuple(a for a in range(volume.ndim - 3, volume.ndim) if a != axis)
    return PlaneSeries(PlaneSource(PlaneKey('volume', displayed, index), volume, FULL), axis)  # type: ignore[arg-type]


@pytest.fixture
def followed() -> tuple[Annotator, PlaneSeries, Propagation]:
    """A ball, followed from its middle; on two slices what was found is much too large."""
    truth = ball()
    annotator, planes = Annotator(FakeSegmenter()), series(np.where(truth, 200, 20).astype('u1'))
    propagation = Propagation(annotator, planes)
    propagation.anchor(1, 10, MaskPatch.cut(truth[10]))
    list(propagation.run())
    wrong = dict(propagation.masks(1))
    for index in (8, 13):
        grown = ndimage.binary_dilation(truth[index], iterations=5)
        wrong[index] = replace(wrong[index], patch=MaskPatch.cut(grown))
    propagation.settle(1, wrong)
    return annotator, planes, propagation


def volume_of(propagation: Propagation) -> np.ndarray:
    return np.stack([propagation.paint(index) for index in range(SHAPE[0])]) > 0


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_sides_show_the_same_voxels(axis: int) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (5, 6, 7), np.uint8)
    planes = series(volume, axis)
    for turned in (a for a in range(3) if a != axis):
        side = sideways(planes, turned, 2.5)
        kept = 3 - axis - turned
        assert (len(side), side.axis) == (volume.shape[turned], turned)
        expected = np.moveaxis(volume, (turned, axis, kept), (0, 1, 2))
        assert all((side[index].read() == expected[index]).all() for index in range(len(side)))
        assert side[0].spacing == (2.5, 1.0)


def test_sides_of_a_stack_in_time_stay_at_their_time() -> None:
    film = np.random.default_rng(0).integers(0, 255, (3, 4, 5, 6), np.uint8)
    planes = series(film, 1, (2, 0))
    assert (sideways(planes, 3)[1].read() == film[2, :, :, 1]).all()


def test_a_picture_of_several_layers_has_no_sides() -> None:
    planes = series(np.zeros((4, 5, 6), np.uint8))
    blended = replace(planes[0], channels=(Channel(planes[0]),))
    with pytest.raises(ValueError, match='this layer'):
        sideways(PlaneSeries(blended, 0), 1)
    with pytest.raises(ValueError, match='one of'):
        sideways(planes, 0)


def test_a_voxel_belongs_where_most_agree() -> None:
    views = [np.array(bits, bool) for bits in ([1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0])]
    assert agreed(views).tolist() == [True, True, False, False]
    assert agreed(views[:2]).tolist() == [True, True, False, False]


def test_what_went_wrong_on_single_slices_is_outvoted(
    followed: tuple[Annotator, PlaneSeries, Propagation],
) -> None:
    annotator, planes, propagation = followed
    truth, before = ball(), volume_of(propagation)
    assert max(iou(before[8], truth[8]), iou(before[13], truth[13])) < 0.5
    steps = list(three_views(annotator, planes, propagation, 1))
    after = volume_of(propagation)
    assert iou(after[8], truth[8]) > 0.8
    assert iou(after[13], truth[13]) > 0.8
    assert iou(after, truth) > 0.8 > iou(before, truth)
    assert (after[10] == truth[10]).all(), 'what the user gave'
    assert [step.axis for step in steps] == sorted(step.axis for step in steps)
    assert {step.axis for step in steps} == {1, 2}
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done <= steps[-1].total
    found = propagation.masks(1)
    assert found[8].mode == 'three views'
    assert 0 < found[8].confidence < found[9].confidence <= 1, 'where the views differ'
    below, above = propagation.stops(1)
    assert (below.index, above.index) == (min(found) - 1, max(found) + 1)
    assert list(propagation.run()) == [], 'nothing is due'


def test_slices_that_the_user_marked_stay_empty(
    followed: tuple[Annotator, PlaneSeries, Propagation],
) -> None:
    annotator, planes, propagation = followed
    propagation.mark(1, 12)
    list(propagation.run())
    list(three_views(annotator, planes, propagation, 1))
    assert max(propagation.masks(1)) == 11
    assert propagation.stops(1)[-1].reason in (StopReason.MARK, StopReason.SIDES)


def test_an_object_that_its_sides_lose_is_left_alone(
    followed: tuple[Annotator, PlaneSeries, Propagation], monkeypatch: pytest.MonkeyPatch
) -> None:
    annotator, planes, propagation = followed
    before = dict(propagation.masks(1))
    nothing = np.full(SHAPE, 20, np.uint8)
    nothing[0, 0, 0] = 200
    monkeypatch.setattr(
        'napari_mobilesam.engine.stacks.consensus.sideways',
        lambda planes, axis, depth: sideways(series(nothing), axis, depth),
    )
    assert list(three_views(annotator, planes, propagation, 1))
    assert propagation.masks(1) == before


def test_a_cancelled_one_changes_nothing(
    followed: tuple[Annotator, PlaneSeries, Propagation],
) -> None:
    annotator, planes, propagation = followed
    before, cancel = volume_of(propagation), CancelToken()
    running = three_views(annotator, planes, propagation, 1, cancel=cancel)
    next(running)
    cancel.cancel()
    with pytest.raises(Cancelled):
        list(running)
    assert (volume_of(propagation) == before).all()


def test_an_object_on_two_slices_has_no_sides() -> None:
    volume = np.zeros((2, 20, 20), np.uint8)
    volume[:, 5:15, 5:15] = 200
    planes, fake = series(volume), FakeSegmenter()
    annotator = Annotator(fake)
    propagation = Propagation(annotator, planes)
    propagation.anchor(1, 0, MaskPatch.cut(volume[0] > 0))
    list(propagation.run())
    encoded = len(fake.encoded)
    assert list(three_views(annotator, planes, propagation, 1)) == []
    assert len(fake.encoded) == encoded


def test_there_has_to_be_such_an_object(followed: Any) -> None:
    with pytest.raises(ValueError, match='no object 7'):
        list(three_views(*followed, 7))

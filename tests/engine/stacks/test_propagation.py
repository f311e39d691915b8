from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from scipy.ndimage import gaussian_filter

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    Channel,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
)
from napari_mobilesam.engine.stacks import (
    MaskPatch,
    PlaneSeries,
    Propagation,
    PropagationOptions,
    PropagationStep,
    StopReason,
    StopRules,
    overlap,
)

FULL = IntensityMapping('displayed', limits=(0, 255))


def balls(
    *centres: tuple[int, int, int], radius: float = 6, shape: tuple[int, int, int] = (17, 64, 64)
) -> np.ndarray:
    """Label balls, in (z, y, x)."""
    grid = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for number, centre in enumerate(centres, 1):
        inside = sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True))
        labels[inside <= radius**2] = number
    return labels


def series(volume: np.ndarray, axis: int = 0) -> PlaneSeries:
    displayed = tuple(other for other in range(3) if other != axis)
    key = PlaneKey('volume', (displayed[0], displayed[1]), (0,))
    return PlaneSeries(PlaneSource(key, volume, FULL), axis)


def start(
    labels: np.ndarray,
    anchors: dict[int, list[int]],
    options: PropagationOptions | None = None,
    picture: np.ndarray | None = None,
    axis: int = 0,
) -> tuple[Propagation, FakeSegmenter]:
    fake = FakeSegmenter()
    volume = np.where(labels > 0, 200, 20).astype(np.uint8) if picture is None else picture
    propagation = Propagation(Annotator(fake), series(volume, axis), options)
    for label, slices in anchors.items():
        for z in slices:
            truth = np.moveaxis(labels, axis, 0)[z] == label
            propagation.anchor(label, z, MaskPatch.cut(truth))
    return propagation, fake


def volume_of(propagation: Propagation, count: int) -> np.ndarray:
    return np.stack([propagation.paint(index) for index in range(count)])


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


@pytest.mark.parametrize('mode', ['agreement', 'box', 'mask', 'points'])
def test_a_ball_from_its_middle(mode: str) -> None:
    labels = balls((8, 30, 30))
    propagation, fake = start(labels, {1: [8]}, PropagationOptions(mode=mode))  # type: ignore[arg-type]
    steps = list(propagation.run())
    assert iou(volume_of(propagation, 17) > 0, labels > 0) > 0.7
    assert [step.index for step in steps if step.direction == 1][:3] == [9, 10, 11]
    assert {stop.reason for stop in propagation.stops(1)} <= {
        StopReason.VANISHED,
        StopReason.FADED,
        StopReason.OVERLAP,
    }
    below, above = propagation.stops(1)
    assert below.direction == -1
    assert above.direction == 1
    assert 1 <= below.index < 8 < above.index <= 15
    # nothing beyond a stop is read, not to speak of encoded
    assert len(fake.encoded) <= 14


def test_many_objects_are_one_batch_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = balls((8, 14, 14), (8, 14, 48), (8, 48, 14), (8, 48, 48))
    propagation, fake = start(
        labels, {label: [8] for label in (1, 2, 3, 4)}, PropagationOptions(mode='box')
    )
    batches: list[int] = []
    decode_many = fake.decode_many

    def counting(embedding: Any, prompts: Any, cancel: Any = None) -> Any:
        batches.append(len(prompts))
        return decode_many(embedding, prompts, cancel)

    monkeypatch.setattr(fake, 'decode_many', counting)
    steps = list(propagation.run())
    assert all(set(step.found) | {s.label for s in step.stopped} == {1, 2, 3, 4} for step in steps)
    assert batches == [4] * len(steps)
    volume = volume_of(propagation, 17)
    for label in (1, 2, 3, 4):
        assert iou(volume == label, labels == label) > 0.7
    assert steps[-1].done <= steps[-1].total


def test_anchors_are_never_changed_and_approached_from_both_sides() -> None:
    labels = balls((8, 30, 30))
    propagation, _ = start(labels, {1: [5]})
    square = MaskPatch.cut(np.ones((8, 8), bool), 26, 26)
    propagation.anchor(1, 10, square)
    steps = list(propagation.run())
    masks = propagation.masks(1)
    assert masks[10].patch is square
    assert (masks[10].mode, masks[10].confidence) == ('anchor', 1.0)
    assert masks[5].mode == 'anchor'
    seen = {(step.index, step.direction) for step in steps}
    # 6, 7 come from 5 and 8, 9 from 10
    assert {(6, 1), (7, 1), (9, -1), (8, -1)} <= seen
    assert not {(8, 1), (7, -1), (5, 1), (10, -1)} & seen


def test_between_anchors_nothing_stops_it_and_the_shape_is_interpolated() -> None:
    labels = balls((8, 30, 30))
    picture = np.where(labels > 0, 200, 20).astype(np.uint8)
    picture[7:10] = 20  # three slices went missing
    picture[7:10, 0, 0] = 200
    propagation, _ = start(labels, {1: [6, 10]}, PropagationOptions('box'), picture)
    list(propagation.run())
    masks = propagation.masks(1)
    for z in (7, 8, 9):
        assert masks[z].mode == 'interpolated'
        assert masks[z].confidence < 0.5
        assert overlap(masks[z].patch, MaskPatch.cut(labels[z] == 1)) > 0.7


def test_a_correction_computes_only_what_hangs_on_it() -> None:
    labels = balls((8, 30, 30), (8, 30, 50))
    propagation, fake = start(labels, {1: [8], 2: [8]})
    list(propagation.run())
    before = {label: dict(propagation.masks(label)) for label in (1, 2)}
    assert list(propagation.run()) == []
    fake.decoded.clear()
    propagation.anchor(1, 10, MaskPatch.cut(labels[10] == 1))
    steps = list(propagation.run())
    assert {step.index for step in steps} <= {9, *range(11, 17)}
    assert all(set(step.found) <= {1} for step in steps)
    after = {label: propagation.masks(label) for label in (1, 2)}
    assert all(after[2][z] is mask for z, mask in before[2].items())
    assert all(after[1][z] is mask for z, mask in before[1].items() if z <= 8)
    assert after[1][9] is not before[1][9]


def test_marks_end_an_object() -> None:
    labels = balls((8, 30, 30))
    propagation, _ = start(labels, {1: [8]})
    propagation.mark(1, 11)
    list(propagation.run())
    assert max(propagation.masks(1)) == 10
    top = propagation.stops(1)[-1]
    assert (top.index, top.direction, top.reason) == (11, 1, StopReason.MARK)
    propagation.release(1, 11)
    list(propagation.run())
    assert max(propagation.masks(1)) > 10


def test_the_ends_of_the_stack_and_of_the_range() -> None:
    labels = np.zeros((9, 40, 40), np.int32)
    labels[:, 10:20, 10:20] = 1  # a bar through the whole stack
    propagation, _ = start(labels, {1: [4]})
    list(propagation.run())
    assert len(propagation.masks(1)) == 9
    assert [(s.index, s.reason) for s in propagation.stops(1)] == [
        (-1, StopReason.END),
        (9, StopReason.END),
    ]
    propagation, _ = start(labels, {1: [4]}, PropagationOptions(first=3, last=6))
    list(propagation.run())
    assert sorted(propagation.masks(1)) == [3, 4, 5, 6]


def test_an_object_that_moves_out_of_the_image() -> None:
    labels = np.zeros((18, 40, 40), np.int32)
    for z in range(18):
        labels[z, 10:22, max(0, 20 - 2 * z) : max(0, 32 - 2 * z)] = 1
    rules = StopRules(min_overlap=0.1, min_contrast=0)
    propagation, _ = start(labels, {1: [0]}, PropagationOptions('points', rules, reach=1.0))
    list(propagation.run())
    masks = propagation.masks(1)
    assert max(masks) >= 12
    assert all(overlap(masks[z].patch, MaskPatch.cut(labels[z] == 1)) > 0.9 for z in masks)


def test_masks_do_not_grow_into_what_is_under_them() -> None:
    labels = balls((8, 30, 30))
    picture = np.where(labels > 0, 200, 20).astype(np.uint8)
    picture[13:, 10:50, 10:50] = 200  # something large and bright begins above the ball
    propagation, _ = start(labels, {1: [8]}, picture=picture)
    list(propagation.run())
    masks = propagation.masks(1)
    largest = masks[8].patch.area
    assert all(mask.patch.area <= 1.05 * largest for mask in masks.values())
    assert max(masks) <= 14


def test_the_next_object_below_is_another_one() -> None:
    labels = np.zeros((12, 48, 48), np.int32)
    labels[:6, 18:30, 18:30] = 1
    labels[6:, 18:30, 20:32] = 2
    light = np.array([200, 190, 170, 150, 140, 130, 240, 240, 240, 240, 230, 220])
    picture = np.where(labels > 0, light[:, None, None], 20).astype(np.uint8)
    for rise, last, reason in ((1.3, 5, StopReason.OTHER), (float('inf'), 11, StopReason.END)):
        rules = StopRules(max_rise=rise)
        propagation, _ = start(labels, {1: [0]}, PropagationOptions(rules=rules), picture)
        list(propagation.run())
        assert max(propagation.masks(1)) == last
        assert propagation.stops(1)[-1].reason is reason


def test_without_contrast_the_model_s_doubt_ends_an_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = np.zeros((8, 48, 48), np.int32)
    labels[:, 18:30, 18:30] = 1
    picture = np.where(np.indices(labels.shape)[2] % 12 < 6, 200, 20).astype(np.uint8)
    picture[:, 0, 0] = range(8)  # slices of their own, not one embedding for all
    propagation, fake = start(labels, {1: [0]}, picture=picture)
    scores = iter([0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.7])
    decode_many = fake.decode_many

    def unsure(embedding: Any, prompts: Any, cancel: Any = None) -> Any:
        score = next(scores)
        for found in decode_many(embedding, prompts, cancel):
            logits = np.full((1, 256, 256), -9.0, np.float32)
            logits[:, 96:160, 96:160] = 9  # where the object is
            yield replace(found, logits=logits, scores=np.array([score], np.float32))

    monkeypatch.setattr(fake, 'decode_many', unsure)
    list(propagation.run())
    assert max(propagation.masks(1)) == 4
    assert propagation.stops(1)[-1].reason is StopReason.DOUBT


def test_fading_light_ends_an_object() -> None:
    labels = np.zeros((10, 48, 48), np.int32)
    labels[:, 18:30, 18:30] = 1
    light = np.linspace(1, 0, 10)[:, None, None]
    picture = (20 + np.where(labels > 0, 200, 0) * light).astype(np.uint8)
    mapped_per_plane = series(picture)
    fake = FakeSegmenter()
    source = PlaneSource(PlaneKey('v', (1, 2), (0,)), picture, IntensityMapping('full'))
    for contrast, last in ((0.5, 4), (0.0, 9)):
        rules = StopRules(min_contrast=contrast, min_brightness=0)
        propagation = Propagation(
            Annotator(fake), PlaneSeries(source, 0), PropagationOptions(rules=rules)
        )
        propagation.anchor(1, 0, MaskPatch.cut(labels[0] == 1))
        list(propagation.run())
        assert abs(max(propagation.masks(1)) - last) <= 1
    assert len(mapped_per_plane) == 10


def test_masks_shrink_with_a_blurred_object_though_the_model_draws_it_as_large_as_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = balls((8, 30, 30), radius=7)
    picture = 20 + 180 * gaussian_filter((labels > 0).astype(float), (3.0, 1.0, 1.0))
    sizes = {}
    for mode in ('agreement', 'mask'):
        propagation, fake = start(
            labels, {1: [8]}, PropagationOptions(mode=mode), picture.astype(np.uint8)
        )
        decode_many = fake.decode_many

        def as_asked(
            embedding: Any, prompts: Any, cancel: Any = None, way: Any = decode_many
        ) -> Any:
            for found in way(embedding, prompts, cancel):
                logits = np.full((1, 256, 256), -9.0, np.float32)
                logits[:, 92:148, 92:148] = 9  # the ball's box in its middle, on every slice
                yield replace(found, logits=logits, scores=np.array([0.9], np.float32))

        monkeypatch.setattr(fake, 'decode_many', as_asked)
        list(propagation.run())
        masks = propagation.masks(1)
        sizes[mode] = [masks[z].patch.area / np.count_nonzero(labels[z]) for z in (9, 11, 13)]
    assert sizes['mask'][2] > 2
    assert sizes['agreement'][2] < 0.75 * sizes['mask'][2]
    assert all(0.7 < size < 1.3 for size in sizes['agreement'][:2])


def test_other_axes() -> None:
    labels = balls((8, 30, 30))
    for axis, place in ((1, 30), (2, 30)):
        propagation, _ = start(labels, {1: [place]}, axis=axis)
        list(propagation.run())
        volume = np.moveaxis(volume_of(propagation, 64), 0, axis)
        assert iou(volume > 0, labels > 0) > 0.7


def test_cancel_keeps_what_is_done() -> None:
    labels = balls((8, 30, 30))
    propagation, _ = start(labels, {1: [8]})
    cancel = CancelToken()
    running = propagation.run(cancel)
    seen: list[PropagationStep] = [next(running), next(running)]
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(running)
    assert [step.index for step in seen] == [9, 10]
    assert sorted(propagation.masks(1)) == [8, 9, 10]
    rest = list(propagation.run())
    assert not {9, 10} & {step.index for step in rest}
    assert iou(volume_of(propagation, 17) > 0, labels > 0) > 0.7


def test_touching_objects_share_no_pixel() -> None:
    labels = np.zeros((7, 40, 40), np.int32)
    labels[:, 10:20, 8:20] = 1
    labels[:, 10:20, 20:32] = 2
    propagation, _ = start(labels, {1: [3], 2: [3]}, PropagationOptions(mode='mask'))
    list(propagation.run())
    for z in range(7):
        one, two = propagation.masks(1)[z].patch, propagation.masks(2)[z].patch
        assert overlap(one, two) == 0
        assert overlap(one, MaskPatch.cut(labels[z] == 1)) > 0.9
        assert overlap(two, MaskPatch.cut(labels[z] == 2)) > 0.9


def test_the_confidence_curve() -> None:
    labels = balls((8, 30, 30))
    propagation, _ = start(labels, {1: [8]})
    list(propagation.run())
    curve = propagation.confidence(1)
    assert curve.shape == (17,)
    assert curve[8] == 1
    assert np.isnan(curve[[0, 16]]).all()
    present = list(propagation.masks(1))
    assert ((curve[present] > 0) & (curve[present] <= 1)).all()


def test_impossible_wishes() -> None:
    labels = balls((8, 30, 30))
    propagation, _ = start(labels, {1: [8]})
    patch = propagation.masks(1)[8].patch
    with pytest.raises(ValueError, match='start at 1'):
        propagation.anchor(0, 8, patch)
    with pytest.raises(ValueError, match='a slice from 0 to 16'):
        propagation.anchor(1, 17, patch)
    with pytest.raises(ValueError, match='no pixel on the plane'):
        propagation.anchor(1, 3, patch.shifted(900, 0))
    with pytest.raises(ValueError, match='no object 5'):
        propagation.masks(5)
    with pytest.raises(ValueError, match='max_growth'):
        StopRules(max_growth=1)
    with pytest.raises(ValueError, match='min_score'):
        StopRules(min_score=1.5)


def test_pictures_of_several_layers_are_followed_where_all_have_the_same_slices() -> None:
    red, green = np.zeros((2, 6, 32, 32), np.uint8)
    red[3], green[4] = 200, 100
    key = PlaneKey('red', (1, 2), (2,))

    def source(second: np.ndarray, at: int = 2) -> PlaneSource:
        channels = tuple(
            Channel(PlaneSource(PlaneKey(name, (1, 2), (index,)), array, FULL), colours=ramp)
            for name, array, index, ramp in (
                ('red', red, 2, np.eye(3)[:1] * np.linspace(0, 1, 256)[:, None]),
                ('green', second, at, np.eye(3)[1:2] * np.linspace(0, 1, 256)[:, None]),
            )
        )
        return PlaneSource(key, red, FULL, channels=channels)

    planes = PlaneSeries(source(green), 0)
    seen = [plane.image().reshape(-1, 3).max(axis=0).tolist() for plane in planes]
    assert seen == [[0, 0, 0]] * 3 + [[200, 0, 0], [0, 100, 0], [0, 0, 0]]
    assert planes.place_of(planes[5]) == 5
    assert planes.place_of(PlaneSource(key, red, FULL)) is None
    for other in (source(green[:5]), source(green, 1)):
        with pytest.raises(ValueError, match='the same slices'):
            PlaneSeries(other, 0)

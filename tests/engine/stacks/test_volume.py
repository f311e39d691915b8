from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from fakes import FakeSegmenter

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
)
from napari_mobilesam.engine.stacks import PlaneSeries
from napari_mobilesam.engine.stacks.detectors import blob_detector
from napari_mobilesam.engine.stacks.linking import LinkOptions, paint_linked
from napari_mobilesam.engine.stacks.measure import average_precision
from napari_mobilesam.engine.stacks.proposals import propose_blobs
from napari_mobilesam.engine.stacks.volume import VolumeSegmentation

CENTRES = ((6, 18, 18), (7, 44, 20), (6, 20, 46), (8, 45, 46))


def balls(centres: Sequence[tuple[int, int, int]] = CENTRES, radius: float = 7) -> np.ndarray:
    grid = np.indices((15, 64, 64))
    labels = np.zeros((15, 64, 64), np.int32)
    for number, centre in enumerate(centres, 1):
        inside = sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True))
        labels[inside <= radius**2] = number
    return labels


def series(labels: np.ndarray) -> PlaneSeries:
    volume = np.where(labels > 0, 200, 20).astype(np.uint8)
    mapping = IntensityMapping('displayed', limits=(0, 255))
    return PlaneSeries(PlaneSource(PlaneKey('volume', (1, 2), (0,)), volume, mapping), 0)


def test_a_whole_stack_and_thresholds_without_decoding() -> None:
    labels = balls()
    fake = FakeSegmenter()
    planes = series(labels)
    segmentation = VolumeSegmentation(planes, blob_detector(Annotator(fake)))
    steps = list(segmentation.run())
    assert [step.index for step in steps] == list(range(15))
    assert (steps[-1].done, steps[-1].total) == (15, 15)
    objects = segmentation.link()
    painted = np.stack([paint_linked(objects, z, planes.shape) for z in range(15)])
    assert average_precision(labels, painted, 0.7) == 1
    asked = len(fake.decoded)
    assert segmentation.link(LinkOptions(min_score=0.99)) == []
    assert len(segmentation.link(LinkOptions(min_slices=3))) == 4
    assert list(segmentation.run()) == []
    assert len(fake.decoded) == asked


def test_cancel_keeps_slices() -> None:
    segmentation = VolumeSegmentation(series(balls()), blob_detector(Annotator(FakeSegmenter())))
    cancel = CancelToken()
    running = segmentation.run(range(4, 9), cancel)
    assert [next(running).index, next(running).index] == [4, 5]
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(running)
    assert sorted(segmentation.found) == [4, 5]
    assert len(segmentation.link(LinkOptions(min_slices=2))) == 4


def test_touching_blobs_are_two_proposals_and_noise_is_none() -> None:
    labels = balls(((7, 20, 20), (7, 20, 32)))
    image = np.repeat(np.where(labels[7] > 0, 200, 20).astype(np.uint8)[..., None], 3, axis=2)
    assert len(propose_blobs(image)) == 2
    assert propose_blobs(np.zeros((20, 20, 3), np.uint8)) == []

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_mobilesam.engine import (
    Cancelled,
    CancelToken,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
    StackSample,
)

STACK = IntensityMapping('stack', low=0, high=100)


class Recorder:
    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.shape = data.shape
        self.dtype = data.dtype
        self.reads: list[int] = []

    def __getitem__(self, index: Any) -> np.ndarray:
        part = self.data[index]
        self.reads.append(part.size)
        return part


def test_all_planes_are_mapped_alike() -> None:
    data = np.arange(4)[:, None, None] * np.full((1, 5, 5), 10.0)
    sample = StackSample(data, PlaneKey('i', (1, 2), (0,)))
    assert sample.window(STACK) == (0.0, 30.0)
    means = [
        PlaneSource(PlaneKey('i', (1, 2), (z,)), data, STACK, sample=sample).image().mean()
        for z in range(4)
    ]
    assert means == [0, 85, 170, 255]


def test_a_volume_is_never_read_as_a_whole() -> None:
    data = Recorder(np.broadcast_to(np.float32(1), (1000, 3, 800, 900)))
    sample = StackSample(data, PlaneKey('i', (2, 3), (5, 1)))
    sample.window(STACK)
    sample.window(IntensityMapping('stack', low=5, high=95))
    assert len(data.reads) == 9
    assert max(data.reads) <= 2**17


def test_channels_are_not_mixed() -> None:
    data = np.stack([np.full((4, 5, 6), 1.0), np.full((4, 5, 6), 9.0)])
    data[:, 2] += 1
    key = PlaneKey('i', (2, 3), (1, 0))
    assert StackSample(data, key, channel_axis=0).window(STACK) == (9.0, 10.0)
    assert StackSample(data, key).window(STACK) == (1.0, 10.0)


@pytest.mark.parametrize('shape', [(7, 8), (7, 8, 3)])
def test_a_single_plane_and_colour(shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(0).normal(size=shape)
    low, high = StackSample(data, PlaneKey('i', (0, 1))).window(STACK)
    assert (low, high) == (data.min(), data.max())


def test_cancelled_between_planes() -> None:
    token = CancelToken()
    token.cancel()
    sample = StackSample(np.zeros((4, 5, 5)), PlaneKey('i', (1, 2), (0,)))
    with pytest.raises(Cancelled):
        sample.window(STACK, token)
    assert sample.window(STACK) == (0.0, 0.0)


def test_without_a_sample_the_plane_speaks_for_itself() -> None:
    data = np.arange(25.0).reshape(1, 5, 5)
    image = PlaneSource(PlaneKey('i', (1, 2), (0,)), data, STACK).image()
    assert (image.min(), image.max()) == (0, 255)

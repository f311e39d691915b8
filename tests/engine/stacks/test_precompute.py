from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    DiskStore,
    EmbeddingStore,
    PlaneKey,
    PlaneSource,
)
from napari_mobilesam.engine.stacks import PlaneSeries
from napari_mobilesam.engine.stacks.precompute import PrecomputePlan, precompute


class Lazy:
    """A volume that is computed where it is read, and counts what is read."""

    def __init__(self, count: int, side: int = 32) -> None:
        self.shape = (count, side, side)
        self.dtype = np.dtype(np.uint8)
        self.read: list[int] = []

    def __getitem__(self, index: Any) -> np.ndarray:
        position = int(index[0])
        self.read.append(position)
        rng = np.random.default_rng(position)
        return rng.integers(0, 255, self.shape[1:], np.uint8)[index[1:]]


def series(array: Any) -> PlaneSeries:
    return PlaneSeries(PlaneSource(PlaneKey('volume', (1, 2), (0,)), array), 0)


def drain(plan: PrecomputePlan) -> list[int]:
    order = []
    while taken := plan.take():
        order += taken
    return order


def test_outwards_from_where_the_user_is() -> None:
    assert drain(PrecomputePlan(7, 3)) == [3, 4, 2, 5, 1, 6, 0]
    assert drain(PrecomputePlan(4, 0)) == [0, 1, 2, 3]
    assert drain(PrecomputePlan(0)) == []
    plan = PrecomputePlan(9, 6)
    assert [plan.take(), plan.take()] == [[6], [7]]
    plan.focus(2)  # moved down: down goes first
    assert plan.take(4) == [2, 1, 3, 0]
    plan.put_back([2])
    assert plan.take() == [2]
    assert plan.remaining == 3
    assert plan.take(9) == [4, 5, 8]


def test_progress_and_the_second_time(tmp_path: Path) -> None:
    volume = Lazy(6)
    fake = FakeSegmenter()
    annotator = Annotator(fake, EmbeddingStore(64, DiskStore(tmp_path)))
    steps = list(precompute(annotator, series(volume), PrecomputePlan(6, 2)))
    assert [step.index for step in steps] == [2, 3, 1, 4, 0, 5] == volume.read
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6]
    assert all(step.encoded and step.total == 6 for step in steps)
    assert steps[0].seconds_left is not None
    assert steps[-1].seconds_left == 0
    again = Annotator(fake, EmbeddingStore(64, DiskStore(tmp_path)))
    steps = list(precompute(again, series(Lazy(6)), PrecomputePlan(6, 2)))
    assert len(fake.encoded) == 6
    assert not any(step.encoded for step in steps)
    assert steps[0].seconds_left is None


def test_as_many_at_a_time_as_the_device_takes(tmp_path: Path) -> None:
    fake = FakeSegmenter(at_once=3)
    volume, store = Lazy(8), DiskStore(tmp_path)
    planes = series(volume)
    annotator = Annotator(fake, EmbeddingStore(64, store))
    annotator.embed(planes[4])
    steps = list(precompute(annotator, planes, PrecomputePlan(8, 3)))
    assert [step.index for step in steps] == [3, 4, 2, 5, 1, 6, 0, 7]
    assert [step.index for step in steps if not step.encoded] == [4]
    assert [step.done for step in steps] == list(range(1, 9))
    assert [step.seconds_left is None for step in steps] == [False] * 8
    assert steps[-1].seconds_left == 0
    assert fake.together == [1, 2, 3, 2]
    for index in range(8):
        alone = Annotator(FakeSegmenter()).embed(planes[index])
        assert (annotator.embed(planes[index]).features == alone.features).all()
    assert len(fake.encoded) == 8


def test_what_was_encoded_with_a_cancelled_one_is_kept() -> None:
    fake = FakeSegmenter(gate=threading.Event(), at_once=3)
    cancel, plan, annotator = CancelToken(), PrecomputePlan(5), Annotator(fake)

    def work() -> None:
        with pytest.raises(Cancelled):
            list(precompute(annotator, series(Lazy(5)), plan, cancel))

    thread = threading.Thread(target=work)
    thread.start()
    assert fake.started.wait(10)
    cancel.cancel()
    assert fake.gate is not None
    fake.gate.set()
    thread.join(10)
    assert len(annotator.store) == 3
    assert plan.remaining == 5


def test_what_failed_is_not_forgotten() -> None:
    fake = FakeSegmenter()
    annotator, planes, plan = Annotator(fake), series(Lazy(3)), PrecomputePlan(3)
    running = precompute(annotator, planes, plan)
    next(running)
    fake.fail_with = RuntimeError('broken')
    with pytest.raises(RuntimeError, match='broken'):
        next(running)
    assert plan.remaining == 2
    fake.fail_with = None
    assert [step.index for step in precompute(annotator, planes, plan)] == [1, 2]


def test_cancel_within_one_encode() -> None:
    fake = FakeSegmenter(gate=threading.Event())
    cancel = CancelToken()
    plan = PrecomputePlan(5)
    annotator = Annotator(fake)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            list(precompute(annotator, series(Lazy(5)), plan, cancel))
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert fake.started.wait(10)
    cancel.cancel()
    assert fake.gate is not None
    fake.gate.set()
    thread.join(10)
    assert len(errors) == 1
    assert len(fake.encoded) == 1
    assert len(annotator.store) == 1, 'what was paid for is kept'


def test_near_planes_stay_in_memory() -> None:
    annotator = Annotator(FakeSegmenter(), EmbeddingStore(8))  # four of them
    planes = series(Lazy(12))
    list(precompute(annotator, planes, PrecomputePlan(12, 6)))
    assert [z for z in range(12) if annotator.is_embedded(planes[z])] == [5, 6, 7, 8] or [
        z for z in range(12) if annotator.is_embedded(planes[z])
    ] == [4, 5, 6, 7]
    assert annotator.store.nbytes <= 8 * 2**20


@pytest.mark.slow
def test_memory_on_a_lazy_stack_of_500_large_planes(tmp_path: Path) -> None:
    psutil = pytest.importorskip('psutil')
    da = pytest.importorskip('dask.array')
    volume = da.random.default_rng(0).integers(
        0, 4096, size=(500, 2048, 2048), dtype=np.uint16, chunks=(1, 2048, 2048)
    )
    budget = 64
    annotator = Annotator(
        FakeSegmenter(), EmbeddingStore(budget, DiskStore(tmp_path, budget_mib=128))
    )
    process = psutil.Process()
    peak, start = 0, process.memory_info().rss
    for _ in precompute(annotator, series(volume), PrecomputePlan(500, 250)):
        peak = max(peak, process.memory_info().rss)
    gc.collect()
    assert (peak - start) / 2**20 < budget + 300

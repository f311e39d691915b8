from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from napari_mobilesam.engine import CancelToken, Worker
from napari_mobilesam.engine.background import BackgroundWork


class Bench:
    """Work of numbered steps on a real worker, each of which waits for a gate."""

    def __init__(self, count: int = 5) -> None:
        self.worker = Worker(('predict', 'work'))
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.ended = threading.Event()
        self.log: list[object] = []
        self.count = count
        self.fail_at: int | None = None
        self.work = BackgroundWork(
            self.worker.submit, 'work', self.steps, self.log.append, self.done, self.failed
        )

    def steps(self, cancel: CancelToken) -> Iterator[int]:
        for number in range(self.count):
            cancel.check()
            self.entered.release()
            assert self.gate.acquire(timeout=10)
            if number == self.fail_at:
                raise RuntimeError('broken')
            yield number

    def done(self, whole: bool) -> None:
        self.log.append('done' if whole else 'cancelled')
        self.ended.set()

    def failed(self, error: Exception) -> None:
        self.log.append(str(error))
        self.ended.set()

    def let(self, count: int = 1) -> None:
        for _ in range(count):
            self.gate.release()

    def wait(self) -> None:
        assert self.ended.wait(10)
        assert self.worker.wait_idle(10)


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.let(20)
    assert one.worker.close(10)


def test_all_steps_in_order(bench: Bench) -> None:
    bench.let(5)
    bench.work.start()
    bench.wait()
    assert bench.log == [0, 1, 2, 3, 4, 'done']
    assert not bench.work.running
    with pytest.raises(RuntimeError, match='started before'):
        bench.work.start()


def test_a_prompt_waits_for_one_step_at_most(bench: Bench) -> None:
    bench.work.start()
    assert bench.entered.acquire(timeout=10)
    bench.worker.submit('predict', lambda _: 'prompt', bench.log.append)
    bench.let(5)
    bench.wait()
    assert bench.log == [0, 'prompt', 1, 2, 3, 4, 'done']


def test_pause_and_resume(bench: Bench) -> None:
    bench.work.start()
    assert bench.entered.acquire(timeout=10)
    bench.work.pause()
    bench.let(5)
    assert bench.worker.wait_idle(10)
    assert bench.log == [0]
    assert bench.work.running
    assert bench.work.paused
    bench.work.resume()
    bench.work.resume()
    bench.wait()
    assert bench.log == [0, 1, 2, 3, 4, 'done']


def test_cancel_keeps_what_is_done(bench: Bench) -> None:
    bench.work.start()
    assert bench.entered.acquire(timeout=10)
    bench.work.cancel()
    bench.let(5)
    bench.wait()
    assert bench.log == [0, 'cancelled']


def test_cancel_while_paused(bench: Bench) -> None:
    bench.work.start()
    assert bench.entered.acquire(timeout=10)
    bench.work.pause()
    bench.let()
    assert bench.worker.wait_idle(10)
    bench.work.cancel()
    bench.work.resume()
    bench.wait()
    assert bench.log == [0, 'cancelled']


def test_an_error_ends_it(bench: Bench) -> None:
    bench.fail_at = 2
    bench.let(5)
    bench.work.start()
    bench.wait()
    assert bench.log == [0, 1, 'broken']
    assert not bench.work.running

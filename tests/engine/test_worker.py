from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest

from napari_mobilesam.engine import Cancelled, CancelToken, Worker, WorkerClosedError

SOON = 10  # seconds that nothing here ever needs


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


class Job:
    """Work that starts, and ends when the test says so."""

    def __init__(self, value: object = None, polls: bool = False) -> None:
        self.value = value
        self.polls = polls
        self.started = threading.Event()
        self.finish = threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self, token: CancelToken) -> object:
        self.thread = threading.current_thread()
        self.started.set()
        assert self.finish.wait(SOON)
        if self.polls:
            token.check()
        return self.value


def test_results_come_on_the_one_daemon_thread(worker: Worker) -> None:
    threads = set()
    for lane in ('predict', 'embed', 'predict'):
        worker.submit(lane, lambda token: lane, lambda _: threads.add(threading.current_thread()))  # noqa: B023
        assert worker.wait_idle(SOON)
    (thread,) = threads
    assert thread is not threading.current_thread()
    assert thread.daemon


def test_T11_a_stale_result_is_never_delivered(worker: Worker) -> None:
    results: list[object] = []
    slow, quick = Job('stale'), Job('fresh')
    first = worker.submit('embed', slow, results.append)
    assert slow.started.wait(SOON)
    second = worker.submit('embed', quick, results.append)
    assert first.cancelled
    assert (first.current, second.current) == (False, True)
    quick.finish.set()
    slow.finish.set()  # it never looked at its token, and ends with a result
    assert worker.wait_idle(SOON)
    assert results == ['fresh']


def test_T11_cancelled_work_stops_at_its_next_stage(worker: Worker) -> None:
    results: list[object] = []
    errors: list[Exception] = []
    job = Job('late', polls=True)
    ticket = worker.submit('embed', job, results.append, errors.append)
    assert job.started.wait(SOON)
    ticket.cancel()
    job.finish.set()
    assert worker.wait_idle(SOON)
    assert (results, errors) == ([], [])


def test_T11_a_result_on_its_way_to_another_thread_is_known_as_stale(worker: Worker) -> None:
    # The result was delivered, and waits (as a queued signal would) while the user goes on.
    mailbox: list[object] = []
    ticket = worker.submit('predict', lambda token: 'old', mailbox.append)
    assert worker.wait_idle(SOON)
    assert mailbox == ['old']
    assert ticket.current
    worker.submit('predict', lambda token: 'new', mailbox.append)
    assert not ticket.current
    other = worker.submit('embed', lambda token: None)
    assert worker.wait_idle(SOON)
    worker.cancel('embed')
    assert not other.current


def test_T11_errors_of_cancelled_work_are_not_shown(worker: Worker) -> None:
    errors: list[Exception] = []
    job = Job()

    def fail(token: CancelToken) -> None:
        job(token)
        raise ValueError('nobody asks any more')

    worker.submit('embed', fail, on_error=errors.append)
    assert job.started.wait(SOON)
    worker.cancel()
    job.finish.set()
    assert worker.wait_idle(SOON)
    assert errors == []


def test_T27_what_is_asked_while_busy_is_answered(worker: Worker) -> None:
    results: list[object] = []
    busy = Job('encode')
    worker.submit('embed', busy, results.append)
    assert busy.started.wait(SOON)
    worker.submit('predict', lambda token: 'click', results.append)
    busy.finish.set()
    assert worker.wait_idle(SOON)
    assert results == ['encode', 'click']


def test_T27_of_many_clicks_while_busy_the_last_is_answered_once(worker: Worker) -> None:
    ran: list[int] = []
    results: list[int] = []
    busy = Job()
    worker.submit('embed', busy)
    assert busy.started.wait(SOON)

    def click(number: int) -> None:
        def predict(token: CancelToken) -> int:
            ran.append(number)
            return number

        worker.submit('predict', predict, results.append)

    for number in range(50):
        click(number)
    busy.finish.set()
    assert worker.wait_idle(SOON)
    assert ran == results == [49]


def test_urgent_lanes_go_first() -> None:
    order: list[str] = []
    with Worker(lanes=('a', 'b', 'c')) as worker:
        busy = Job()
        worker.submit('b', busy)
        assert busy.started.wait(SOON)
        for lane in 'cab':
            worker.submit(lane, lambda token, lane=lane: order.append(lane))
        busy.finish.set()
        assert worker.wait_idle(SOON)
    assert order == ['a', 'b', 'c']


def test_lanes_do_not_cancel_each_other(worker: Worker) -> None:
    job = Job()
    embed = worker.submit('embed', job)
    assert job.started.wait(SOON)
    worker.submit('predict', lambda token: None)
    assert embed.current
    job.finish.set()


def test_errors_reach_the_one_who_asked_and_the_thread_goes_on(worker: Worker) -> None:
    errors: list[Exception] = []

    def fail(token: CancelToken) -> None:
        raise ValueError('no such file')

    worker.submit('embed', fail, on_error=errors.append)
    assert worker.wait_idle(SOON)
    assert [str(error) for error in errors] == ['no such file']
    results: list[int] = []
    worker.submit('embed', lambda token: 1, results.append)
    assert worker.wait_idle(SOON)
    assert results == [1]


def test_an_error_in_the_callback_is_reported_too(worker: Worker) -> None:
    errors: list[Exception] = []

    def show(result: object) -> None:
        raise RuntimeError('deleted')

    worker.submit('embed', lambda token: 1, show, errors.append)
    assert worker.wait_idle(SOON)
    assert [str(error) for error in errors] == ['deleted']


@pytest.mark.parametrize('listener', ['none', 'broken'])
def test_no_error_is_swallowed(
    worker: Worker, listener: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(threading, 'excepthook', lambda args: seen.append(str(args.exc_value)))

    def fail(token: CancelToken) -> None:
        raise ValueError('first')

    def broken(error: Exception) -> None:
        raise ValueError('second')

    worker.submit('embed', fail, on_error=broken if listener == 'broken' else None)
    assert worker.wait_idle(SOON)
    assert seen == ['second' if listener == 'broken' else 'first']


def test_giving_up_unasked_is_an_error(worker: Worker) -> None:
    errors: list[Exception] = []

    def give_up(token: CancelToken) -> None:
        raise Cancelled

    worker.submit('embed', give_up, on_error=errors.append)
    assert worker.wait_idle(SOON)
    assert len(errors) == 1


def test_cancelling_what_waits_means_it_never_runs(worker: Worker) -> None:
    ran: list[str] = []
    busy = Job()
    worker.submit('embed', busy)
    assert busy.started.wait(SOON)
    ticket = worker.submit('predict', lambda token: ran.append('predict'))
    ticket.cancel()
    assert worker.busy
    busy.finish.set()
    assert worker.wait_idle(SOON)
    assert not worker.busy
    assert ran == []


def test_cancelling_an_old_ticket_leaves_the_new_one(worker: Worker) -> None:
    results: list[int] = []
    busy = Job()
    worker.submit('embed', busy)
    assert busy.started.wait(SOON)
    old = worker.submit('predict', lambda token: 1, results.append)
    worker.submit('predict', lambda token: 2, results.append)
    old.cancel()
    busy.finish.set()
    assert worker.wait_idle(SOON)
    assert results == [2]


def test_close_joins_and_takes_no_more_work() -> None:
    worker = Worker()
    job = Job('late')
    results: list[object] = []
    worker.submit('embed', job, results.append)
    assert job.started.wait(SOON)
    worker.submit('predict', lambda token: 'never', results.append)
    assert not worker.close(timeout=0)
    job.finish.set()
    assert worker.close(SOON)
    assert worker.close()
    assert worker.closed
    assert job.thread is not None
    assert not job.thread.is_alive()
    assert results == []
    with pytest.raises(WorkerClosedError, match='make a new one'):
        worker.submit('embed', lambda token: None)


def test_closing_from_a_callback_does_not_wait_for_itself() -> None:
    worker = Worker()
    closed: list[bool] = []
    worker.submit('embed', lambda token: None, lambda _: closed.append(worker.close()))
    worker._thread.join(SOON)
    assert closed == [False]
    assert worker.close()


def test_submitting_from_a_callback(worker: Worker) -> None:
    results: list[int] = []
    worker.submit(
        'embed',
        lambda token: 1,
        lambda _: worker.submit('predict', lambda token: 2, results.append),
    )
    assert worker.wait_idle(SOON)
    assert results == [2]


def test_nothing_of_finished_work_is_kept(worker: Worker) -> None:
    class Thing:
        pass

    thing = Thing()
    seen = weakref.ref(thing)
    worker.submit('embed', lambda token, thing=thing: thing, lambda result: None)
    assert worker.wait_idle(SOON)
    worker.submit('predict', lambda token: None)  # the thread has certainly left the first task
    assert worker.wait_idle(SOON)
    del thing
    gc.collect()
    assert seen() is None


def test_waiting_has_an_end(worker: Worker) -> None:
    job = Job()
    worker.submit('embed', job)
    assert not worker.wait_idle(0.01)
    job.finish.set()
    assert worker.wait_idle()


def test_lanes_are_known() -> None:
    with pytest.raises(ValueError, match='different names'):
        Worker(lanes=('a', 'a'))
    with Worker() as worker:
        for call in (worker.cancel, lambda lane: worker.submit(lane, lambda token: None)):
            with pytest.raises(ValueError, match="no lane 'x'"):
                call('x')


def test_T11_hammered_from_many_threads() -> None:
    delivered: list[int] = []
    stale: list[int] = []
    with Worker() as worker:
        tickets: dict[int, object] = {}

        def user(start: int) -> None:
            for number in range(start, start + 100):
                tickets[number] = worker.submit('predict', lambda t, n=number: n, delivered.append)

        users = [threading.Thread(target=user, args=(1000 * i,)) for i in range(6)]
        for thread in users:
            thread.start()
        for thread in users:
            thread.join()
        assert worker.wait_idle(SOON)
        stale = [number for number in delivered[:-1] if tickets[number].current]
        assert tickets[delivered[-1]].current
    assert stale == []
    assert len(delivered) == len(set(delivered))


def test_the_process_waits_for_what_runs() -> None:
    """A daemon thread that is inside of torch when Python ends takes the process down."""
    code = (
        'import threading, time\n'
        'from napari_mobilesam.engine import Worker\n'
        'started = threading.Event()\n'
        'def encode(token):\n'
        '    started.set()\n'
        '    time.sleep(0.5)\n'
        '    assert token.cancelled\n'
        '    print("came to its end", flush=True)\n'
        'Worker().submit("embed", encode)\n'
        'started.wait()\n'
    )
    run = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == 'came to its end\n'
    assert run.stderr == ''

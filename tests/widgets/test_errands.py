"""Errands: all are done, in their order, and no thread waits for the next one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from napari_mobilesam.widgets.errands import Errands

pytestmark = pytest.mark.gui


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'files']


def test_everything_is_done_in_order_and_then_no_thread_is_left(qtbot: Any) -> None:
    errands, gate, answers = Errands(), threading.Event(), []
    errands.run(lambda _token: gate.wait(10), lambda _value: answers.append(-1), answers.append)
    for number in range(50):
        errands.run(lambda _token, n=number: n, answers.append, answers.append)
    assert len(threads()) == 1
    gate.set()
    qtbot.waitUntil(lambda: not errands.busy)
    assert answers == list(range(-1, 50))
    qtbot.waitUntil(lambda: not threads())
    # Whenever the thread is about to leave, what is asked for then is done all the same.
    for number in range(200):
        errands.run(lambda _token, n=number: n, answers.append, answers.append)
        if number % 3 == 0:
            qtbot.waitUntil(lambda: not errands.busy)
    qtbot.waitUntil(lambda: not errands.busy)
    assert answers[51:] == list(range(200))
    errands.close()


def test_an_error_arrives_and_the_next_errand_is_done(qtbot: Any) -> None:
    errands, answers, errors = Errands(), [], []

    def fail(_token: object) -> None:
        raise OSError('no such disk')

    errands.run(fail, answers.append, errors.append)
    errands.run(lambda _token: 1, answers.append, errors.append)
    qtbot.waitUntil(lambda: not errands.busy)
    assert (answers, [str(error) for error in errors]) == ([1], ['no such disk'])
    errands.close()


def test_closing_cancels_what_waits_and_takes_no_more(qtbot: Any) -> None:
    errands, gate, done = Errands(), threading.Event(), []
    running = errands.run(lambda token: gate.wait(10) or token.check(), done.append, done.append)
    waiting = errands.run(lambda _token: done.append('ran'), done.append, done.append)
    threading.Timer(0.05, gate.set).start()
    errands.close()
    assert not threads()
    late = errands.run(lambda _token: done.append('late'), done.append, done.append)
    qtbot.wait(20)
    assert [token.cancelled for token in (running, waiting, late)] == [True] * 3
    assert not done

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_mobilesam.engine import (
    LabelOverflowError,
    PlaneKey,
    Prompts,
    SegmentedObject,
    Session,
)

PLANE = PlaneKey('i', (0, 1))


def record(label: int, row: float = 0) -> SegmentedObject:
    return SegmentedObject(label, PLANE, Prompts(((row, 0),), (True,)), 0.9, 'digest')


def test_adding_and_looking_up() -> None:
    session = Session()
    session.add(record(2))
    session.add(record(1))
    assert [item.label for item in session] == [1, 2]
    assert len(session) == 2
    assert 1 in session
    assert 3 not in session
    assert session.get(2) == record(2)
    assert session.get(3) is None


def test_T15_the_next_id_is_a_running_maximum() -> None:
    session = Session(maximum=7)
    assert session.next_label() == 8
    session.add(record(8))
    session.remove(8)
    assert session.next_label() == 9
    session.observe(20)
    session.observe(3)
    assert session.next_label() == 21
    session.observe(255)
    with pytest.raises(LabelOverflowError):
        session.next_label(np.uint8)


def test_undo_returns_the_prompts_and_frees_the_id() -> None:
    session = Session()
    session.add(record(1))
    session.add(record(2, row=5))
    change = session.undo()
    assert change is not None
    assert change.after == record(2, row=5)
    assert change.before is None
    assert session.objects == (record(1),)
    assert session.next_label() == 2
    assert session.redo() == change
    assert session.objects == (record(1), record(2, row=5))
    assert session.next_label() == 3


def test_undo_does_not_free_an_id_that_others_passed() -> None:
    session = Session()
    session.add(record(1))
    session.observe(5)
    session.undo()
    assert session.next_label() == 6


def test_undo_of_a_new_version_brings_back_the_old_one() -> None:
    session = Session()
    session.add(record(1, row=1))
    session.add(record(1, row=2))
    assert len(session) == 1
    change = session.undo()
    assert change is not None
    assert change.before == session.get(1) == record(1, row=1)


def test_undo_of_a_removal() -> None:
    session = Session()
    session.add(record(1))
    session.remove(1)
    assert len(session) == 0
    session.undo()
    assert session.objects == (record(1),)
    session.redo()
    assert len(session) == 0


def test_a_new_commit_ends_what_can_be_redone() -> None:
    session = Session()
    assert (session.undo(), session.redo()) == (None, None)
    assert not session.can_undo
    session.add(record(1))
    session.undo()
    assert session.can_redo
    session.add(record(1, row=3))
    assert not session.can_redo
    assert session.can_undo
    assert session.redo() is None


def test_three_hundred_steps_back_and_forth() -> None:
    session = Session()
    for _ in range(300):
        session.add(record(session.next_label()))
    before = session.objects
    while session.undo():
        pass
    assert len(session) == 0
    assert session.next_label() == 1
    while session.redo():
        pass
    assert session.objects == before
    assert session.next_label() == 301


def test_impossible_changes() -> None:
    session = Session()
    with pytest.raises(KeyError, match='no object has the id 4'):
        session.remove(4)
    with pytest.raises(ValueError, match='start at 1'):
        session.add(replace(record(1), label=0))
    assert not session.can_undo

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_mobilesam.engine import (
    Classes,
    LabelOverflowError,
    ObjectClass,
    PlaneKey,
    PromptedPlane,
    Prompts,
    RecordChange,
    SegmentedObject,
    Session,
    Step,
)

PLANE = PlaneKey('i', (0, 1))


def record(label: int, row: float = 0) -> SegmentedObject:
    prompts = Prompts(((row, 0),), (True,))
    return SegmentedObject(label, (PromptedPlane(PLANE, prompts),), 0.9, 1, ((0, 1), (0, 1)))


def add(session: Session, new: SegmentedObject) -> Step:
    maximum = max(session.maximum, new.label)
    change = RecordChange(new.label, session.get(new.label), new)
    step = Step('commit', (), (change,), session.maximum, maximum)
    session.push(step)
    return step


def remove(session: Session, label: int) -> Step:
    change = RecordChange(label, session.get(label), None)
    step = Step('delete', (), (change,), session.maximum, session.maximum)
    session.push(step)
    return step


def test_a_record_knows_its_first_plane() -> None:
    assert record(1).plane == PLANE
    assert record(1, 4).prompts.points == ((4, 0),)
    painted = SegmentedObject(3, score=float('nan'))
    assert (painted.plane, painted.prompts, painted.score) == (None, Prompts(), None)
    assert painted == SegmentedObject(3)


def test_adding_and_looking_up() -> None:
    session = Session()
    add(session, record(2))
    add(session, record(1))
    assert [item.label for item in session] == [1, 2]
    assert len(session) == 2
    assert 1 in session
    assert 3 not in session
    assert session.get(2) == record(2)
    assert session.get(3) is None


def test_T15_the_next_id_is_a_running_maximum() -> None:
    session = Session(maximum=7)
    assert session.next_label() == 8
    add(session, record(8))
    remove(session, 8)
    assert session.next_label() == 9
    session.observe(20)
    session.observe(3)
    assert session.next_label() == 21
    session.observe(255)
    with pytest.raises(LabelOverflowError):
        session.next_label(np.uint8)


def test_going_back_frees_the_id_and_going_forward_takes_it() -> None:
    session = Session()
    add(session, record(1))
    step = add(session, record(2, row=5))
    session.step_back(step)
    assert session.objects == (record(1),)
    assert session.next_label() == 2
    session.step_forward(step)
    assert session.objects == (record(1), record(2, row=5))
    assert session.next_label() == 3


def test_going_back_does_not_free_an_id_that_others_passed() -> None:
    session = Session()
    step = add(session, record(1))
    session.observe(5)
    session.step_back(step)
    assert session.next_label() == 6


def test_going_back_from_a_new_version_brings_back_the_old_one() -> None:
    session = Session()
    add(session, record(1, row=1))
    step = add(session, record(1, row=2))
    assert len(session) == 1
    session.step_back(step)
    assert session.get(1) == record(1, row=1)
    session.step_back(remove(session, 1))
    assert session.get(1) == record(1, row=1)


def test_three_hundred_steps_back_and_forth() -> None:
    session = Session()
    for _ in range(300):
        add(session, record(session.next_label()))
    before = session.objects
    while session.history.last:
        session.step_back(session.history.last)
    assert len(session) == 0
    assert session.next_label() == 1
    while session.history.next:
        session.step_forward(session.history.next)
    assert session.objects == before
    assert session.next_label() == 301


def test_listeners_hear_which_ids_changed() -> None:
    session = Session()
    heard: list[tuple[int, ...] | None] = []
    stop = session.subscribe(heard.append)
    step = add(session, record(4))
    session.push(Step('prompts', prompts_before=1, prompts_after=2))
    session.step_back(step)
    session.learn([record(5), record(6)])
    session.classes = session.classes.added('nucleus')
    assert heard == [(4,), (4,), (5, 6), None]
    stop()
    stop()
    add(session, record(7))
    assert len(heard) == 4


def test_what_is_known_survives_a_survey() -> None:
    session = Session()
    add(session, replace(record(1), class_id=2))
    add(session, record(2))
    found = {
        1: SegmentedObject(1, area=40, bounds=((0, 9), (0, 9))),
        9: SegmentedObject(9, area=5, bounds=((0, 1), (0, 5))),
    }
    session.match(found, session.objects)
    assert [item.label for item in session] == [1, 9]
    kept = session.get(1)
    assert kept is not None
    assert (kept.class_id, kept.area, kept.prompts) == (2, 40, record(1).prompts)
    assert session.next_label() == 10
    with pytest.raises(ValueError, match='start at 1'):
        session.learn([SegmentedObject(0)])


def test_classes() -> None:
    classes = Classes().added().added('debris', '#102030').added()
    assert [(item.class_id, item.name) for item in classes] == [
        (1, 'class 1'),
        (2, 'debris'),
        (3, 'class 3'),
    ]
    classes = classes.removed(1).changed(2, name='dirt')
    assert classes.name(2) == 'dirt'
    assert (classes.name(1), classes.name(0)) == ('1', '')
    assert classes.get(2) == ObjectClass(2, 'dirt', '#102030')
    assert [item.class_id for item in classes.added()] == [1, 2, 3]
    with pytest.raises(ValueError, match='the same name'):
        classes.added('dirt')
    for bad in ((0, 'a', '#000000'), (1, ' ', '#000000'), (1, 'a', 'red')):
        with pytest.raises(ValueError, match='class'):
            ObjectClass(*bad)

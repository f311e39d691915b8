"""Undo and redo of everything, in step with napari's own, however the two are mixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from pictures import CENTRES, RADIUS, disc
from prompting import notifications

from napari_mobilesam.engine import OverlapRule, Prompts, Step
from napari_mobilesam.widgets import labels_target
from napari_mobilesam.widgets.commit_plans import Found
from napari_mobilesam.widgets.painting import painted_edits

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


@pytest.fixture(autouse=True, params=[None, 10], ids=['', 'large'])
def most_in_napari(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything once more with steps that are too large for napari's own undo."""
    if request.param is not None:
        monkeypatch.setattr(labels_target, 'MOST_IN_NAPARI', request.param)


def commit(one: Any, *centres: tuple[int, int]) -> None:
    for centre in centres:
        one.click(0, *centre)
        one.press('Enter')


def ids(one: Any) -> list[int]:
    return [record.label for record in one.controller.objects]


def in_step(one: Any) -> None:
    """Compare the records with the pixels."""
    found, areas = np.unique(one.labels.data[one.labels.data > 0], return_counts=True)
    known = {record.label: record.area for record in one.controller.objects}
    assert known == dict(zip(found.tolist(), areas.tolist(), strict=True))


def test_t18_two_undos_at_once_in_the_labels_layer(bench: Bench) -> None:
    """T18: faster than the event loop: a script, or a key held down."""
    one = bench()
    commit(one, FIRST, SECOND, THIRD)
    one.labels.undo()
    one.labels.undo()
    one.quiet()
    assert ids(one) == [1]
    in_step(one)
    one.labels.redo()
    one.labels.redo()
    one.quiet()
    assert ids(one) == [1, 2, 3]
    in_step(one)


def test_t18_strokes_in_between_are_part_of_the_order(bench: Bench) -> None:
    """T18: brush strokes over, beside and through objects, undone and redone by either key."""
    one = bench()
    commit(one, FIRST)
    one.labels.brush_size = 7
    one.labels.paint((0, *FIRST), 0)
    one.labels.paint((0, 100, 100), 9)
    in_step(one)
    commit(one, SECOND)
    assert ids(one) == [1, 9, 10], 'ids painted by hand are taken'
    states = [one.labels.data.copy()]
    for _ in range(5):  # commit, its click, two strokes, the first commit
        one.press('Control-Z')
        in_step(one)
        states.append(one.labels.data.copy())
    assert not one.labels.data.any()
    for state in states[-2::-1]:
        one.press('Control-Shift-Z')
        np.testing.assert_array_equal(one.labels.data, state)
        in_step(one)


def test_t18_an_undo_and_a_redo_that_look_alike(bench: Bench) -> None:
    """T18: an object, erased entirely, both undone by one: which of two it was shows later."""
    one = bench()
    commit(one, FIRST)
    inside = np.nonzero(one.labels.data == 1)
    one.labels.data_setitem(inside, 0)
    for undo in (True, True, False, False, True, False, True, True, False):
        (one.labels.undo if undo else one.labels.redo)()
        one.quiet()
        in_step(one)
    for key, expected in (('Z', []), ('Shift-Z', [1]), ('Shift-Z', []), ('Z', [1]), ('Z', [])):
        one.press(f'Control-{key}')
        in_step(one)
        assert ids(one) == expected


def test_t18_redo_in_the_layer_of_what_we_forgot(bench: Bench) -> None:
    """T18: a prompt after an undo ends our redo, not napari's: the record comes back with it."""
    one = bench()
    commit(one, FIRST)
    one.press('Control-Z')
    one.click(0, *SECOND)
    one.press('Control-Shift-Z')
    assert ids(one) == []
    one.labels.redo()
    one.quiet()
    assert ids(one) == [1]
    in_step(one)


def test_t18_further_back_than_napari(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """T18: napari keeps so many steps; the ones before are taken back all the same."""
    monkeypatch.setattr(Labels, '_history_limit', 1)
    one = bench()
    commit(one, FIRST, SECOND)
    for expected in ([1], [1], [], []):  # the object, then its click
        one.press('Control-Z')
        assert ids(one) == expected
        in_step(one)
    for _ in range(4):
        one.press('Control-Shift-Z')
    assert ids(one) == [1, 2]
    in_step(one)


def test_t18_thousands_of_objects_are_one_step(bench: Bench) -> None:
    """T18, T16: a batch is written, undone and redone as a whole."""
    one = bench(np.zeros((3, 400, 400)))
    patch = np.ones((6, 6), bool)
    found = [
        Found(slice(7 * i, 7 * i + 6), slice(7 * j, 7 * j + 6), patch, Prompts(), 0.5)
        for i in range(57)
        for j in range(57)
    ]
    one.viewer.dims.set_current_step(0, 1)
    one.quiet()
    calls: list[Any] = []
    one.labels.events.paint.connect(calls.append)
    step = one.controller._committer.commit_all(one.controller.source, 'digest', found)
    assert step.title == 'commit 3249 objects'
    assert len(one.controller.objects) == 3249
    assert len(calls) == 1
    in_step(one)
    after = one.labels.data.copy()
    assert not after[0].any()
    one.labels.undo()
    one.quiet()
    assert (ids(one), one.labels.data.any()) == ([], False)
    one.press('Control-Shift-Z')
    np.testing.assert_array_equal(one.labels.data, after)
    assert len(one.controller.objects) == 3249


def test_t14_replaced_data_keep_what_is_still_there(bench: Bench) -> None:
    """T14: the labels were filtered by another tool, or converted to a larger type."""
    one = bench()
    commit(one, FIRST, SECOND)
    one.labels.data = one.labels.data.astype(np.int64)
    one.quiet()
    assert [bool(record.prompted) for record in one.controller.objects] == [True, True]
    data = one.labels.data.copy()
    data[data == 1] = 0
    data[1, :5, :5] = 12
    one.labels.data = data
    one.quiet()
    assert ids(one) == [2, 12]
    in_step(one)
    for _ in range(6):
        one.press('Control-Z')  # napari's history knows nothing of it; nothing breaks
    one.press('Control-Shift-Z')
    commit(one, THIRD)
    assert ids(one)[-1] >= 13


def test_t14_labels_that_come_back_are_known(bench: Bench) -> None:
    """T14: a layer taken out and put back, and an image that was left for another."""
    one = bench()
    commit(one, FIRST)
    labels = one.labels
    one.viewer.layers.remove(labels)
    one.quiet()
    assert ids(one) == []
    one.viewer.add_layer(labels)
    one.controller.set_labels(labels)
    assert ids(one) == [1]
    first, second = one.controller.image, one.viewer.add_image(np.zeros((40, 40)))
    one.controller.set_image(second)
    one.quiet()
    assert one.labels is not labels
    one.press('Control-Z')
    one.controller.set_image(first)
    one.quiet()
    assert one.labels is labels
    assert ids(one) == [1]
    one.press('Control-Z')
    assert ids(one) == []
    assert one.points.data.tolist() == [[0, *FIRST]]


def test_a_layer_of_the_users_own_is_surveyed(bench: Bench) -> None:
    one = bench()
    labels = np.zeros((5, 120, 160), np.uint8)
    labels[2:4, 100:110, 10:20] = 200
    one.controller.set_labels(one.viewer.add_labels(labels))
    one.quiet()
    (found,) = one.controller.objects
    assert (found.label, found.area, found.prompted) == (200, 200, ())
    assert found.bounds == ((2, 4), (100, 110), (10, 20))
    commit(one, FIRST)
    assert ids(one) == [200, 201]


def test_T15_labels_that_are_full_say_so(bench: Bench) -> None:
    one = bench()
    labels = np.zeros((5, 120, 160), np.uint8)
    labels[4, 0, 0] = 255
    layer = one.viewer.add_labels(labels)
    one.controller.set_labels(layer)
    one.quiet()
    before = layer.data.copy()
    with notifications() as told:
        commit(one, FIRST)
    assert 'end at 255' in told[0]
    np.testing.assert_array_equal(layer.data, before)
    assert one.controller.candidate is not None, 'nothing is lost'


def test_ask(bench: Bench) -> None:
    one = bench()
    one.controller.overlap = OverlapRule.ASK
    asked: list[Any] = []
    one.controller._committer.overlap_asked.connect(asked.append)
    commit(one, FIRST)
    assert asked == []
    one.labels.data_setitem((np.full(160, 0), np.full(160, FIRST[0]), np.arange(160)), 5)
    one.click(0, *FIRST)
    one.press('Enter')
    assert set(asked[-1]) == {1, 5}
    assert one.controller.candidate is not None
    one.controller._committer.answer(OverlapRule.REPLACE)
    one.quiet()
    assert asked[-1] is None
    assert (one.labels.data[0][disc((120, 160), FIRST, RADIUS - 2)] == 6).all()
    one.click(0, *FIRST)
    one.press('Enter')
    one.press('Escape')
    assert asked[-1] is None, 'the candidate is gone, and the question with it'
    one.controller._committer.answer(OverlapRule.REPLACE)
    assert ids(one) == [5, 6]


def test_an_error_while_writing_leaves_nothing_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench()

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError('disk full')

    with monkeypatch.context() as patch, notifications() as told:
        patch.setattr(Labels, 'data_setitem', refuse)
        commit(one, FIRST)
    assert 'disk full' in told[0]
    assert ids(one) == []
    one.press('Enter')
    assert ids(one) == [1]
    in_step(one)


def test_all_that_napari_paints_is_understood() -> None:
    layer = Labels(np.zeros((3, 20, 30), np.int32))
    told: list[Any] = []
    layer.events.paint.connect(lambda event: told.append(event.value))
    layer.brush_size = 5
    stages = [layer.data.copy()]

    def stage() -> None:
        stages.append(layer.data.copy())

    layer.paint((0, 10, 10), 3)
    stage()
    layer.fill((0, 0, 0), 4)
    stage()
    layer.paint_polygon([(0, 2, 2), (0, 9, 2), (0, 9, 9)], 6)
    stage()
    layer.data_setitem((np.array([0, 2]), np.array([1, 5]), np.array([1, 1])), np.array([7, 8]))
    stage()
    with layer.block_history():
        for column in range(5, 15, 2):
            layer.paint((0, 10, column), 9)
    stage()
    assert len(told) == 5
    for value, before, after in zip(told, stages, stages[1:], strict=False):
        edits = painted_edits(value, layer.data.shape)
        assert edits is not None
        labels = before.copy()
        for edit in edits:
            assert edit.is_reverted(labels)
            edit.apply(labels)
        np.testing.assert_array_equal(labels, after)
    assert painted_edits([('something', 'else')], (3, 20, 30)) is None


def test_a_large_step_that_fails_half_way_leaves_nothing_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, most_in_napari: None
) -> None:
    monkeypatch.setattr(labels_target, 'MOST_IN_NAPARI', 10)
    one = bench()
    commit(one, FIRST)
    before, apply = one.labels.data.copy(), Step.apply

    def half(step: Step, labels: Any) -> None:
        apply(step, labels)
        raise OSError('disk full')

    with monkeypatch.context() as patch, notifications() as told:
        patch.setattr(Step, 'apply', half)
        commit(one, SECOND)
    assert 'disk full' in told[0]
    np.testing.assert_array_equal(one.labels.data, before)
    one.labels.undo()
    one.quiet()
    assert ids(one) == []
    assert not one.labels.data.any()


def test_the_layer_shows_a_large_step_that_is_undone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, most_in_napari: None
) -> None:
    monkeypatch.setattr(labels_target, 'MOST_IN_NAPARI', 10)
    one = bench()
    commit(one, FIRST)
    for go in (one.labels.undo, one.labels.redo):
        go()
        one.quiet()
        shown = np.asarray(one.labels._slice.image.raw)
        np.testing.assert_array_equal(shown > 0, one.labels.data[0] > 0)

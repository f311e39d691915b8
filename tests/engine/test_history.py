from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_mobilesam.engine import History, LabelEdit, Step


def edit(before: NDArray, after: NDArray) -> LabelEdit:
    made = LabelEdit.between((0,) * before.ndim, before, after)
    assert made is not None
    return made


@given(
    st.integers(1, 3).flatmap(
        lambda ndim: hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=6).flatmap(
            lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))] * 2)
        )
    )
)
def test_an_edit_has_an_exact_inverse(pair: tuple[NDArray, NDArray]) -> None:
    before, after = pair
    made = LabelEdit.between((0,) * before.ndim, before, after)
    if made is None:
        np.testing.assert_array_equal(before, after)
        return
    labels = before.copy()
    assert made.is_reverted(labels)
    assert not made.is_applied(labels)
    made.apply(labels)
    np.testing.assert_array_equal(labels, after)
    assert made.is_applied(labels)
    made.inverse().apply(labels)
    np.testing.assert_array_equal(labels, before)
    assert made.n_pixels == np.count_nonzero(before != after)
    labels[made.indices()] = made.values()
    np.testing.assert_array_equal(labels, after)
    for axis in range(made.mask.ndim):
        for border in (0, -1):
            assert made.mask.take(border, axis).any(), 'tight'


def test_an_edit_of_one_id_holds_one_number() -> None:
    before = np.zeros((500, 500), np.int32)
    made = edit(before, np.ones_like(before))
    assert (made.before.tolist(), made.after.tolist()) == ([0], [1])
    assert made.nbytes < 260_000


def test_what_others_changed_since_stays_theirs() -> None:
    labels = np.zeros((4, 4), np.int32)
    step = Step('commit', (edit(labels, np.full_like(labels, 5)),))
    step.apply(labels)
    labels[0] = 9
    assert not step.is_applied(labels)
    step.revert(labels)
    assert labels[0].tolist() == [9] * 4
    assert not labels[1:].any()


def test_a_stroke_of_several_edits_goes_back_in_reverse() -> None:
    labels = np.zeros(6, np.int32)
    stages = [labels, np.array([1, 1, 1, 0, 0, 0]), np.array([1, 2, 2, 2, 0, 0])]
    step = Step('paint', tuple(edit(a, b) for a, b in itertools.pairwise(stages)))
    step.apply(labels)
    assert labels.tolist() == [1, 2, 2, 2, 0, 0]
    assert step.is_applied(labels)
    step.revert(labels)
    assert labels.tolist() == [0] * 6
    assert step.is_reverted(labels)


def pixels(title: str) -> Step:
    return Step(title, (edit(np.zeros(1, int), np.ones(1, int)),))


def test_the_order_of_steps() -> None:
    history = History()
    first, second, prompt = pixels('a'), pixels('b'), Step('prompt')
    for step in (first, prompt, second):
        history.push(step)
    assert (history.last, history.last_written) == (second, second)
    history.step_back(second)
    history.step_back(first)  # by whoever owns the array: past the prompt
    assert history.last is prompt
    assert history.next is history.next_written is first
    assert not history.is_done(first)
    history.step_forward(first)
    assert history.last is first


def test_a_step_that_lapsed_can_come_back_from_the_arrays_own_history() -> None:
    history = History()
    commit = pixels('commit')
    history.push(commit)
    history.step_back(commit)
    history.push(Step('prompt'))
    assert history.next is None
    assert history.next_written is commit
    history.step_forward(commit)
    assert history.last is commit
    history.step_back(commit)
    history.push(Step('prompt'))
    history.push(pixels('another'))
    assert history.next_written is None, 'as for the array: something was painted since'


def test_limits() -> None:
    history = History(limit=3, max_bytes=10**9)
    steps = [pixels(str(i)) for i in range(5)]
    for step in steps:
        history.push(step)
    assert len(history) == 3
    assert not history.is_done(steps[1])
    small = History(max_bytes=1)
    small.push(steps[0])
    small.push(steps[1])
    assert (len(small), small.last) == (1, steps[1])


def test_prompts_can_be_forgotten() -> None:
    history = History()
    commit = pixels('commit')
    for step in (Step('prompt'), commit, Step('prompt')):
        history.push(step)
    history.drop_prompts()
    assert (len(history), history.last) == (1, commit)
    history.clear()
    assert history.last is None


def test_t17_undo_keeps_small_indices() -> None:
    """T17: napari keeps the index arrays; they are as small as the labels allow."""
    made = edit(np.zeros((4, 20, 300), int), np.ones((4, 20, 300), int))
    assert {axis.dtype for axis in made.indices()} == {np.dtype(np.uint16)}


def test_an_edit_of_other_labels_is_neither_done_nor_undone() -> None:
    made = edit(np.zeros((4, 4), int), np.ones((4, 4), int))
    for other in (np.zeros((3, 4), int), np.zeros((1, 4, 4), int)):
        assert not made.is_reverted(other)


@pytest.mark.parametrize('kind', [np.uint8, '>i4', np.int64])
def test_values_keep_the_type_of_the_labels(kind: object) -> None:
    before = np.zeros(3, kind)  # type: ignore[call-overload]
    made = edit(before, np.array([0, 1, 2], before.dtype))
    assert made.after.dtype == before.dtype

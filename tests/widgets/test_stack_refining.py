"""Labels of another program, refined along a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import CENTRES, RADIUS, disc, iou, stack
from stage import Stage

from napari_mobilesam.engine.stacks import refining

COUNT = 4


def coarse(factor: int = 10, radius: int = 12) -> NDArray[np.int32]:
    """Squares over the discs of the stack, one id each from slice to slice."""
    labels = np.zeros((COUNT, 120, 160), np.int32)
    for z in range(COUNT):
        for number, (row, column) in enumerate(CENTRES, 1):
            rows = slice(row + 2 * z - radius, row + 2 * z + radius + 1)
            labels[z, rows, column - radius : column + radius + 1] = number * factor
    return labels


def right(labels: Any, z: int, number: int = 1, factor: int = 10) -> bool:
    row, column = CENTRES[number - 1]
    truth = disc((120, 160), (row + 2 * z, column), RADIUS)
    return iou(np.asarray(labels[z]) == number * factor, truth) > 0.95


def choose(at: Stage, layer: Any, mode: str = 'replace') -> Any:
    """Choose a layer and what becomes of it, as the user does; gives the box."""
    box = at.panel.refine
    box.show_layers([layer])
    box.labels.setCurrentIndex(1)
    box.mode.setCurrentIndex(box.mode.findData(mode))
    return box


def test_a_stack_is_refined_in_place_as_one_step(stage: Callable[..., Stage]) -> None:
    at = stage(COUNT)
    at.go(2)
    layer = at.bench.viewer.add_labels(coarse())
    box = choose(at, layer)
    order: list[int] = []
    drawn: list[bool] = []

    def look(step: Any) -> None:
        order.append(step.index)
        drawn.append(bool(at.controller._previews.stack.layer.data.any()))
        assert box.row.isVisibleTo(at.panel)
        assert not box.run.isVisibleTo(at.panel)

    at.stacks.refining.found.connect(look)
    box.run.click()
    at.rest()
    assert order == sorted(range(COUNT), key=lambda z: abs(z - 2))
    assert drawn[0], 'what was found on the slice on display'
    assert not at.controller._previews.stack.layer.data.any()
    assert at.controller.labels is layer, 'it is the one that objects go to now'
    assert all(right(layer.data, z, number) for z in range(COUNT) for number in (1, 2, 3))
    assert 'Refined 3 objects on 4 slices. Ctrl+Z takes it back.' in at.words
    assert at.stacks.embedded == set(range(COUNT))
    assert box.run.isVisibleTo(at.panel)
    for record in at.controller.objects:
        assert record.score > 0.5
        assert record.bounds[0] == (0, COUNT)
        assert record.area == np.count_nonzero(layer.data == record.label)
    refined = layer.data.copy()
    at.controller.undo()
    at.bench.quiet()
    np.testing.assert_array_equal(layer.data, coarse())
    assert at.controller.objects[0].score is None
    at.controller.redo()
    at.bench.quiet()
    np.testing.assert_array_equal(layer.data, refined)


def test_read_only_and_lazy_labels_can_be_compared(stage: Callable[..., Stage]) -> None:
    at = stage(COUNT)
    lazy = dask.array.from_array(coarse(), chunks=(1, 120, 160))
    fixed = coarse()
    fixed.flags.writeable = False
    for data in (fixed, lazy):
        layer = at.bench.viewer.add_labels(data)
        before = at.controller.labels
        choose(at, layer).run.click()
        at.rest()
        assert at.controller.labels is before
        assert f'"{layer.name}" is read-only, or computed as it is read' in at.words
        assert 'choose "Compare"' in at.words
    assert before is not None
    assert not before.data.any()
    choose(at, layer, 'compare').run.click()
    at.rest()
    compared = at.controller.labels
    assert compared is before, 'an empty one is at hand'
    assert all(right(compared.data, z, 3) for z in range(COUNT))
    assert f'in "{compared.name}"' in at.words
    # a second time: what is there stays
    choose(at, layer, 'compare').run.click()
    at.rest()
    assert at.controller.labels is not compared
    np.testing.assert_array_equal(at.controller.labels.data, compared.data)
    at.controller.undo()
    at.bench.quiet()
    assert not at.controller.labels.data.any()


def test_stop_keeps_what_is_done_or_nothing_and_labels_may_only_grow(
    stage: Callable[..., Stage],
) -> None:
    at = stage(COUNT)
    layer = at.bench.viewer.add_labels(coarse())
    box = choose(at, layer, 'keep')
    for button in (1, 0):
        stopping = at.stacks.refining.found.connect(
            lambda step, n=button: box.row.buttons[n].click() if step.done == 2 else None
        )
        box.run.click()
        at.rest()
        at.stacks.refining.found.disconnect(stopping)
        if button == 1:
            assert at.words == 'Nothing was written.'
            np.testing.assert_array_equal(layer.data, coarse())
    assert at.words.startswith('Stopped. Refined 3 objects on 2 slices.')
    before = coarse()
    np.testing.assert_array_equal(layer.data[2:], before[2:])
    assert (layer.data[:2] != before[:2]).any()
    assert (layer.data[before > 0] == before[before > 0]).all()
    assert set(np.unique(layer.data)) == {0, 10, 20, 30}


def test_a_range_and_what_the_model_is_unsure_of(stage: Callable[..., Stage]) -> None:
    at = stage(COUNT)
    layer = at.bench.viewer.add_labels(coarse())
    box = choose(at, layer)
    box.where.scope.setCurrentIndex(box.where.scope.findData('range'))
    box.where.first.setValue(3)
    box.where.last.setValue(2)
    box.score.setValue(1)
    box.run.click()
    at.rest()
    assert at.words == 'The labels stay as they are: nothing to improve.'
    np.testing.assert_array_equal(layer.data, coarse())
    box.score.setValue(0.5)
    box.run.click()
    at.rest()
    changed = (layer.data != coarse()).any(axis=(1, 2))
    assert np.flatnonzero(changed).tolist() == [2, 3]


def test_what_is_missing_is_said(stage: Callable[..., Stage]) -> None:
    at = stage(COUNT)
    at.panel.refine.run.click()
    assert at.words == 'Choose the labels to refine first.'
    empty = at.bench.viewer.add_labels(np.zeros((COUNT, 120, 160), np.int32))
    choose(at, empty).run.click()
    at.rest()
    assert 'has no objects on these slices' in at.words
    other = at.bench.viewer.add_labels(np.zeros((COUNT, 30, 40), np.int32), scale=(1, 4, 4))
    choose(at, other, 'compare').run.click()
    assert 'another scale' in at.words
    at.bench.viewer.layers.remove(at.controller.image)
    at.bench.quiet()
    choose(at, empty).run.click()
    assert 'There is no stack here' in at.words


def test_what_is_done_when_it_fails_is_kept(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = stage(COUNT)
    layer = at.bench.viewer.add_labels(coarse())
    find, asked = refining.find_on_slice, []

    def fail(*given: Any) -> Any:
        asked.append(given)
        if len(asked) == 3:
            raise OSError('the disk is gone')
        return find(*given)

    monkeypatch.setattr(refining, 'find_on_slice', fail)
    choose(at, layer).run.click()
    at.rest()
    assert at.bench.statuses[-1][1] == 'warning'
    assert at.words.startswith('Refining failed: the disk is gone. Refined 3 objects on 2 slices')
    assert right(layer.data, 1)
    assert not right(layer.data, 2)


def test_other_labels_are_chosen_or_removed_meanwhile(stage: Callable[..., Stage]) -> None:
    at = stage(COUNT)
    first, second = (at.bench.viewer.add_labels(coarse()) for _ in range(2))
    away = at.stacks.refining.found.connect(lambda _step: at.controller.set_labels(second))
    choose(at, first).run.click()
    at.rest()
    at.stacks.refining.found.disconnect(away)
    assert right(first.data, 0)
    np.testing.assert_array_equal(second.data, coarse())
    at.stacks.refining.found.connect(
        lambda step: at.bench.viewer.layers.remove(second) if step.done == 1 else None
    )
    choose(at, second).run.click()
    at.rest()
    assert 'The labels were removed meanwhile' in at.words
    assert not at.stacks.refining.running


def test_seen_from_the_side_and_with_the_3d_view_on(stage: Callable[..., Stage]) -> None:
    """The slider is y; while it runs the user looks at it in 3D."""
    at = stage(COUNT)
    viewer = at.bench.viewer
    viewer.layers.clear()
    viewer.add_image(np.ascontiguousarray(np.moveaxis(stack(COUNT), 0, 1)), name='turned')
    viewer.dims.order = (1, 0, 2)
    at.bench.quiet()
    assert at.stacks.place.axis == 1
    layer = viewer.add_labels(np.ascontiguousarray(np.moveaxis(coarse(), 0, 1)))

    def turn(step: Any) -> None:
        viewer.dims.ndisplay = 3

    at.stacks.refining.found.connect(turn)
    choose(at, layer).run.click()
    at.rest()
    assert all(right(np.moveaxis(layer.data, 1, 0), z) for z in range(COUNT))

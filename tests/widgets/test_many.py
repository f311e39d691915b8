"""One object each: from prompts placed here, and from the user's points, shapes and labels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou
from prompting import rectangle

from napari_mobilesam.widgets import batching

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


def all_there(one: Any, labels: Any = None) -> None:
    plane = (one.labels if labels is None else labels).data[0]
    for centre in CENTRES:
        label = plane[centre]
        assert label
        assert iou(plane == label, disc((120, 160), centre, RADIUS)) > 0.9


def test_prompts_placed_here_are_committed_together(bench: Bench) -> None:
    """Points and a box, each an object of its own: one step, that one Ctrl+Z takes back."""
    one = bench()
    one.controller.set_each(True)
    one.click(0, *FIRST)
    one.click(0, *SECOND)
    one.click(0, 5, 5, positive=False)
    one.prompts.add_point((3, 1, 1))
    one.boxes.add_rectangles([rectangle(0, 44, 104, 76, 136)])
    one.quiet()
    assert one.decoded == 0, 'nothing is asked before all are there'
    one.press('Enter')
    assert [record.label for record in one.controller.objects] == [1, 2, 3]
    all_there(one)
    assert one.points.data.tolist() == [[3, 1, 1]], 'prompts of this plane are used up'
    one.press('Control-Z')
    assert not one.labels.data.any()
    assert len(one.points.data) == 4
    one.press('Control-Shift-Z')
    all_there(one)


def test_points_and_shapes_of_the_users(bench: Bench) -> None:
    one = bench(scale=(5, 0.2, 0.2))
    points = one.viewer.add_points(
        [(0, *FIRST), (0, *SECOND), (0, *THIRD), (2, *FIRST), (0, 900, 900)], scale=(5, 0.2, 0.2)
    )
    shapes = one.viewer.add_shapes(
        [rectangle(0, r - 16, c - 16, r + 16, c + 16) for r, c in CENTRES], scale=(5, 0.2, 0.2)
    )
    other = one.viewer.add_points([(1, 1)])
    layers = one.controller.object_layers
    assert points in layers
    assert shapes in layers
    assert other not in layers, 'it has other axes'
    assert one.points not in layers
    for layer in (points, shapes):
        one.controller.segment_all(layer)
        one.quiet()
        all_there(one)
        assert len(one.controller.objects) == 3
        one.press('Control-Z')
        assert not one.labels.data.any()
    assert len(points.data) == 5, "the user's layers are read only"


def test_coarse_labels_are_refined(bench: Bench) -> None:
    """Replaced under the same ids, kept, or compared in a layer of their own."""
    one = bench()
    coarse = np.zeros((5, 120, 160), np.int32)
    for label, (row, column) in enumerate(CENTRES, start=5):
        coarse[0, row - 15 : row + 16, column - 15 : column + 16] = label
    layer = one.viewer.add_labels(coarse.copy())
    one.controller.set_labels(layer)
    one.quiet()
    one.controller.segment_all(layer, 'replace')
    one.quiet()
    all_there(one)
    assert set(np.unique(layer.data)) == {0, 5, 6, 7}
    one.press('Control-Z')
    np.testing.assert_array_equal(layer.data, coarse)

    one.controller.segment_all(layer, 'keep')
    one.quiet()
    np.testing.assert_array_equal(layer.data, coarse)

    one.controller.segment_all(layer, 'compare')
    one.quiet()
    np.testing.assert_array_equal(layer.data, coarse)
    assert one.labels is not layer
    all_there(one)


@pytest.mark.parametrize('mode', ['replace', 'keep'])
def test_labels_that_are_not_the_current_ones_are_refined_in_place(bench: Bench, mode: str) -> None:
    one = bench()
    current = one.viewer.add_labels(np.zeros((5, 120, 160), np.int32), name='current')
    coarse = np.zeros((5, 120, 160), np.int32)
    for label, (row, column) in enumerate(CENTRES, start=5):
        # a cross: too little of the disc, and at its ends too much
        coarse[0, row - 16 : row + 17, column - 3 : column + 4] = label
        coarse[0, row - 3 : row + 4, column - 16 : column + 17] = label
    layer = one.viewer.add_labels(coarse.copy(), name='coarse')
    one.controller.set_labels(current)
    one.quiet()
    one.controller.segment_all(layer, mode)
    one.quiet()
    assert one.labels is layer
    assert not current.data.any()
    assert set(np.unique(layer.data)) == {0, 5, 6, 7}, 'no new ids, not even for a rim'
    assert [record.label for record in one.controller.objects] == [5, 6, 7]
    if mode == 'replace':
        all_there(one)
    else:
        assert (layer.data[coarse > 0] == coarse[coarse > 0]).all()
        for label, centre in enumerate(CENTRES, start=5):
            whole = disc((120, 160), centre, RADIUS) | (coarse[0] == label)
            assert iou(layer.data[0] == label, whole) > 0.9
    one.press('Control-Z')
    np.testing.assert_array_equal(layer.data, coarse)


def test_stopped_with_what_is_done_or_with_nothing(bench: Bench, monkeypatch: Any) -> None:
    """Each helping is whole; a click in between is answered in between."""
    monkeypatch.setattr(batching, 'HELPING', 1)
    segmenter = FakeSegmenter()
    one = bench(segmenter=segmenter)
    points = one.viewer.add_points([(0, *centre) for centre in CENTRES])
    batch = one.controller.many.batch
    seen: list[tuple[int, int, float]] = []
    batch.progressed.connect(lambda *numbers: seen.append(numbers))
    for keep, count in ((False, 0), (True, 1)):
        seen.clear()
        segmenter.gate = threading.Event()
        segmenter.gate.set()

        def hold(done: int, total: int, _left: float) -> None:
            if done == 1:
                segmenter.gate.clear()

        batch.progressed.connect(hold)
        one.controller.segment_all(points)
        one.until(lambda: any(done == 1 for done, _, _ in seen))
        assert batch.running
        batch.stop(keep)
        batch.progressed.disconnect(hold)
        segmenter.gate.set()
        one.quiet()
        assert not batch.running
        assert len(one.controller.objects) == count
    assert seen[0][:2] == (0, 0)
    assert seen[-1][:2] == (1, 3)
    assert seen[-1][2] > 0, 'seconds that are left'


def test_nothing_to_do_is_told(bench: Bench) -> None:
    one = bench()
    one.controller.segment_all(None)
    one.quiet()
    assert one.statuses[-1][1] == 'warning'
    assert 'nothing to segment' in one.statuses[-1][0]
    one.segmenter.fail_with = RuntimeError('no memory')
    one.controller.segment_all(one.viewer.add_points([(0, *FIRST)]))
    one.quiet()
    assert 'no memory' in one.statuses[-1][0]
    assert not one.controller.many.batch.running


def test_t11_leaving_the_plane_ends_it(bench: Bench) -> None:
    """T11: what was under way for another slice is written nowhere."""
    segmenter = FakeSegmenter()
    one = bench(segmenter=segmenter)
    points = one.viewer.add_points([(0, *centre) for centre in CENTRES])
    segmenter.gate = threading.Event()
    segmenter.started.clear()
    one.controller.segment_all(points)
    one.until(segmenter.started.is_set)
    one.viewer.dims.set_current_step(0, 2)
    segmenter.gate.set()
    one.quiet()
    assert not one.labels.data.any()

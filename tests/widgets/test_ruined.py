"""Ruined on purpose: layers deleted, renamed, swapped and overwritten while the model works.

No exception reaches the user, and nothing that was committed is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from napari.layers import Image, Labels
from pictures import CENTRES, RADIUS, disc, iou, plane, stack
from prompting import notifications

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES
SHAPE = (120, 160)


@pytest.fixture
def told() -> Iterator[list[str]]:
    with notifications() as messages:
        yield messages
    assert not [message for message in messages if 'Error' in message]


def held(one: Any) -> FakeSegmenter:
    """Shut the gate: from now on the model is in the middle of something."""
    one.segmenter.gate = threading.Event()
    one.segmenter.started.clear()
    return one.segmenter


def works(one: Any, *position: float) -> None:
    """The next object can be segmented and committed as if nothing had happened."""
    one.controller.clear()
    one.controller.use_points()
    before = len(one.controller.objects)
    one.click(*position)
    assert one.controller.candidate is not None
    one.press('Enter')
    assert len(one.controller.objects) == before + 1


def test_the_image_is_swapped_mid_encode(bench: Bench, told: list[str]) -> None:
    one = bench(plane())
    works(one, *FIRST)
    kept = one.labels
    committed = kept.data.copy()
    segmenter = held(one)
    one.controller.image.data = plane(20)
    one.until(segmenter.started.is_set)
    second = one.viewer.add_image(plane(8), name='second')
    one.controller.set_image(second)
    segmenter.gate.set()
    one.quiet()
    assert one.controller.source.key.source == str(second.unique_id)
    assert kept in one.viewer.layers
    np.testing.assert_array_equal(kept.data, committed)
    works(one, FIRST[0] + 8, FIRST[1])


def test_data_are_replaced_mid_predict(bench: Bench, told: list[str]) -> None:
    one = bench(plane())
    segmenter = held(one)
    one.controller.add_point(FIRST)
    one.until(segmenter.started.is_set)
    one.controller.image.data = plane(30)
    segmenter.gate.set()
    one.quiet()
    # the point lies on the background now, which is what it is answered with
    truth = disc(SHAPE, FIRST, RADIUS)
    assert iou(one.controller.candidate.mask(), truth) < 0.5
    works(one, FIRST[0] + 30, FIRST[1])


@pytest.mark.parametrize('shape', [(60, 80), (3, 120, 160)])
def test_data_become_smaller_or_get_another_axis(
    bench: Bench, told: list[str], shape: tuple[int, ...]
) -> None:
    one = bench(plane())
    works(one, *FIRST)
    kept, committed = one.labels, one.labels.data.copy()
    segmenter = held(one)
    one.controller.add_point(SECOND)
    one.until(segmenter.started.is_set)
    one.controller.image.data = np.zeros(shape, np.float32)
    segmenter.gate.set()
    one.quiet()
    np.testing.assert_array_equal(kept.data, committed)
    # and back again
    if len(shape) == 2:
        one.controller.image.data = plane()
        one.quiet()
        works(one, *SECOND)


def test_everything_is_deleted_at_once_mid_encode(bench: Bench, told: list[str]) -> None:
    one = bench(stack())
    works(one, 0, *FIRST)
    segmenter = held(one)
    one.viewer.dims.set_current_step(0, 2)
    one.until(lambda: segmenter.started.is_set())
    one.viewer.layers.clear()
    segmenter.gate.set()
    one.quiet()
    assert one.controller.image is None
    second = one.viewer.add_image(plane())
    one.until(lambda: one.controller.image is second)
    one.quiet()
    works(one, *SECOND)


def test_layers_are_reordered_renamed_and_hidden_mid_encode(bench: Bench, told: list[str]) -> None:
    one = bench(stack())
    segmenter = held(one)
    one.viewer.dims.set_current_step(0, 1)
    one.until(segmenter.started.is_set)
    one.viewer.layers.reverse()
    for layer in one.viewer.layers:
        layer.name = 'x'
        layer.visible = not layer.visible
    segmenter.gate.set()
    one.quiet()
    works(one, 1, FIRST[0] + 2, FIRST[1])


def test_labels_are_painted_over_and_replaced(bench: Bench, told: list[str]) -> None:
    one = bench(plane())
    works(one, *FIRST)
    labels = one.labels
    labels.data[:] = 0
    labels.refresh()
    one.controller.undo()
    one.controller.redo()
    works(one, *SECOND)
    labels.data = np.zeros(SHAPE, np.int32)
    one.quiet()
    works(one, *THIRD)
    assert iou(labels.data > 0, disc(SHAPE, THIRD, RADIUS)) > 0.9


def test_labels_are_taken_away_between_click_and_commit(bench: Bench, told: list[str]) -> None:
    one = bench(plane())
    one.click(*FIRST)
    one.viewer.layers.remove(one.labels)
    one.press('Enter')
    one.quiet()
    assert isinstance(one.labels, Labels)
    assert one.labels in one.viewer.layers
    assert iou(one.labels.data > 0, disc(SHAPE, FIRST, RADIUS)) > 0.9


def test_the_model_fails_in_the_middle(bench: Bench) -> None:
    with notifications() as told:
        one = bench(plane())
        works(one, *FIRST)
        one.segmenter.fail_with = RuntimeError('the device is gone')
        one.click(*SECOND)
        assert one.statuses[-1] == ('That failed: the device is gone', 'warning')
        assert len(one.controller.objects) == 1
        one.segmenter.fail_with = None
        works(one, THIRD[0], THIRD[1])
    assert any('the device is gone' in message for message in told)


def test_a_picture_that_cannot_be_read(bench: Bench) -> None:
    class Broken:
        shape, dtype, ndim = (4, 120, 160), np.dtype(np.float32), 3

        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, tuple) and index[0] == 2:
                raise OSError('the disk is gone')
            return np.broadcast_to(plane(), self.shape)[index]

    with notifications() as told:
        one = bench(plane())
        image = Image(Broken(), contrast_limits=(0, 200))
        one.viewer.add_layer(image)
        one.controller.set_image(image)
        one.viewer.dims.set_point(0, 1)
        one.quiet()
        works(one, 1, *FIRST)
        source = one.controller.source
        key = type(source.key)(source.key.source, source.key.displayed, (2,))
        # as when the slider goes there, which napari itself could not draw
        one.controller._inference.enter(type(source)(key, image.data))
        one.quiet()
        assert one.statuses[-1][1] == 'warning'
        assert len(one.controller.objects) == 1
    assert any('the disk is gone' in message for message in told)

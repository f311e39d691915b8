"""The preview under the mouse: as fast as the model, never in the way of a click."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou, plane, stack

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


def seen(one: Any) -> np.ndarray:
    """Return where on the image's pixels, (row, column), something is drawn under the mouse."""
    layer = one.hovered
    assert layer is not None
    corners = [layer.data_to_world(pixel) for pixel in np.argwhere(layer.data)]
    return np.array([one.controller.image.world_to_data(world) for world in corners])


def test_a_cell_shows_its_mask_before_any_click(bench: Bench) -> None:
    one = bench()
    one.hover(0, *FIRST)
    layer = one.hovered
    assert set(np.unique(layer.data)) == {0, 1, 2}
    assert iou(layer.data[0] > 0, disc((120, 160), FIRST, RADIUS)) > 0.9
    assert one.controller.candidate is None
    assert len(one.points.data) == 0
    assert one.viewer.layers.selection.active is one.points
    layers = one.viewer.layers
    assert layers.index(layer) < layers.index(one.boxes), 'under the prompts'
    one.hover(0, *SECOND)
    assert iou(layer.data[0] > 0, disc((120, 160), SECOND, RADIUS)) > 0.9
    one.controller.mouse_left()
    assert one.hovered is None


@pytest.mark.filterwarnings('ignore:Non-orthogonal slicing')
@pytest.mark.parametrize(
    ('order', 'keywords'),
    [
        ((0, 2, 1), {'scale': (5, 0.2, 0.4), 'translate': (1, 2, 3)}),
        ((0, 1, 2), {'scale': (5, 0.2, 0.2), 'rotate': [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]}),
        ((1, 0, 2), {}),
    ],
)
def test_t1_t3_it_lies_on_the_cell_in_any_view(
    bench: Bench, order: tuple[int, ...], keywords: dict[str, Any]
) -> None:
    """T1, T3: axes exchanged, scaled, moved, rotated, and a plane across the stack."""
    volume = np.repeat(plane()[None], 40, axis=0)
    one = bench(volume, **keywords)
    one.viewer.dims.order = order
    if order[0] == 1:
        one.viewer.dims.set_current_step(1, FIRST[0])
    one.quiet()
    one.hover(0, *FIRST)
    places = seen(one)
    if order[0] == 1:
        assert np.ptp(places[:, 1]) == 0
        assert np.ptp(places[:, 2]) == pytest.approx(2 * RADIUS, abs=2)
        assert len(np.unique(places[:, 0])) == 40
    else:
        np.testing.assert_allclose(places.mean(axis=0), (0, *FIRST), atol=1)
        assert np.linalg.norm(places[:, 1:] - FIRST, axis=1).max() < RADIUS + 2


def test_a_large_plane_is_hovered_in_coarse_pixels(bench: Bench) -> None:
    large = np.kron(plane(), np.ones((10, 10), np.float32))
    one = bench(large)
    one.hover(10 * FIRST[0], 10 * FIRST[1])
    assert one.hovered.data.shape == (384, 512)
    np.testing.assert_allclose(seen(one).mean(axis=0), 10 * np.array(FIRST), atol=10)


def test_nothing_is_encoded_for_it_and_it_comes_when_the_plane_is_there(bench: Bench) -> None:
    segmenter = FakeSegmenter(gate=threading.Event())
    one = bench(segmenter=segmenter, ready=False)
    one.until(segmenter.started.is_set)
    world = one.controller.image.data_to_world((0, *FIRST))
    one.controller._on_mouse(world)
    one.qtbot.wait(20)
    assert one.hovered is None
    segmenter.gate.set()
    one.quiet()
    assert one.hovered is not None, 'the mouse rests on it'
    assert len(segmenter.encoded) == 1


def test_t11_hovers_never_queue(bench: Bench) -> None:
    """T11: while one answer is made the mouse goes on; only its last place is asked about."""
    segmenter = FakeSegmenter()
    one = bench(segmenter=segmenter)
    segmenter.gate = threading.Event()
    segmenter.started.clear()
    image = one.controller.image
    one.controller._on_mouse(image.data_to_world((0, *FIRST)))
    one.until(segmenter.started.is_set)
    for column in range(100):
        one.controller._on_mouse(image.data_to_world((0, 2, column)))
    one.controller._on_mouse(image.data_to_world((0, *THIRD)))
    segmenter.gate.set()
    one.quiet()
    assert segmenter.hovered == [FIRST, THIRD]
    assert iou(one.hovered.data[0] > 0, disc((120, 160), THIRD, RADIUS)) > 0.9


def test_t27_a_click_does_not_wait_for_hovers(bench: Bench) -> None:
    """T27: the click is answered; the hover that was under way shows nowhere."""
    segmenter = FakeSegmenter()
    one = bench(segmenter=segmenter)
    segmenter.gate = threading.Event()
    segmenter.started.clear()
    image = one.controller.image
    one.controller._on_mouse(image.data_to_world((0, *FIRST)))
    one.until(segmenter.started.is_set)
    one.controller._on_mouse(image.data_to_world((0, *SECOND)))
    one.prompts.add_point((0, *THIRD))
    one.until(lambda: not one.controller.pending)
    segmenter.gate.set()
    one.quiet()
    assert segmenter.hovered == [FIRST]
    assert [wish.points for wish in segmenter.decoded] == [(THIRD,)]
    assert one.hovered is None
    assert one.controller.candidate is not None


def test_not_while_there_are_prompts_nor_while_dragging_nor_with_another_tool(
    bench: Bench,
) -> None:
    one = bench()
    one.click(0, *FIRST)
    one.hover(0, *SECOND)
    assert one.hovered is None
    one.press('Escape')
    one.hover(0, *SECOND)
    assert one.hovered is not None
    one.controller._on_mouse(None)  # pressed
    assert one.hovered is None
    one.points.mode = 'select'
    one.hover(0, *FIRST)
    assert one.hovered is None
    assert one.segmenter.hovered == [SECOND]


def test_another_plane_takes_it_away(bench: Bench) -> None:
    one = bench()
    one.hover(0, *FIRST)
    one.viewer.dims.set_current_step(0, 1)
    assert one.hovered is None
    one.quiet()
    one.hover(1, FIRST[0] + 2, FIRST[1])
    np.testing.assert_allclose(seen(one).mean(axis=0), (1, FIRST[0] + 2, FIRST[1]), atol=1)


def test_off_at_will(bench: Bench) -> None:
    one = bench()
    told: list[bool] = []
    one.controller.hover_changed.connect(told.append)
    one.hover(0, *FIRST)
    one.press('H')
    assert one.hovered is None
    one.hover(0, *SECOND)
    assert one.hovered is None
    one.press('H')
    one.hover(0, *SECOND)
    assert one.hovered is not None
    assert told == [False, True]


def test_all_masks_can_be_seen_before_a_click_which_then_shows_the_same(bench: Bench) -> None:
    one = bench()
    told: list[Any] = []
    one.controller.hovered_changed.connect(told.append)
    one.press('N')
    assert not told, 'there is nothing to go through'
    one.hover(0, *FIRST)
    assert told[-1].scores == pytest.approx((0.9, 0.7, 0.5))
    assert told[-1].rank == 0
    middle = told[-1].n_pixels
    assert middle == pytest.approx(np.pi * RADIUS**2, rel=0.1)
    one.press('N')
    assert (told[-1].rank, told[-1].n_pixels > middle) == (1, True), 'the group'
    one.press('N')
    assert (told[-1].rank, told[-1].n_pixels < middle) == (2, True), 'the part'
    one.press('N')
    assert told[-1].rank == 0
    one.press('Shift-N')
    assert told[-1].rank == 2
    one.hover(0, *SECOND)
    assert told[-1].rank == 2, 'a hand is never still'
    seen = one.hovered.data[0] > 0

    one.click(0, *SECOND)
    assert told[-1] is None
    assert one.controller.candidate.rank == 2
    assert one.controller.candidate.score == pytest.approx(0.5)
    assert iou(one.controller.candidate.mask(), seen) > 0.95
    one.press('Enter')
    one.hover(0, *THIRD)
    assert told[-1].rank == 0, 'the next object begins with the best'
    one.click(0, *THIRD)
    assert one.controller.candidate.rank == 0


def test_more_prompts_are_answered_by_their_one_mask(bench: Bench) -> None:
    one = bench()
    one.hover(0, *FIRST)
    one.press('N')
    one.prompts.add_point((0, *FIRST))
    one.prompts.add_point((0, *SECOND))
    one.quiet()
    assert one.controller.candidate.rank == 0


def test_a_model_that_fails_turns_it_off_and_says_so(bench: Bench) -> None:
    one = bench()
    one.segmenter.fail_with = RuntimeError('no memory')
    one.hover(0, *FIRST)
    assert not one.controller.hover
    assert one.statuses[-1][1] == 'warning'
    assert 'no memory' in one.statuses[-1][0]


def test_t14_its_layer_may_be_deleted(bench: Bench) -> None:
    """T14: and comes back with the next move of the mouse."""
    one = bench(stack())
    one.hover(0, *FIRST)
    one.viewer.layers.remove(one.hovered)
    one.hover(0, *SECOND)
    assert iou(one.hovered.data[0] > 0, disc((120, 160), SECOND, RADIUS)) > 0.9
    one.close()
    assert len(one.viewer.layers) == 1

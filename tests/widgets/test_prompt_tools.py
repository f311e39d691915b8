"""Boxes, regions, strokes and labels as prompts: drawn in napari's layers, read off their plane."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pictures import CENTRES, RADIUS, disc, iou
from prompting import rectangle
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent

from napari_mobilesam.layers import NEGATIVE, POLARITY, POSITIVE
from napari_mobilesam.widgets.canvas_keys import CanvasKeys

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


def ring(centre: tuple[float, float], radius: float, z: float = 0) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rows, columns = centre[0] + radius * np.sin(angles), centre[1] + radius * np.cos(angles)
    return np.stack([np.full(12, z), rows, columns], axis=1)


def wheel_event(turn: tuple[int, int], modifier: Any) -> QWheelEvent:
    return QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(),
        QPoint(*turn),
        Qt.MouseButton.NoButton,
        modifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )


def asked(one: Any) -> Any:
    return one.segmenter.decoded[-1]


@pytest.mark.parametrize('kind', ['polygon', 'ellipse'])
def test_a_region_is_a_box_and_a_mask(bench: Bench, kind: str) -> None:
    one = bench(scale=(5, 0.2, 0.2))
    outline = ring(FIRST, 16) if kind == 'polygon' else rectangle(0, 14, 24, 46, 56)
    one.boxes.add([outline], shape_type=kind)
    one.quiet()
    prompts = asked(one)
    np.testing.assert_allclose(prompts.box, (14, 24, 46, 56), atol=0.1)
    inside = np.count_nonzero(prompts.mask.logits > 0) * (160 / 256) ** 2
    assert inside == pytest.approx(np.pi * 16**2, rel=0.07)
    assert iou(one.controller.candidate.mask(), disc((120, 160), FIRST, RADIUS)) > 0.9
    # A new one takes its place; undo brings the old one back, as what it was.
    one.boxes.add([rectangle(0, 60, 40, 100, 80)], shape_type='rectangle')
    one.quiet()
    assert list(one.boxes.shape_type) == ['rectangle']
    assert asked(one).mask is None
    one.press('Control-Z')
    assert list(one.boxes.shape_type) == [kind]
    assert asked(one) == prompts


def test_strokes_are_points_of_either_polarity(bench: Bench) -> None:
    one = bench()
    one.controller.use_scribble()
    assert one.controller.tool == 'scribble'
    row, column = FIRST
    one.boxes.add([np.array([(0, row, column - 9), (0, row, column + 9)])], shape_type='path')
    one.quiet()
    first = asked(one)
    assert first.positive == (True,) * 6
    assert [point[1] for point in first.points] == [
        column + d for d in (-7.5, -4.5, -1.5, 1.5, 4.5, 7.5)
    ]
    one.controller.toggle_polarity()
    assert one.controller.tool == 'scribble', 'T stays with the tool'
    one.boxes.add([np.array([(0, 100, 10), (0, 100, 16)])], shape_type='path')
    one.quiet()
    assert one.boxes.features[POLARITY].tolist() == [POSITIVE, NEGATIVE]
    assert asked(one).positive == (True,) * 6 + (False,) * 6
    one.points.add((0, *FIRST))
    one.quiet()
    assert asked(one).positive[0] is False, 'the polarity of points and strokes is one'
    one.press('Control-Z')
    one.press('Control-Z')
    assert asked(one) == first


def test_t4_shapes_of_another_slice_stay_there(bench: Bench) -> None:
    """T4: regions and strokes on slices 0 and 3; only slice 3's reach the model at 3."""
    one = bench()
    one.boxes.add([ring(FIRST, 16)], shape_type='polygon')
    one.boxes.add([np.array([(3, 50, 50), (3, 50, 70)])], shape_type='path')
    one.quiet()
    assert asked(one).points == ()
    one.viewer.dims.set_current_step(0, 3)
    one.quiet()
    assert asked(one).box is None
    assert len(asked(one).points) == 6
    one.press('Escape')
    assert list(one.boxes.shape_type) == ['polygon']


def test_t6_selected_prompts_are_flipped(bench: Bench) -> None:
    """T6: the feature changes, and the colour follows it."""
    one = bench()
    one.press('Shift-T')
    assert 'Select' in one.statuses[-1][0]
    one.click(0, *FIRST)
    one.click(0, *SECOND)
    one.boxes.add([rectangle(0, 10, 20, 50, 60)], shape_type='rectangle')
    one.quiet()
    one.boxes.selected_data = {0}
    one.points.selected_data = {1}
    before = one.decoded
    one.press('Shift-T')
    assert one.points.features[POLARITY].tolist() == [POSITIVE, NEGATIVE]
    assert one.points.features[POLARITY].dtype == 'category'
    assert one.points.face_color[1][0] > one.points.face_color[1][1], 'pink'
    assert one.decoded == before + 1
    assert asked(one).positive == (True, False)
    assert asked(one).box is not None, 'an area has no polarity'
    one.press('Control-Z')
    assert one.points.features[POLARITY].tolist() == [POSITIVE, POSITIVE]


def test_t5_ctrl_drag_is_a_box_and_one_prediction(bench: Bench) -> None:
    """T5: dragging draws the box as it grows; it is asked about once, at its end."""
    one = bench(scale=(5, 0.2, 0.2))
    image = one.controller.image

    def at(row: float, column: float) -> Any:
        return image.data_to_world((0, row, column))

    event = SimpleNamespace(
        type='mouse_press', position=at(10, 20), modifiers=('Control',), handled=False
    )
    generators = [callback(one.points, event) for callback in one.points.mouse_drag_callbacks[:1]]
    for generator in generators:
        next(generator)
    event.type = 'mouse_move'
    for row in (20, 35, 50):
        event.position = at(row, row + 10)
        for generator in generators:
            next(generator)
        assert len(one.boxes.data) == 1, 'it is seen while it grows'
        assert event.handled, 'the camera stays'
    one.quiet()
    assert one.decoded == 0
    event.type = 'mouse_release'
    for generator in generators:
        assert next(generator, None) is None
    one.quiet()
    assert one.decoded == 1
    np.testing.assert_allclose(asked(one).box, (10, 20, 50, 60), atol=1e-6)
    assert one.controller.tool == 'points'
    one.press('Control-Z')
    assert len(one.boxes.data) == 0


def test_alt_and_the_wheel_go_through_the_candidates(bench: Bench) -> None:
    one = bench()
    one.click(0, *FIRST)
    shown = one.controller.candidate
    assert shown.sizes[shown.choice] == shown.n_pixels
    assert len(set(shown.sizes)) == 3
    keys = CanvasKeys(SimpleNamespace(controller=one.controller))
    alt, none = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.NoModifier
    taken = [
        keys.eventFilter(one.controller, wheel_event(turn, modifier))
        for turn, modifier in (((0, -120), none), ((0, -60), alt), ((-60, 0), alt))
    ]
    assert taken == [False, True, True], 'without Alt it is for zooming'
    one.quiet()
    assert one.controller.candidate.rank == 1
    one.controller.choose_candidate(2)
    one.quiet()
    assert one.controller.candidate.rank == 2
    assert one.decoded == 1


def test_a_label_under_the_mouse_becomes_the_prompt(bench: Bench) -> None:
    """And the next commit changes it in place."""
    one = bench(scale=(5, 0.2, 0.2))
    one.click(0, *FIRST)
    one.press('Enter')
    one.viewer.cursor.position = one.controller.image.data_to_world((0, *FIRST))
    one.press('L')
    one.quiet()
    prompts = asked(one)
    assert prompts.mask is not None
    np.testing.assert_allclose(prompts.box, (16, 26, 44, 54), atol=1.5)
    assert list(one.boxes.shape_type) == ['polygon'], 'it can be moved and deleted'
    one.press('Enter')
    assert [record.label for record in one.controller.objects] == [1]
    one.viewer.cursor.position = one.controller.image.data_to_world((0, 5, 5))
    one.press('L')
    assert one.statuses[-1] == ('There is no label under the mouse.', 'warning')


def test_labels_of_any_layer_will_do(bench: Bench) -> None:
    """Also where they cannot be written to, and on another grid's offset."""
    dask = pytest.importorskip('dask.array')
    one = bench()
    coarse = np.zeros((5, 100, 160), int)
    coarse[0] = 7 * disc((120, 160), SECOND, RADIUS + 4)[20:]
    one.viewer.add_labels(dask.from_array(coarse, chunks=(1, 100, 160)), translate=(0, 20, 0))
    one.viewer.layers.selection.active = one.points
    one.viewer.cursor.position = (0, *SECOND)
    one.press('L')
    one.quiet()
    np.testing.assert_allclose(asked(one).box, (62, 42, 98, 78), atol=1.5)


def test_a_polygon_that_is_being_drawn_is_ended_by_enter(bench: Bench) -> None:
    one = bench()
    one.controller.use_polygon()
    ended: list[bool] = []
    one.prompts.drawing = True
    one.controller.commit()
    ended.append(one.prompts.drawing)
    assert ended == [False]
    assert one.boxes.mode == 'add_polygon'
    assert one.controller.objects == ()

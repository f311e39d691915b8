"""Prompting by hand: every tool with real mouse and key events on the canvas, in one window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from desk import Desk
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou, plane
from qtpy.QtCore import Qt

from napari_mobilesam.layers import NEGATIVE, POLARITY, POSITIVE

pytestmark = pytest.mark.gui

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier
FIRST, SECOND, THIRD = CENTRES


def test_every_tool(make_napari_viewer: Any, qtbot: Any) -> None:
    """Ctrl-drag, ellipse, lasso, polygon, scribbles, a label, candidates, flips, all at once."""
    viewer = make_napari_viewer()
    image = viewer.add_image(np.stack([plane(), plane(2)]), scale=(5, 0.4, 0.4))
    viewer.dims.set_current_step(0, 0)
    segmenter = FakeSegmenter()
    desk = Desk(viewer, image, qtbot, segmenter)
    controller, prompts = desk.controller, desk.controller._prompts
    row, column = FIRST

    def asked() -> Any:
        return segmenter.decoded[-1]

    # Before any click: what it would give, its score and size, and the others by Tab and wheel.
    panel = desk.widget.candidate_panel
    desk.mouse.move(image, (0, row, column))
    desk.quiet()
    assert panel.score.text() == 'under the mouse: 0.90'
    assert '≈' in panel.rows[0].text()
    desk.key(Qt.Key.Key_Tab)
    assert panel.score.text() == 'under the mouse: 0.70'
    desk.wheel((0, row, column), -120, ALT)
    assert panel.rank.text() == '3 / 3'
    desk.click(0, row, column)
    assert controller.candidate.rank == 2, 'the click shows what was seen before it'
    desk.key(Qt.Key.Key_Escape)
    desk.mouse.leave()
    assert panel.score.text() == 'no candidate'

    # Alt and the wheel go through the candidates; the panel has all of their scores and sizes.
    desk.click(0, row, column)
    rows = desk.widget.candidate_panel.rows
    assert [one.text()[:4] for one in rows] == ['0.90', '0.70', '0.50']
    desk.wheel((0, row, column), -120, ALT)
    assert controller.candidate.rank == 1
    assert rows[1].isChecked()
    rows[2].click()
    desk.quiet()
    assert controller.candidate.rank == 2
    assert desk.widget.hints.shown == ('commit',)
    desk.key(Qt.Key.Key_Escape)

    # A box with Ctrl held, without leaving the points tool.
    before = len(segmenter.decoded)
    desk.drag((0, row - 20, column - 20), (0, row + 20, column + 20), CONTROL)
    assert len(segmenter.decoded) == before + 1
    np.testing.assert_allclose(
        asked().box, (row - 20, column - 20, row + 20, column + 20), atol=1.5
    )
    assert controller.tool == 'points'
    desk.key(Qt.Key.Key_Escape)

    # Regions: a box and a mask.
    desk.key(Qt.Key.Key_E)
    desk.drag((0, row - 16, column - 16), (0, row + 16, column + 16))
    assert list(prompts.shapes.shape_type) == ['ellipse']
    assert asked().mask is not None
    assert iou(controller.candidate.mask(), disc((120, 160), FIRST, RADIUS)) > 0.9
    desk.key(Qt.Key.Key_O)
    angles = np.linspace(0, 1.9 * np.pi, 24)
    desk.stroke([(0, 80 + 18 * np.sin(a), 60 + 18 * np.cos(a)) for a in angles])
    assert list(prompts.shapes.shape_type) == ['polygon'], 'it takes the place of the ellipse'
    np.testing.assert_allclose(asked().box, (62, 42, 98, 78), atol=2.5)
    desk.key(Qt.Key.Key_Escape)
    desk.key(Qt.Key.Key_Y)
    before = len(segmenter.decoded)
    for corner in ((62, 42), (62, 78), (98, 78), (98, 42)):
        desk.click(0, *corner)
    assert len(segmenter.decoded) == before, 'nothing is asked while it is drawn'
    desk.key(Qt.Key.Key_Return)
    assert len(segmenter.decoded) == before + 1
    assert iou(controller.candidate.mask(), disc((120, 160), SECOND, RADIUS)) > 0.9
    desk.key(Qt.Key.Key_Return)
    assert [record.label for record in controller.objects] == [1]
    assert desk.widget.hints.shown == ()

    # Strokes of either polarity; selected ones are flipped, moved, deleted.
    desk.key(Qt.Key.Key_G)
    assert desk.widget.prompt_panel.tools['scribble'].isChecked()
    desk.drag((0, row, column - 9), (0, row, column + 9))
    assert asked().positive == (True,) * 6
    desk.key(Qt.Key.Key_T)
    desk.drag((0, 100, 100), (0, 100, 130))
    assert prompts.shapes.features[POLARITY].tolist() == [POSITIVE, NEGATIVE]
    assert asked().positive == (True,) * 6 + (False,) * 6
    desk.key(Qt.Key.Key_S)
    prompts.shapes.selected_data = {1}
    desk.key(Qt.Key.Key_T, SHIFT)
    assert prompts.shapes.features[POLARITY].tolist() == [POSITIVE, POSITIVE]
    prompts.shapes.selected_data = {1}
    desk.key(Qt.Key.Key_Delete)
    assert asked().positive == (True,) * 6
    desk.go_to(0, 1)
    assert controller.candidate is None, 'prompts belong to their slice'
    desk.go_to(0, 0)
    assert controller.candidate is not None
    desk.key(Qt.Key.Key_Escape)

    # A label as the prompt: the next commit changes it in place.
    desk.key(Qt.Key.Key_P)
    desk.mouse.move(image, (0, *SECOND))
    desk.key(Qt.Key.Key_L)
    assert asked().mask is not None
    desk.key(Qt.Key.Key_Return)
    assert [record.label for record in controller.objects] == [1]

    # The same with the tool for it: a click picks, a drag is the camera's.
    desk.widget.prompt_panel.tools['label'].click()
    desk.quiet()
    assert desk.widget.prompt_panel.tools['label'].isChecked()
    before, placed = len(segmenter.decoded), prompts.number
    desk.click(0, 10, 10)
    assert len(segmenter.decoded) == before
    assert desk.widget.status.text.text() == 'There is no label under the mouse.'
    desk.click(0, *SECOND)
    assert prompts.number == (placed[0], placed[1] + 1)
    assert asked().mask is not None
    assert controller.tool == 'label', 'ready for the next one'
    desk.key(Qt.Key.Key_Return)
    assert [record.label for record in controller.objects] == [1]
    prompts.points.mode = 'add'
    assert controller.tool == 'points', "napari's own buttons choose as well"

    # One object each.
    desk.key(Qt.Key.Key_P)
    controller.set_polarity(POSITIVE)
    desk.widget.batch_panel.each.click()
    for centre in (FIRST, THIRD):
        desk.click(0, *centre)
    desk.key(Qt.Key.Key_Return)
    assert [record.label for record in controller.objects] == [1, 2, 3]
    assert iou(controller.labels.data[0] > 0, plane() > 100) > 0.9
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert [record.label for record in controller.objects] == [1]
    desk.close()

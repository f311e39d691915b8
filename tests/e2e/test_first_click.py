"""The first click: real mouse and key events on the canvas of a real window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from desk import Desk
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou, plane
from qtpy.QtCore import Qt

from mobile_sam.checkpoints import bundled_path
from napari_mobilesam.layers import NEGATIVE, POLARITY, POSITIVE

pytestmark = pytest.mark.gui

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
SCALE, UNITS = (1, 5, 0.2, 0.2), ('s', 'um', 'um', 'um')


def test_first_click(make_napari_viewer: Any, qtbot: Any) -> None:
    """Click, Enter, Ctrl+Z, the next slice, a box: on a scaled TZYX stack (T1, T3, T5, T18)."""
    viewer = make_napari_viewer()
    series = np.stack([[plane(2 * z + t) for z in range(4)] for t in range(2)])
    image = viewer.add_image(series, scale=SCALE, translate=(0, 10, 3, 4), units=UNITS)
    viewer.dims.set_current_step((0, 1), (1, 2))
    segmenter = FakeSegmenter()
    desk = Desk(viewer, image, qtbot, segmenter)
    shift = 2 * 2 + 1
    row, column = CENTRES[0][0] + shift, CENTRES[0][1]
    truth = disc((120, 160), (row, column), RADIUS)

    # The mouse over a cell shows its mask before any click, and takes it along when it leaves.
    desk.mouse.move(image, (1, 2, row, column))
    desk.quiet()
    hover = viewer.layers['Under the mouse']
    assert iou(hover.data[0, 0] > 0, truth) > 0.9
    desk.mouse.leave()
    assert not hover.data.any()

    # A click on a cell is that cell, to the pixel of the mouse's own precision.
    desk.click(1, 2, row, column)
    (prompts,) = segmenter.decoded
    np.testing.assert_allclose(prompts.points, [(row, column)], atol=0.5)
    assert iou(desk.controller.candidate.mask(), truth) > 0.9
    assert not hover.data.any()
    assert len(viewer.layers) == 6

    # Tab goes through the candidates, without another prediction.
    best = desk.controller.candidate.n_pixels
    desk.key(Qt.Key.Key_Tab)
    assert desk.controller.candidate.n_pixels != best
    desk.key(Qt.Key.Key_Backtab, SHIFT)
    assert desk.controller.candidate.n_pixels == best
    assert len(segmenter.decoded) == 1

    # Enter puts it into the labels, Ctrl+Z takes it out and its prompts back.
    labels = desk.controller.labels
    empty = labels.data.copy()
    desk.key(Qt.Key.Key_Return)
    assert iou(labels.data[1, 2] == 1, truth) > 0.9
    assert np.argwhere(labels.data.any(axis=(2, 3))).tolist() == [[1, 2]]
    assert desk.controller.candidate is None
    desk.key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(labels.data, empty)
    assert desk.controller.objects == ()
    assert desk.controller.candidate is not None
    desk.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert iou(labels.data[1, 2] == 1, truth) > 0.9

    # The next slice works the same, with a box.
    desk.go_to(1, 3)
    row, column = CENTRES[1][0] + 7, CENTRES[1][1]
    desk.key(Qt.Key.Key_B)
    assert desk.widget.prompt_panel.tools['boxes'].isChecked()
    before = len(segmenter.decoded)
    desk.drag((1, 3, row - 20, column - 20), (1, 3, row + 20, column + 20))
    assert len(segmenter.decoded) == before + 1, 'one drag, one prediction'
    assert iou(desk.controller.candidate.mask(), disc((120, 160), (row, column), RADIUS)) > 0.9
    desk.key(Qt.Key.Key_Return)
    assert iou(labels.data[1, 3] == 2, disc((120, 160), (row, column), RADIUS)) > 0.9
    assert np.argwhere(labels.data.any(axis=(2, 3))).tolist() == [[1, 2], [1, 3]]

    # Back on the first slice nothing of the second is in the way.
    desk.go_to(1, 2)
    assert desk.controller.candidate is None
    desk.close()
    assert [type(layer).__name__ for layer in viewer.layers] == ['Image', 'Labels']


def test_t5_gestures(make_napari_viewer: Any, qtbot: Any) -> None:
    """T5: one click, one Shift-click, one drag, one deletion, one Escape: one answer each."""
    viewer = make_napari_viewer()
    image = viewer.add_image(plane(), scale=(0.5, 0.5))
    segmenter = FakeSegmenter()
    desk = Desk(viewer, image, qtbot, segmenter)
    row, column = CENTRES[0]
    counts = []

    def count() -> int:
        counts.append(len(segmenter.decoded))
        return counts[-1] - sum(counts[-2:-1])

    desk.click(row, column)
    assert count() == 1
    desk.click(row, column + 40, modifier=SHIFT)
    assert count() == 1
    points = desk.controller._prompts.points
    assert points.features[POLARITY].tolist() == [POSITIVE, NEGATIVE]
    assert desk.controller.polarity == POSITIVE, 'Shift counts for one click'
    desk.key(Qt.Key.Key_T)
    assert desk.widget.prompt_panel.negative.isChecked()
    assert count() == 0

    points.mode = 'select'
    points.selected_data = {0}
    desk.drag((row, column), (row + 4, column + 3))
    assert count() == 1, 'a move is answered at its end'
    np.testing.assert_allclose(points.data[0], (row + 4, column + 3), atol=1)
    points.selected_data = {1}
    desk.key(Qt.Key.Key_Delete)
    assert count() == 1
    assert len(points.data) == 1
    desk.key(Qt.Key.Key_Escape)
    assert count() == 0
    assert len(points.data) == 0
    assert desk.controller.candidate is None
    desk.close()


def test_t1_a_transposed_view(make_napari_viewer: Any, qtbot: Any) -> None:
    """T1, T3: the same click when rows and columns are exchanged on the screen."""
    viewer = make_napari_viewer()
    image = viewer.add_image(np.stack([plane(), plane(6)]), scale=(3, 0.4, 0.6))
    viewer.dims.order = (0, 2, 1)
    viewer.dims.set_current_step(0, 1)
    desk = Desk(viewer, image, qtbot, FakeSegmenter())
    row, column = CENTRES[2][0] + 6, CENTRES[2][1]
    desk.click(1, row, column)
    desk.key(Qt.Key.Key_Return)
    labels = desk.controller.labels
    assert iou(labels.data[1] == 1, disc((120, 160), (row, column), RADIUS)) > 0.85
    desk.close()


@pytest.mark.skipif(bundled_path() is None, reason='the bundled checkpoint is not trained yet')
def test_the_bundled_model_finds_the_clicked_nuclei(make_napari_viewer: Any, qtbot: Any) -> None:
    """With the real model, on a simulated volume with known truth, one click for each nucleus.

    The ten largest of the fullest plane, some of them dim and out of focus: hence the mean.
    """
    from scipy import ndimage

    from napari_mobilesam.sample_data import nuclei_stack

    viewer = make_napari_viewer()
    (data, keywords, _), (truth, _, _) = nuclei_stack()
    image = viewer.add_image(data, **keywords)
    z = int(np.argmax([len(np.unique(section)) for section in truth]))
    viewer.dims.set_current_step(0, z)
    desk = Desk(viewer, image, qtbot)
    ids, sizes = np.unique(truth[z][truth[z] > 0], return_counts=True)
    scores = []
    for label in ids[np.argsort(-sizes)][:10]:
        mask = truth[z] == label
        depth = ndimage.distance_transform_edt(np.pad(mask, 1))
        row, column = np.unravel_index(np.argmax(depth), depth.shape)
        desk.click(z, row - 1.0, column - 1.0)
        scores.append(iou(desk.controller.candidate.mask(), mask))
        desk.key(Qt.Key.Key_Return)
    assert len(desk.controller.objects) == 10
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert len(desk.controller.objects) == 9
    desk.close()
    assert np.mean(scores) > 0.7, scores
    assert np.count_nonzero(np.array(scores) > 0.5) >= 9, scores

"""The device: another precision, and its memory running out, with the real model in a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from desk import Desk
from pictures import CENTRES, RADIUS, disc, iou, plane
from qtpy.QtCore import Qt

from mobile_sam.checkpoints import BUNDLED_NAME, bundled_path
from napari_mobilesam.engine.devices import BFLOAT16, FLOAT32
from napari_mobilesam.engine.encoding import SamEncoding
from napari_mobilesam.widgets.options import Options

pytestmark = pytest.mark.gui

# The processor by a name that is not "the CPU": the real model runs on it, and can be moved away.
ELSEWHERE = 'cpu:0'


@pytest.mark.skipif(bundled_path() is None, reason='needs the bundled checkpoint')
def test_another_precision_then_no_memory(
    make_napari_viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def precisions_of(device: str) -> tuple[str, ...]:
        return (FLOAT32, BFLOAT16) if device == ELSEWHERE else (FLOAT32,)

    for where in ('napari_mobilesam.engine', 'napari_mobilesam.engine.sam_segmenter'):
        monkeypatch.setattr(f'{where}.precisions_of', precisions_of)
    full, encoded, encode = False, [], SamEncoding.start

    def start(encoding: SamEncoding, pictures: Any) -> Any:
        encoded.append((encoding._device, encoding._half))
        if full and encoding._device == ELSEWHERE:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
        return encode(encoding, pictures)

    monkeypatch.setattr(SamEncoding, 'start', start)
    viewer = make_napari_viewer()
    image = viewer.add_image(np.stack([plane(), plane(8)]))
    viewer.dims.set_current_step(0, 0)
    options = Options(checkpoint=BUNDLED_NAME, device=ELSEWHERE, disk_gib=0)
    desk = Desk(viewer, image, qtbot, options=options)
    panel, model = desk.widget.model_panel, desk.widget.model
    (row, column), truth = CENTRES[0], disc((120, 160), CENTRES[0], RADIUS)
    desk.click(0, row, column)
    exact = desk.controller.candidate.mask()
    assert iou(exact, truth) > 0.8
    assert encoded == [(ELSEWHERE, False)]

    # The other precision encodes anew, answers the prompts that are there, and much the same.
    panel.precision.setCurrentText(BFLOAT16)
    panel.precision.activated.emit(1)
    qtbot.waitUntil(lambda: model.loaded.segmenter.precision == BFLOAT16, timeout=60_000)
    desk.quiet()
    assert encoded[1:] == [(ELSEWHERE, True)]
    assert BFLOAT16 in panel.name.text()
    assert iou(desk.controller.candidate.mask(), exact) > 0.9
    desk.key(Qt.Key.Key_Return)
    assert len(desk.controller.objects) == 1

    # No memory for the next plane: the CPU takes over, exactly, and the user is told.
    full = True
    with qtbot.waitSignal(model.noticed, timeout=60_000) as told:
        desk.go_to(0, 1)
    assert f'The device {ELSEWHERE} ran out of memory: going on with the CPU' in told.args[0]
    assert encoded[2:] == [(ELSEWHERE, True), ('cpu', False)]
    assert f'{BUNDLED_NAME} on cpu' in panel.name.text()
    assert not panel.precision.isVisible(), 'there is nothing to choose on the CPU'
    desk.click(1, row + 8, column)
    assert iou(desk.controller.candidate.mask(), disc((120, 160), (row + 8, column), RADIUS)) > 0.8
    desk.key(Qt.Key.Key_Return)
    assert len(desk.controller.objects) == 2, 'and nothing was lost'
    assert len(encoded) == 4
    desk.close()

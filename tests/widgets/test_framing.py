"""The scale guard, frames and the windows that come with them, without a viewer's window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Shapes
from pictures import CENTRES, RADIUS, disc, iou, plane

from napari_mobilesam.engine import Frame, Prompts
from napari_mobilesam.layers import ImageChannel, PictureChoice

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


def small_objects() -> np.ndarray:
    """Discs of 28 pixels in a plane of 2560: 11 pixels of the model."""
    return np.tile(plane(), (16, 16))


def show(one: Any, row: float, column: float, height: float, width: float) -> None:
    """Let the canvas show a part of the image, one pixel of it on two of the canvas."""
    one.viewer.canvas.size = (round(height * 2), round(width * 2))
    one.viewer.scene.camera.zoom = 2
    one.viewer.scene.camera.center = (0, row + height / 2, column + width / 2)


def frames(one: Any) -> list[Any]:
    return [
        layer for layer in one.viewer.layers if isinstance(layer, Shapes) and layer.name == 'Frame'
    ]


def test_small_objects_are_told_and_looked_at_closely(bench: Bench) -> None:
    one = bench(small_objects())
    said: list[tuple[str, bool]] = []
    one.controller.guard_changed.connect(lambda *guard: said.append(guard))
    one.click(*SECOND)
    assert said == [('Small for the model: 1 model pixel = 2.5 of yours.', False)]
    show(one, 10, 5, 150, 170)
    one.controller.encode_view()
    one.quiet()
    source = one.controller.source
    assert source.frame == Frame(10, 5, 151, 171)
    assert one.segmenter.encoded[-1] == (151, 171, 3)
    assert said[-1] == ('Only the frame is encoded: 5.99 model pixels = 1 of yours.', True)
    # the prompts that were there are answered anew, where they lie on the plane
    mask = one.controller.candidate.mask()
    assert mask.shape == (1920, 2560)
    assert iou(mask[:120, :160], disc((120, 160), SECOND, RADIUS)) > 0.95
    one.press('Enter')
    assert iou(one.labels.data[:120, :160] == 1, disc((120, 160), SECOND, RADIUS)) > 0.95

    (layer,) = frames(one)
    corners = layer.data[0]
    assert corners.min(axis=0).tolist() == [9.5, 4.5]
    assert corners.max(axis=0).tolist() == [160.5, 175.5]
    assert one.viewer.layers.selection.active is one.points

    one.press('Shift-F')
    assert one.controller.source.frame is None
    assert frames(one) == []
    assert said[-1] == ('', False)


def test_small_objects_are_told_under_the_mouse_before_any_click(bench: Bench) -> None:
    one = bench(small_objects())
    said: list[tuple[str, bool]] = []
    one.controller.guard_changed.connect(lambda *guard: said.append(guard))
    one.hover(*SECOND)
    assert said == [('Small for the model: 1 model pixel = 2.5 of yours.', False)]
    one.controller.mouse_left()
    assert len(said) == 1, 'the line and its button are still there when the mouse gets to them'
    one.viewer.canvas.size, one.viewer.scene.camera.zoom = (100, 100), 0.01
    one.controller.encode_view()
    one.quiet()
    frame = one.controller.source.frame
    assert frame is not None
    assert min(frame.shape) < 500, 'the neighbourhood of what was under the mouse'
    assert frame.holds(Prompts((SECOND,), (True,)))
    one.hover(*SECOND)
    assert said[-1][0].startswith('Only the frame is encoded')


def test_prompts_beside_the_frame_are_answered_on_the_whole_plane(bench: Bench) -> None:
    one = bench(plane())
    show(one, 55, 30, 60, 60)
    one.press('F')
    one.click(*FIRST)
    assert iou(one.controller.candidate.mask(), disc((120, 160), FIRST, RADIUS)) > 0.9
    encoded = len(one.segmenter.encoded)
    one.press('Escape')
    one.click(*SECOND)
    assert iou(one.controller.candidate.mask(), disc((120, 160), SECOND, RADIUS)) > 0.9
    assert len(one.segmenter.encoded) == encoded, 'both frames are kept'
    one.press('Shift-F')
    one.press('F')
    assert len(one.segmenter.encoded) == encoded, 'and found again'


def test_without_zooming_in_the_neighbourhood_of_the_object_is_taken(bench: Bench) -> None:
    one = bench(small_objects())
    show(one, -500, -500, 4000, 4000)
    one.press('F')
    assert one.statuses[-1][0].startswith('Zoom in first')
    one.click(*SECOND)
    one.press('F')
    frame = one.controller.source.frame
    assert frame.holds(one.segmenter.decoded[-1].with_point(*SECOND))
    assert 300 < max(frame.shape) < 600


def test_the_frame_goes_with_the_slices_and_ends_with_another_view(bench: Bench) -> None:
    one = bench()
    show(one, 20, 30, 60, 60)
    one.press('F')
    frame = one.controller.source.frame
    one.viewer.dims.set_current_step(0, 3)
    one.quiet()
    assert one.controller.source.frame == frame
    assert frames(one)[0].data[0][:, 0].tolist() == [3] * 4
    one.viewer.dims.ndisplay = 3
    one.quiet()
    assert frames(one) == []
    one.viewer.dims.ndisplay = 2
    one.quiet()
    one.viewer.dims.order = (1, 0, 2)
    one.quiet()
    assert one.controller.source.frame is None


def test_the_rectangle_may_be_deleted_and_moves_with_the_image(bench: Bench) -> None:
    one = bench(plane())
    show(one, 20, 30, 60, 60)
    one.press('F')
    one.controller.image.translate = (7, 8)
    one.quiet()
    (layer,) = frames(one)
    assert layer.translate.tolist() == [7, 8]
    one.viewer.layers.remove(layer)
    one.quiet()
    assert one.controller.source.frame is None
    assert frames(one) == []
    one.press('F')
    one.close()
    assert frames(one) == []


def test_a_composite_follows_the_layers_that_it_is_made_of(bench: Bench) -> None:
    one = bench(plane(), contrast_limits=(0, 255))
    second = one.viewer.add_image(plane(20), contrast_limits=(0, 255), blending='additive')
    one.controller.set_choice(PictureChoice(content='visible'))
    one.quiet()
    count = len(one.segmenter.encoded)
    for name, value in (('opacity', 0.3), ('colormap', 'red'), ('visible', False)):
        setattr(second, name, value)
        one.quiet()
        count += 1
        assert len(one.segmenter.encoded) == count, name
    second.visible = True
    one.quiet()
    assert len(one.segmenter.encoded) == count, 'these pixels were seen before'
    one.viewer.layers.remove(second)
    one.quiet()
    assert len(one.segmenter.encoded) == count, 'without it: as when it was not visible'


def test_a_channel_that_is_deleted_is_left_out(bench: Bench) -> None:
    one = bench(plane())
    second = one.viewer.add_image(plane(20))
    parts = (ImageChannel(one.controller.image), ImageChannel(second), None)
    one.controller.set_choice(PictureChoice(content='rgb', rgb=parts))
    one.quiet()
    assert len(one.controller.source.channels) == 2
    one.viewer.layers.remove(second)
    one.quiet()
    assert len(one.controller.source.channels) == 1
    one.click(*FIRST)
    assert one.controller.candidate is not None


@pytest.mark.parametrize('kind', ['stack', 'full'])
def test_intensities_of_the_stack_and_the_plane(bench: Bench, kind: Any) -> None:
    from napari_mobilesam.engine import IntensityMapping

    one = bench(np.stack([plane(), 2 * plane()]))
    one.controller.set_choice(PictureChoice(IntensityMapping(kind)))
    one.quiet()
    one.click(0, *FIRST)
    assert one.controller.candidate is not None
    first = one.controller.source.image().max()
    assert first < 200 if kind == 'stack' else first == 255

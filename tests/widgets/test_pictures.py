"""What the model sees of the viewer: one layer, all that is visible, channels as R, G and B."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_mobilesam.engine import Frame, IntensityMapping
from napari_mobilesam.layers import (
    ImageChannel,
    NotAnnotatable,
    PictureChoice,
    Samples,
    channels_of,
    picture_source,
    visible_frame,
)

FULL = IntensityMapping('full')
VISIBLE = PictureChoice(content='visible')


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def seen(viewer: ViewerModel, image: Any, choice: PictureChoice) -> np.ndarray:
    return picture_source(image, viewer.dims, choice, list(viewer.layers)).image()


def test_all_that_is_visible_as_it_is_displayed() -> None:
    viewer = ViewerModel()
    first = viewer.add_image(noise(30, 40), contrast_limits=(0, 255), colormap='red')
    second = viewer.add_image(
        noise(30, 40, seed=1), contrast_limits=(0, 255), colormap='green', blending='additive'
    )
    hidden = viewer.add_image(noise(30, 40, seed=2), colormap='blue', visible=False)
    picture = seen(viewer, first, VISIBLE)
    np.testing.assert_allclose(picture[..., 0], first.data, atol=1)
    np.testing.assert_allclose(picture[..., 1], second.data, atol=1)
    assert not picture[..., 2].any()
    second.opacity = 0.5
    np.testing.assert_allclose(seen(viewer, first, VISIBLE)[..., 1], second.data / 2, atol=1)
    hidden.visible = True
    hidden.blending = 'additive'
    hidden.gamma = 0.5
    hidden.contrast_limits = (0, 255)
    expected = 255 * np.sqrt(hidden.data / 255)
    np.testing.assert_allclose(seen(viewer, first, VISIBLE)[..., 2], expected, atol=2)


def test_layers_of_another_scale_and_dimension_are_met_in_the_world() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 30, 40), np.uint8), scale=(5, 0.5, 0.5))
    other = viewer.add_image(
        noise(15, 20),
        scale=(1, 1),
        translate=(0.25, 0.25),
        contrast_limits=(0, 255),
        blending='additive',
    )
    far = viewer.add_image(noise(4, 4), translate=(500, 500), blending='additive')
    viewer.dims.set_current_step(0, 2)
    picture = seen(viewer, image, VISIBLE)
    np.testing.assert_array_equal(picture[..., 0], np.kron(other.data, np.ones((2, 2), int)))
    assert far.visible
    # a stack that has no plane here leaves the others alone
    viewer.add_image(noise(2, 30, 40), scale=(5, 0.5, 0.5), translate=(100, 0, 0))
    viewer.dims.set_point(0, 10)
    np.testing.assert_array_equal(seen(viewer, image, VISIBLE), picture)


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_composites_follow_the_order_of_axes(order: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((6, 7, 8), np.uint8))
    other = viewer.add_image(noise(6, 7, 8), contrast_limits=(0, 255), blending='additive')
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], 3)
    expected = np.moveaxis(other.data, order, (0, 1, 2))[3]
    np.testing.assert_array_equal(seen(viewer, image, VISIBLE)[..., 0], expected)


def test_channels_of_one_image_as_red_green_blue() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(noise(3, 5, 30, 40), axis_labels=('c', 'z', 'y', 'x'))
    plain = viewer.add_image(noise(5, 30, 40, seed=1))
    viewer.dims.set_current_step((0, 1), (1, 4))
    channels = channels_of([image, plain])
    assert [(part.axis, part.index) for part in channels] == [(0, 0), (0, 1), (0, 2), (None, 0)]
    choice = PictureChoice(FULL, 'rgb', (channels[2], channels[3], channels[0]))
    picture = seen(viewer, image, choice)
    for colour, data in enumerate((image.data[2, 4], plain.data[4], image.data[0, 4])):
        grey = (data.astype(float) - data.min()) / (np.ptp(data)) * 255
        np.testing.assert_allclose(picture[..., colour], grey, atol=1)
    nothing = PictureChoice(FULL, 'rgb')
    assert seen(viewer, image, nothing).shape == (30, 40, 3), 'the layer itself'


def test_t24_channel_axes_are_never_guessed_from_sizes() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(noise(3, 30, 40))
    assert channels_of([image]) == [ImageChannel(image)]


def test_a_stack_is_sampled_once_and_channels_apart() -> None:
    viewer = ViewerModel()
    data = np.arange(2 * 6)[:, None].reshape(2, 6, 1, 1) * np.full((1, 1, 8, 8), 10.0)
    image = viewer.add_image(data, axis_labels=('c', 'z', 'y', 'x'))
    stack = IntensityMapping('stack', low=0, high=100)
    samples = Samples()
    viewer.dims.set_current_step((0, 1), (1, 0))
    sources = []
    for step in (0, 5):
        viewer.dims.set_current_step(1, step)
        choice = PictureChoice(stack)
        sources.append(picture_source(image, viewer.dims, choice, samples=samples))
    assert sources[0].sample is sources[1].sample
    assert sources[0].resolved_mapping().limits == (0.0, 110.0)
    red = PictureChoice(stack, 'rgb', (ImageChannel(image, 0, 1), None, None))
    source = picture_source(image, viewer.dims, red, samples=samples)
    assert source.channels[0].source.resolved_mapping().limits == (60.0, 110.0)


def test_only_the_planes_needed_are_read_of_lazy_layers() -> None:
    read: list[tuple[int, ...]] = []

    def block(block_id: tuple[int, ...]) -> np.ndarray:
        read.append(block_id)
        return np.full((1, 16, 16), block_id[0], np.uint8)

    viewer = ViewerModel()
    layers = [
        viewer.add_image(
            da.map_blocks(block, chunks=((1,) * 6, (16, 16), (16, 16)), dtype=np.uint8),
            contrast_limits=(0, 6),
            blending='additive',
        )
        for _ in range(2)
    ]
    viewer.dims.set_current_step(0, 4)
    read.clear()
    source = picture_source(layers[0], viewer.dims, VISIBLE, layers)
    assert read == []
    source.framed(Frame(0, 17, 12, 10)).image()
    assert read == [(4, 0, 1), (4, 0, 1)], 'one chunk of each'


def test_a_multiscale_image_gives_all_of_its_levels() -> None:
    viewer = ViewerModel()
    fine = noise(3, 2100, 2300)
    image = viewer.add_image([fine, fine[:, ::2, ::2], fine[:, ::4, ::4]])
    viewer.dims.set_current_step(0, 2)
    source = picture_source(image, viewer.dims, PictureChoice(FULL))
    assert source.shape == (2100, 2300)
    np.testing.assert_array_equal(source.read(), fine[2, ::2, ::2])
    np.testing.assert_array_equal(
        source.framed(Frame(7, 9, 800, 900)).read(), fine[2, 7:807, 9:909]
    )


@pytest.mark.parametrize('scale', [(1, 1), (0.2, 0.5)])
def test_what_the_canvas_shows_is_the_frame(scale: tuple[float, float]) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(noise(400, 600), scale=scale, translate=(3, 4))
    key = picture_source(image, viewer.dims, PictureChoice()).key
    viewer.canvas.size = (100, 200)
    viewer.scene.camera.zoom = 2
    centre = image.data_to_world((150, 300))
    viewer.scene.camera.center = (0, *centre)
    frame = visible_frame(viewer, image, key)
    half = 25 / scale[0], 50 / scale[1]
    assert frame.row == max(0, round(150 - half[0]))
    assert frame.rows.stop == min(400, round(150 + half[0]) + 1)
    assert frame.column == max(0, round(300 - half[1]))
    viewer.scene.camera.center = (0, 5000, 5000)
    with pytest.raises(NotAnnotatable, match='shows nothing'):
        visible_frame(viewer, image, key)

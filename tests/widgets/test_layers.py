"""From napari's layers and dims to engine values and back, without Qt."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from napari_mobilesam.engine import Frame
from napari_mobilesam.layers import (
    NEGATIVE,
    POLARITY,
    POSITIVE,
    NotAnnotatable,
    PictureChoice,
    area_text,
    copy_transform,
    draw_overlay,
    image_coordinates,
    image_shape,
    labels_plane,
    largest_label,
    mapping_as_displayed,
    new_labels_array,
    overlay_geometry,
    picture_source,
    plane_key,
    plane_position,
    prompts_on_plane,
    spatial_keywords,
    unwrap,
)

# Everything that can come between a pixel and the world, in 3D.
TRANSFORMS = {
    'none': {},
    'anisotropic': {'scale': (5, 0.2, 0.2)},
    'moved': {'scale': (5, 0.2, 0.2), 'translate': (100, -7, 3.3)},
    'rotated': {'scale': (5, 0.2, 0.2), 'rotate': [[1, 0, 0], [0, 0, -1], [0, 1, 0]]},
    'sheared': {'scale': (1, 2, 2), 'shear': [0, 0, 0.3]},
    'affine': {
        'scale': (2, 1, 1),
        'affine': [[1, 0, 0, 10], [0, 0.9, -0.1, 2], [0, 0.1, 1.1, -3], [0, 0, 0, 1]],
    },
}


def viewer_with(shape: tuple[int, ...], **keywords: object) -> tuple[ViewerModel, Image]:
    viewer = ViewerModel()
    image = viewer.add_image(np.arange(np.prod(shape)).reshape(shape).astype(float), **keywords)
    return viewer, image


def points_like(image: Image, coordinates: object, polarity: list[str] | None = None) -> Points:
    coordinates = np.asarray(coordinates, float).reshape(-1, image.ndim)
    values = polarity or [POSITIVE] * len(coordinates)
    features = {POLARITY: pd.Categorical(values, categories=[POSITIVE, NEGATIVE])}
    return Points(coordinates, features=pd.DataFrame(features), **spatial_keywords(image))


@pytest.mark.parametrize('name', TRANSFORMS)
def test_t1_a_click_lands_on_the_pixel_under_it(name: str) -> None:
    """T1: whatever the transform, prompt data, world and image pixel agree."""
    viewer, image = viewer_with((4, 20, 30), **TRANSFORMS[name])
    points = points_like(image, [])
    viewer.add_layer(points)
    pixel = (2, 7.25, 12.5)
    # As napari's own click does it: the event has the world position, the layer its data.
    points.add(points.world_to_data(image.data_to_world(pixel)))
    found = image_coordinates(points, image, points.data)
    np.testing.assert_allclose(found, [pixel], atol=1e-9)


@pytest.mark.parametrize('place', [0.5, 1.5, 2.5])
def test_t4_between_two_slices_the_one_that_napari_shows(place: float) -> None:
    """T4: exactly between two slices, napari's slice, ours and that of a click are the same one."""
    viewer, image = viewer_with((5, 6, 7))
    # Another layer with finer steps makes such positions possible.
    viewer.add_image(np.zeros((10, 6, 7)), scale=(0.5, 1, 1))
    viewer.dims.set_point(0, place)
    assert viewer.dims.point[0] == place
    key = plane_key(image, viewer.dims)
    shown = image.get_value((place, 0, 0), world=True)
    assert image.data[(*key.index, 0, 0)] == shown
    click = points_like(image, [image.world_to_data((place, 2, 3))])
    assert prompts_on_plane(click, None, image, key).points == ((2, 3),)


def test_t1_layers_of_another_scale_still_meet_in_the_world() -> None:
    """T1: a prompt layer that the user scaled otherwise points at the same place of the world."""
    _, image = viewer_with((4, 20, 30), scale=(5, 0.2, 0.2), translate=(1, 2, 3))
    points = Points([[11, 2.4, 5.0]], ndim=3)
    np.testing.assert_allclose(image_coordinates(points, image, points.data), [[2, 2, 10]])


@pytest.mark.parametrize('order', list(permutations(range(3))))
@pytest.mark.parametrize('scale', [(1, 1, 1), (5, 0.2, 0.3)])
def test_t3_every_order_of_axes(order: tuple[int, ...], scale: tuple[float, ...]) -> None:
    """T3: the plane is what the viewer draws, transposed planes included."""
    viewer, image = viewer_with((4, 20, 30), scale=scale)
    viewer.dims.order = order
    viewer.dims.set_current_step((0, 1, 2), (3, 11, 17))
    source = picture_source(image, viewer.dims, PictureChoice())
    expected = image.data.transpose(order)[(3, 11, 17)[order[0]]]
    np.testing.assert_array_equal(source.read(), expected)


@pytest.mark.parametrize(
    ('shape', 'steps', 'index'),
    [((3, 4, 20, 30), (2, 1), (2, 1)), ((2, 3, 4, 20, 30), (1, 2, 3), (1, 2, 3))],
)
def test_t3_time_channel_and_depth(
    shape: tuple[int, ...], steps: tuple[int, ...], index: tuple[int, ...]
) -> None:
    """T3: TZYX and TCZYX, no axis is special."""
    scale = (1, 2.5, 5, 0.2, 0.2)[-len(shape) :]
    viewer, image = viewer_with(shape, scale=scale)
    viewer.dims.set_current_step(tuple(range(len(steps))), steps)
    key = plane_key(image, viewer.dims)
    assert key.index == index
    assert key.displayed == (len(shape) - 2, len(shape) - 1)
    source = picture_source(image, viewer.dims, PictureChoice())
    np.testing.assert_array_equal(source.read(), image.data[index])


def test_t3_fewer_axes_than_the_viewer() -> None:
    """T3: a 2D and a 3D image in a 4D viewer are aligned to the right."""
    viewer, _ = viewer_with((3, 4, 20, 30))
    flat = viewer.add_image(np.zeros((20, 30)))
    volume = viewer.add_image(np.zeros((4, 20, 30)))
    viewer.dims.set_current_step((0, 1), (2, 3))
    assert plane_key(flat, viewer.dims).index == ()
    assert plane_key(volume, viewer.dims).index == (3,)


def test_a_displayed_axis_that_the_image_lacks_is_told() -> None:
    viewer, _ = viewer_with((4, 20, 30))
    flat = viewer.add_image(np.zeros((20, 30)), name='flat')
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(NotAnnotatable, match='"flat" has no extent'):
        plane_key(flat, viewer.dims)


def test_beside_the_image_is_told() -> None:
    viewer, _ = viewer_with((9, 20, 30))
    short = viewer.add_image(np.zeros((2, 20, 30)), name='short')
    viewer.dims.set_current_step(0, 8)
    with pytest.raises(NotAnnotatable, match='no plane here'):
        plane_key(short, viewer.dims)


def test_3d_is_told() -> None:
    viewer, image = viewer_with((4, 20, 30))
    viewer.dims.ndisplay = 3
    with pytest.raises(NotAnnotatable, match='3D view'):
        plane_key(image, viewer.dims)


def test_t4_prompts_of_other_planes_stay_there() -> None:
    """T4: points and boxes on planes 3 and 7: at 3, only those of 3."""
    viewer, image = viewer_with((9, 20, 30), scale=(5, 0.2, 0.2))
    points = points_like(image, [(3, 1, 2), (7, 5, 6), (3, 8, 9)], [POSITIVE, POSITIVE, NEGATIVE])
    boxes = Shapes(ndim=3, **spatial_keywords(image))
    boxes.add_rectangles([[(7, 1, 1), (7, 1, 9), (7, 9, 9), (7, 9, 1)]])
    viewer.dims.set_current_step(0, 3)
    prompts = prompts_on_plane(points, boxes, image, plane_key(image, viewer.dims))
    np.testing.assert_allclose(prompts.points, [(1, 2), (8, 9)])
    assert prompts.positive == (True, False)
    assert prompts.box is None
    viewer.dims.set_current_step(0, 7)
    prompts = prompts_on_plane(points, boxes, image, plane_key(image, viewer.dims))
    np.testing.assert_allclose(prompts.points, [(5, 6)])
    np.testing.assert_allclose(prompts.box, (1, 1, 9, 9))


def test_t4_on_a_transposed_plane() -> None:
    """T4: rows and columns of a prompt follow `dims.order`."""
    viewer, image = viewer_with((9, 20, 30))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_current_step(1, 4)
    points = points_like(image, [(3, 4, 6), (3, 5, 6)])
    prompts = prompts_on_plane(points, None, image, plane_key(image, viewer.dims))
    assert prompts.points == ((6.0, 3.0),)


@pytest.mark.parametrize(
    ('shape', 'rgb'), [((4, 256, 256), False), ((256, 256, 4), True), ((5, 64, 48, 3), True)]
)
def test_t24_colour_is_told_never_guessed(shape: tuple[int, ...], rgb: bool) -> None:
    """T24: four slices are no RGBA picture, and RGBA is no stack."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(shape, np.uint8), rgb=rgb)
    source = picture_source(image, viewer.dims, PictureChoice())
    assert source.rgb is rgb
    assert source.read().shape == (shape[-3:] if rgb else shape[1:])
    assert len(source.key.index) == image.ndim - 2
    assert image_shape(image) == (shape[:-1] if rgb else shape)


def test_multiscale_is_read_at_full_resolution() -> None:
    viewer = ViewerModel()
    full = np.random.default_rng(0).random((3, 64, 48))
    image = viewer.add_image([full, full[:, ::2, ::2]], multiscale=True)
    viewer.dims.set_current_step(0, 2)
    source = picture_source(image, viewer.dims, PictureChoice())
    np.testing.assert_array_equal(source.read(), full[2])


def test_only_the_plane_is_read_from_a_lazy_image() -> None:
    da = pytest.importorskip('dask.array')
    read: list[int] = []

    def block(block_id: tuple[int, ...]) -> np.ndarray:
        read.append(block_id[0])
        return np.full((1, 8, 8), block_id[0], float)

    lazy = da.map_blocks(block, chunks=((1,) * 6, (8,), (8,)), dtype=float)
    viewer = ViewerModel()
    image = viewer.add_image(lazy, contrast_limits=(0, 6))
    viewer.dims.set_current_step(0, 4)
    read.clear()
    source = picture_source(image, viewer.dims, PictureChoice())
    assert read == []
    assert source.read()[0, 0] == 4
    assert read == [4]


def test_mapping_follows_the_display() -> None:
    _, image = viewer_with((20, 30))
    image.contrast_limits = (12, 34)
    image.gamma = 0.5
    mapping = mapping_as_displayed(image)
    assert (mapping.mode, mapping.limits, mapping.gamma) == ('displayed', (12.0, 34.0), 0.5)


@pytest.mark.filterwarnings('ignore:Non-orthogonal slicing')
@pytest.mark.parametrize('order', list(permutations(range(3))))
@pytest.mark.parametrize('name', ['none', 'moved', 'affine'])
def test_an_overlay_covers_its_frame_and_no_more(order: tuple[int, ...], name: str) -> None:
    """It takes one plane of memory at most, and its pixels lie where the image's do."""
    viewer, image = viewer_with((4, 20, 30), **TRANSFORMS[name])
    viewer.dims.order = order
    viewer.dims.set_current_step((0, 1, 2), (3, 11, 17))
    key = plane_key(image, viewer.dims)
    sides = [image.data.shape[axis] for axis in key.displayed]
    frames = [
        (Frame(0, 0, sides[0], sides[1]), (sides[0], sides[1])),
        (Frame(1, 0, sides[0] - 2, sides[1]), (sides[0] - 2, sides[1])),
        (Frame(0, 0, sides[0], sides[1]), (2, 5)),
    ]
    for frame, grid in frames:
        shape, scale, translate = overlay_geometry(image, key, frame, grid)
        assert np.prod(shape) == np.prod(grid)
        overlay = Labels(
            np.zeros(shape, np.uint8),
            **{**spatial_keywords(image), 'scale': scale, 'translate': translate},
        )
        draw_overlay(overlay, key, (1, 3), np.ones((1, 1), np.uint8))
        (pixel,) = np.argwhere(overlay.data)
        world = overlay.data_to_world(pixel)
        expected = (np.array((1, 3)) + 0.5) * np.divide(frame.shape, grid) - 0.5
        expected += (frame.row, frame.column)
        np.testing.assert_allclose(plane_position(image, key, world), expected)
        found = np.asarray(image.world_to_data(world))
        np.testing.assert_allclose(found[list(key.indexed)], key.index)


@pytest.mark.parametrize('grid', [(20, 30), (6, 9)])
def test_an_overlay_does_not_widen_the_sliders(grid: tuple[int, int]) -> None:
    viewer, image = viewer_with((4, 20, 30), scale=(5, 0.2, 0.2), translate=(3, 4, 5))
    before = viewer.dims.range
    key = plane_key(image, viewer.dims)
    shape, scale, translate = overlay_geometry(image, key, Frame(0, 0, 20, 30), grid)
    keywords = {**spatial_keywords(image), 'scale': scale, 'translate': translate}
    viewer.add_labels(np.zeros(shape, np.uint8), **keywords)
    np.testing.assert_allclose(viewer.dims.range, before, rtol=1e-6)


class TestLabelsPlane:
    def find(self, labels: Labels, image: Image, viewer: ViewerModel) -> object:
        return labels_plane(labels, image, plane_key(image, viewer.dims), viewer.dims)

    @pytest.mark.filterwarnings('ignore:Non-orthogonal slicing')
    @pytest.mark.parametrize('order', list(permutations(range(3))))
    @pytest.mark.parametrize('name', TRANSFORMS)
    def test_same_grid(self, order: tuple[int, ...], name: str) -> None:
        viewer, image = viewer_with((4, 20, 30), **TRANSFORMS[name])
        labels = viewer.add_labels(np.zeros((4, 20, 30), int), **spatial_keywords(image))
        labels.data[...] = np.arange(labels.data.size).reshape(labels.data.shape)
        viewer.dims.order = order
        viewer.dims.set_current_step((0, 1, 2), (3, 11, 17))
        place = self.find(labels, image, viewer)
        assert place.offset == (0, 0)
        (index,) = plane_key(image, viewer.dims).index
        expected = labels.data.transpose(order)[index]
        plane = labels.data[tuple(slice(*axis) for axis in place.region)]
        np.testing.assert_array_equal(np.sort(plane, axis=None), np.sort(expected, axis=None))
        patch = np.zeros((2, 3), bool)
        patch[0, 2] = patch[1, 0] = True
        start, mask = place.placed(slice(1, 3), slice(1, 4), patch)
        found = np.argwhere(mask) + start
        assert set(labels.data[tuple(found.T)]) == {expected[1, 3], expected[2, 1]}
        assert labels.data[place.pixel(2.4, 2.6)] == expected[2, 3]
        assert place.pixel(-0.6, 0) is None

    def test_a_cropped_grid_is_met_where_it_lies(self) -> None:
        viewer, image = viewer_with((4, 20, 30), scale=(5, 0.5, 0.5))
        labels = viewer.add_labels(
            np.zeros((4, 10, 40), int), scale=(5, 0.5, 0.5), translate=(0, 2, -1)
        )
        place = self.find(labels, image, viewer)
        assert place.offset == (-4, 2)
        mask = np.zeros((20, 30), bool)
        mask[5, 6] = mask[0, 0] = True
        start, placed = place.placed(slice(0, 20), slice(0, 30), mask)
        assert (np.argwhere(placed) + start).tolist() == [
            [plane_key(image, viewer.dims).index[0], 1, 8]
        ]
        _, beside = place.placed(slice(0, 2), slice(0, 3), np.ones((2, 3), bool))
        assert not beside.any()

    def test_one_row_high(self) -> None:
        viewer, image = viewer_with((4, 1, 30))
        labels = viewer.add_labels(np.zeros((4, 1, 30), int))
        assert self.find(labels, image, viewer).axes == (1, 2)

    @pytest.mark.parametrize(
        'keywords', [{'scale': (5, 0.3, 0.2)}, {'scale': (5, 0.2, 0.2), 'rotate': 20}]
    )
    def test_another_grid_is_refused(self, keywords: dict[str, object]) -> None:
        viewer, image = viewer_with((4, 20, 30), scale=(5, 0.2, 0.2))
        if 'rotate' in keywords:
            c, s = np.cos(0.2), np.sin(0.2)
            keywords['rotate'] = [[1, 0, 0], [0, c, -s], [0, s, c]]
        labels = viewer.add_labels(np.zeros((4, 20, 30), int), name='odd', **keywords)
        with pytest.raises(NotAnnotatable, match='pixels of "odd" are not those of'):
            self.find(labels, image, viewer)

    def test_a_flat_layer_under_a_stack_is_refused(self) -> None:
        viewer, image = viewer_with((4, 20, 30))
        labels = viewer.add_labels(np.zeros((20, 30), int))
        with pytest.raises(NotAnnotatable, match='write over each other'):
            self.find(labels, image, viewer)

    def test_multiscale_is_refused(self) -> None:
        viewer, image = viewer_with((20, 30))
        labels = viewer.add_labels([np.zeros((20, 30), int), np.zeros((10, 15), int)])
        with pytest.raises(NotAnnotatable, match='multiscale'):
            self.find(labels, image, viewer)

    def test_dask_is_refused(self) -> None:
        da = pytest.importorskip('dask.array')
        viewer, image = viewer_with((20, 30))
        labels = viewer.add_labels(da.zeros((20, 30), dtype=int))
        with pytest.raises(NotAnnotatable, match='cannot be written'):
            self.find(labels, image, viewer)

    def test_a_missing_plane_is_told(self) -> None:
        viewer, image = viewer_with((4, 20, 30))
        labels = viewer.add_labels(np.zeros((2, 20, 30), int))
        viewer.dims.set_current_step(0, 3)
        with pytest.raises(NotAnnotatable, match='no plane here'):
            self.find(labels, image, viewer)

    def test_read_only_labels_are_refused(self) -> None:
        viewer, image = viewer_with((20, 30))
        data = np.zeros((20, 30), int)
        data.flags.writeable = False
        labels = viewer.add_labels(data)
        with pytest.raises(NotAnnotatable, match='cannot be written'):
            self.find(labels, image, viewer)


def test_new_labels_are_lazy_zeros() -> None:
    labels = new_labels_array((3, 20, 30))
    assert labels.dtype == np.int32
    assert not labels.any()


def test_new_labels_too_large_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    zarr = pytest.importorskip('zarr')

    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, 'zeros', refuse)
    labels = new_labels_array((10, 3000, 3000))
    assert isinstance(labels, zarr.Array)
    assert labels.chunks == (1, 1024, 1024)


def test_the_largest_label_is_read_slab_by_slab() -> None:
    from napari_mobilesam.engine import Cancelled, CancelToken

    data = np.zeros((4, 5, 6), np.uint16)
    data[2, 1, 1] = 99
    assert largest_label(data, CancelToken()) == 99
    assert largest_label(data[2], CancelToken()) == 99
    assert largest_label(np.zeros((0, 3, 3), int), CancelToken()) == 0
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        largest_label(data, token)


def test_areas_in_the_units_of_the_image() -> None:
    viewer, plain = viewer_with((20, 30))
    assert area_text(plain, plane_key(plain, viewer.dims), 1234) == '1,234 px'
    viewer, image = viewer_with((20, 30), scale=(0.5, 0.5), units=('um', 'um'))
    assert area_text(image, plane_key(image, viewer.dims), 10) == '10 px · 2.5 µm²'
    assert area_text(image, plane_key(image, viewer.dims), 8000) == '8,000 px · 2,000 µm²'


def test_layers_follow_a_moved_image() -> None:
    _, image = viewer_with((4, 20, 30), scale=(1, 2, 2))
    points = points_like(image, [(1, 2, 3)])
    image.scale = (5, 0.2, 0.2)
    image.translate = (1, 2, 3)
    copy_transform(image, points)
    np.testing.assert_allclose(image_coordinates(points, image, points.data), [(1, 2, 3)])


def test_unwrap_takes_the_proxy_off() -> None:
    from napari.utils._proxies import PublicOnlyProxy

    viewer, image = viewer_with((4, 5))
    proxy = PublicOnlyProxy(viewer)
    assert proxy.layers[0] is not proxy.layers[0]
    assert unwrap(proxy) is viewer
    assert unwrap(proxy.layers[0]) is image
    assert unwrap(image) is image

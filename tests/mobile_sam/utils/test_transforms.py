"""Resizing of images and prompts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobile_sam.utils.transforms import ResizeLongestSide, frame_coords

RESIZE = ResizeLongestSide(1024)
SIDES = st.integers(1, 5000)


@pytest.mark.parametrize(
    ('size', 'expected'),
    [((303, 384), (808, 1024)), ((512, 512), (1024, 1024)), ((2001, 1000), (1024, 512))],
)
def test_size_after_resizing(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert ResizeLongestSide.get_preprocess_shape(*size, 1024) == expected


def test_half_a_pixel_is_rounded_up() -> None:
    assert ResizeLongestSide.get_preprocess_shape(5, 20, 10) == (3, 10)


@given(SIDES, SIDES, st.integers(16, 2048))
def test_longest_side_is_the_target(height: int, width: int, target: int) -> None:
    size = ResizeLongestSide.get_preprocess_shape(height, width, target)
    assert max(size) == target
    assert abs(min(size) - min(height, width) * target / max(height, width)) <= 0.5 + 1e-9


@pytest.mark.parametrize('channels', [(), (3,), (4,)])
def test_image_keeps_layout_and_type(channels: tuple[int, ...]) -> None:
    image = np.full((50, 30, *channels), 77, dtype=np.uint8)
    if channels == (4,):
        image[..., 3] = 255  # Pillow weighs colours by their opacity, if there is one
    resized = ResizeLongestSide(64).apply_image(image)
    assert resized.shape == (64, 38, *channels)
    assert resized.dtype == np.uint8
    assert (resized == image[0, 0]).all()
    assert resized.flags.writeable


def test_shrinking_averages() -> None:
    """Without antialiasing a checkerboard would come out black, white or striped."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    inner = ResizeLongestSide(64).apply_image(board)[2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 127).max() <= 2


def test_image_may_be_a_view_with_negative_strides() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    flipped = ResizeLongestSide(60).apply_image(image[..., ::-1])
    np.testing.assert_array_equal(flipped[..., ::-1], ResizeLongestSide(60).apply_image(image))


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4, 2), dtype=np.uint8),
        np.zeros((2, 4, 4, 3), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r'Expected .* found .*Map the intensities'):
        RESIZE.apply_image(image)


def test_vanishing_side_is_refused() -> None:
    with pytest.raises(ValueError, match='short side vanishes'):
        ResizeLongestSide(16).apply_image(np.zeros((1, 100), dtype=np.uint8))


def test_torch_and_numpy_images_agree_to_rounding() -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    with_pillow = ResizeLongestSide(48).apply_image(image)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    with_torch = ResizeLongestSide(48).apply_image_torch(tensor)
    assert with_torch.dtype == torch.float32
    difference = with_torch[0].permute(1, 2, 0).numpy() - with_pillow
    assert np.abs(difference).max() < 1.1


def test_torch_image_needs_a_batch_axis() -> None:
    with pytest.raises(ValueError, match=r'\(B, C, H, W\), found \(3, 4, 4\)'):
        RESIZE.apply_image_torch(torch.zeros(3, 4, 4))


def test_coordinates_are_scaled_each_axis_by_itself() -> None:
    # 303 × 384 becomes 808 × 1024, and 808 / 303 is a little less than 1024 / 384 is.
    corners = np.array([[0, 0], [384, 303], [192, 151.5]])
    moved = RESIZE.apply_coords(corners, (303, 384))
    assert moved.dtype == np.float64
    np.testing.assert_allclose(moved, [[0, 0], [1024, 808], [512, 404]])
    np.testing.assert_array_equal(corners[1], [384, 303])


def test_integer_coordinates_are_not_truncated() -> None:
    np.testing.assert_allclose(RESIZE.apply_coords([[1, 1]], (3000, 1500)), [[512 / 1500] * 2])


def test_boxes_keep_their_corners_together() -> None:
    boxes = np.array([[0, 10, 20, 30], [1, 2, 3, 4]])
    moved = RESIZE.apply_boxes(boxes, (512, 512))
    np.testing.assert_allclose(moved, boxes * 2.0)
    np.testing.assert_allclose(RESIZE.apply_boxes(boxes[0], (512, 512)), boxes[:1] * 2.0)


@given(SIDES.filter(lambda n: n > 5), SIDES.filter(lambda n: n > 5))
def test_torch_coordinates_are_float32_and_agree(height: int, width: int) -> None:
    points = np.array([[[0.0, 0.0], [width, height]], [[width / 3, height / 7], [0.5, 0.25]]])
    moved = RESIZE.apply_coords_torch(torch.from_numpy(points), (height, width))
    assert moved.dtype == torch.float32
    np.testing.assert_allclose(
        moved.numpy(), RESIZE.apply_coords(points, (height, width)), rtol=1e-5
    )


def test_torch_boxes_are_float32_whatever_comes() -> None:
    for dtype in (torch.int64, torch.float64, torch.float32):
        boxes = torch.tensor([[0, 10, 20, 30]], dtype=dtype)
        moved = RESIZE.apply_boxes_torch(boxes, (512, 512))
        assert moved.dtype == torch.float32
        assert moved.tolist() == [[0.0, 20.0, 40.0, 60.0]]


@pytest.mark.parametrize('wrong', [np.zeros((2, 3)), np.zeros(()), np.zeros((0,))])
def test_prompts_of_wrong_length_are_refused(wrong: np.ndarray) -> None:
    for scale in (RESIZE.apply_coords, RESIZE.apply_boxes):
        with pytest.raises(ValueError, match='last axis'):
            scale(wrong, (4, 4))
    with pytest.raises(ValueError, match='last axis'):
        RESIZE.apply_boxes_torch(torch.from_numpy(wrong), (4, 4))


def test_target_must_be_positive() -> None:
    with pytest.raises(ValueError, match='positive target length'):
        ResizeLongestSide(0)


@pytest.mark.parametrize('shape', [(64, 80), (300, 200), (2048, 1024)])
def test_frame_coords_are_where_resampling_puts_a_pixel(shape: tuple[int, int]):
    """The centre of mass of one bright pixel, resized, is where its coordinates go."""
    row, column = shape[0] // 3, shape[1] // 2
    picture = np.zeros((*shape, 3), np.uint8)
    size = max(1, max(shape) // 256)  # large pictures shrink: a square of pixels
    picture[row : row + size, column : column + size] = 255
    centre = np.array([column, row]) + (size - 1) / 2
    resized = ResizeLongestSide(1024).apply_image(picture)[..., 0].astype(float)
    rows, columns = np.indices(resized.shape)
    mass = np.array([(columns * resized).sum(), (rows * resized).sum()]) / resized.sum()
    placed = frame_coords(centre, shape, resized.shape)
    np.testing.assert_allclose(placed, mass, atol=0.1)
    if max(shape) == 80:
        multiplied = ResizeLongestSide(1024).apply_coords(centre, shape)
        assert np.abs(multiplied - mass).min() > 5

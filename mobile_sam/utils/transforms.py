"""Resizing of images, and of the prompts on them, to the side that the encoder expects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Size = tuple[int, int]


class ResizeLongestSide:
    """Map images and coordinates to the frame in which the longest side is ``target_length``.

    The aspect ratio is kept; the shorter side is rounded half up. Sizes are ``(height, width)``,
    coordinates are ``(x, y)`` and boxes ``(x0, y0, x1, y1)``, all in pixels of the image.

    Parameters
    ----------
    target_length : int
        Length of the longest side after resizing: 1024 for every published SAM.
    """

    def __init__(self, target_length: int) -> None:
        if target_length < 1:
            raise ValueError(
                f'Expected a positive target length, found {target_length}. '
                'Pass the image encoder\'s "img_size".'
            )
        self.target_length = target_length

    def apply_image(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Resize an image with Pillow's bilinear filter, which averages when it shrinks.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W), (H, W, 3) or (H, W, 4)
            The picture.

        Returns
        -------
        ndarray of uint8, shape (h, w) or (h, w, channels)
            A new array whose longest side is ``target_length``.

        Raises
        ------
        ValueError
            If the array is no 8-bit picture.
        """
        picture = np.asarray(image)
        channels_ok = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))
        if picture.dtype != np.uint8 or not channels_ok or 0 in picture.shape:
            raise ValueError(
                'Expected a non-empty uint8 image of shape (H, W), (H, W, 3) or (H, W, 4), found '
                f'{picture.dtype} of shape {picture.shape}. Map the intensities to 0…255 first.'
            )
        height, width = self._target(picture.shape[:2])
        # Pillow weighs in fixed point on 8-bit data: torch's own antialiased filter differs in the
        # last bit, so the exact picture of the published models only comes out of Pillow.
        resized = Image.fromarray(np.ascontiguousarray(picture)).resize(
            (width, height), resample=Image.Resampling.BILINEAR
        )
        return np.array(resized, dtype=np.uint8)

    def apply_coords(
        self, coords: npt.ArrayLike, original_size: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Scale points from the original image to the resized one.

        Parameters
        ----------
        coords : array_like, shape (..., 2)
            Points as (x, y).
        original_size : tuple of int
            Size (H, W) of the image that the points belong to.

        Returns
        -------
        ndarray of float64, shape (..., 2)
            A new array. It is float64 as in the reference; whoever hands it to a model casts it
            to float32, as `SamPredictor` does.
        """
        points = np.array(coords, dtype=np.float64)
        _require_last(points.shape, 2, 'points (x, y)')
        points *= np.array(self._factors(original_size))
        return points

    def apply_boxes(
        self, boxes: npt.ArrayLike, original_size: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Scale boxes from the original image to the resized one.

        Parameters
        ----------
        boxes : array_like, shape (B, 4) or (4,)
            Boxes as (x0, y0, x1, y1).
        original_size : tuple of int
            Size (H, W) of the image that the boxes belong to.

        Returns
        -------
        ndarray of float64, shape (B, 4)
            A new array.
        """
        corners = np.asarray(boxes, dtype=np.float64)
        _require_last(corners.shape, 4, 'boxes (x0, y0, x1, y1)')
        return self.apply_coords(corners.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def apply_image_torch(self, image: Tensor) -> Tensor:
        """Resize a batch of images on their device, with antialiasing.

        The result may differ from `apply_image` in the last bits, because Pillow rounds to 8 bits.

        Parameters
        ----------
        image : Tensor, shape (B, C, H, W)
            The pictures, of a floating point type or uint8.

        Returns
        -------
        Tensor, shape (B, C, h, w)
            Same dtype and device, longest side ``target_length``.
        """
        if image.ndim != 4:
            raise ValueError(
                f'Expected images of shape (B, C, H, W), found {tuple(image.shape)}. '
                'Move the channels to axis 1 and add a batch axis.'
            )
        size = self._target(tuple(image.shape[-2:]))
        return F.interpolate(image, size, mode='bilinear', align_corners=False, antialias=True)

    def apply_coords_torch(self, coords: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Scale points like `apply_coords`, on their device.

        Parameters
        ----------
        coords : Tensor, shape (..., 2)
            Points as (x, y), of any real type.
        original_size : tuple of int
            Size (H, W) of the image that the points belong to.

        Returns
        -------
        Tensor of float32, shape (..., 2)
            A new tensor.
        """
        _require_last(tuple(coords.shape), 2, 'points (x, y)')
        points = coords.to(torch.float32)
        return points * points.new_tensor(self._factors(original_size))

    def apply_boxes_torch(self, boxes: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Scale boxes like `apply_boxes`, on their device.

        Parameters
        ----------
        boxes : Tensor, shape (B, 4) or (4,)
            Boxes as (x0, y0, x1, y1), of any real type.
        original_size : tuple of int
            Size (H, W) of the image that the boxes belong to.

        Returns
        -------
        Tensor of float32, shape (B, 4)
            A new tensor.
        """
        _require_last(tuple(boxes.shape), 4, 'boxes (x0, y0, x1, y1)')
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> Size:
        """Size of an image after its longest side was brought to a given length.

        Parameters
        ----------
        oldh, oldw : int
            Height and width before.
        long_side_length : int
            Longest side after.

        Returns
        -------
        tuple of int
            Height and width after; halves are rounded up.
        """
        scale = long_side_length * 1.0 / max(oldh, oldw)
        return int(oldh * scale + 0.5), int(oldw * scale + 0.5)

    def _target(self, size: tuple[int, ...]) -> Size:
        height, width = self.get_preprocess_shape(size[0], size[1], self.target_length)
        if min(height, width) < 1:
            raise ValueError(
                f'Expected an image that keeps at least one pixel per side, found {size[0]} × '
                f'{size[1]}, whose short side vanishes at length {self.target_length}. '
                'Crop the image to a less extreme aspect ratio.'
            )
        return height, width

    def _factors(self, original_size: tuple[int, ...]) -> tuple[float, float]:
        """Scale along x and y: not quite equal, because the short side is rounded."""
        height, width = int(original_size[0]), int(original_size[1])
        new_height, new_width = self._target((height, width))
        return new_width / width, new_height / height


def frame_coords(
    coords: npt.NDArray[Any], original_size: tuple[int, int], input_size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Bring pixel positions of a picture to where its resampling puts them in the frame.

    `ResizeLongestSide.apply_coords` multiplies, as published. Resampling keeps edges in place, not
    centres: that is (scale - 1) / 2 model pixels apart, 1.5 for a picture of 256 pixels. Whoever
    knows that positions are those of pixel centres does better with this.

    Parameters
    ----------
    coords : ndarray, (..., 2)
        (x, y), pixel centres at integers.
    original_size, input_size : tuple of (int, int)
        (H, W) of the picture, and of the resized one.

    Returns
    -------
    ndarray, float64, (..., 2)
        (x, y) in the frame, pixel centres at integers, as the prompt encoder takes them.
    """
    scale = np.array([input_size[1] / original_size[1], input_size[0] / original_size[0]])
    placed: npt.NDArray[np.float64] = (np.asarray(coords, np.float64) + 0.5) * scale - 0.5
    return placed


def _require_last(shape: tuple[Any, ...], length: int, what: str) -> None:
    if not shape or shape[-1] != length:
        raise ValueError(
            f'Expected {what} along a last axis of length {length}, found shape {tuple(shape)}. '
            'Pass one row per prompt, x before y.'
        )

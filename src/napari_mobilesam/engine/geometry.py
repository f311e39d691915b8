"""Coordinates: from positions in an nD image to a plane, and from a plane's pixels back.

Everything here is in data coordinates of the image (one number per axis, a channel axis of RGB not
counted, pixel centres at integers); scale, rotation and other transforms are dealt with before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .plane import PlaneIndexError, PlaneKey
from .prompts import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def round_index(coordinates: ArrayLike) -> NDArray[np.int64]:
    """Round finite coordinates to the pixel that they lie in; halves go to even numbers.

    napari rounds so when it picks the slice to show: at 2.5 it shows slice 2, at 3.5 slice 4.
    Any other rule would, exactly between two slices, look at another one than the user.
    """
    return np.rint(np.asarray(coordinates, np.float64)).astype(np.int64)


def plane_index(
    position: Sequence[float], shape: Sequence[int], displayed: tuple[int, int]
) -> tuple[int, ...]:
    """Return the indices of the plane that runs through a position.

    Parameters
    ----------
    position : sequence of float, one per axis
        For example the viewer's point in data coordinates; displayed axes are not looked at.
    shape : sequence of int, one per axis
        Shape of the image.
    displayed : tuple of (int, int)
        The displayed axes.

    Returns
    -------
    tuple of int
        For `PlaneKey.index`.

    Raises
    ------
    PlaneIndexError
        If the position lies beside the image on an axis that is not displayed.
    """
    if len(position) != len(shape):
        raise ValueError(f'expected one coordinate per axis of {tuple(shape)}; got {position}')
    index = []
    for axis, size in enumerate(shape):
        if axis in displayed:
            continue
        if not math.isfinite(position[axis]):
            raise PlaneIndexError(f'the position on axis {axis} is {position[axis]}, not a number')
        rounded = round(float(position[axis]))  # halves as in `round_index`, and of any size
        if not 0 <= rounded < size:
            raise PlaneIndexError(
                f'the position {position[axis]:g} on axis {axis} is beside the image, which has '
                f'{size} positions there'
            )
        index.append(rounded)
    return tuple(index)


def points_on_plane(
    coordinates: ArrayLike, key: PlaneKey
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Pick the points that belong to a plane.

    Parameters
    ----------
    coordinates : array-like of shape (N, D)
        Points of the image. With fewer axes than the image they are aligned to its last axes, and
        belong to all planes along those that are missing.
    key : PlaneKey
        The plane.

    Returns
    -------
    belongs : ndarray of bool, shape (N,)
        Which points, rounded on all axes that are not displayed, are on the plane.
    points : ndarray of float64, shape (M, 2)
        (row, column) of these, in their order.

    Raises
    ------
    ValueError
        If the points have more axes than the image, or lack a displayed one.
    """
    coordinates = np.asarray(coordinates, np.float64)
    if coordinates.size == 0:
        return np.zeros(len(coordinates), bool), np.zeros((0, 2))
    missing = _missing_axes(coordinates, key, ndim=2)
    belongs = _on_plane(coordinates, key, missing)
    columns = [axis - missing for axis in key.displayed]
    return belongs, coordinates[belongs][:, columns]


def boxes_on_plane(
    rectangles: Sequence[ArrayLike], key: PlaneKey
) -> tuple[NDArray[np.bool_], list[Box]]:
    """Pick the rectangles that belong to a plane, as boxes.

    Parameters
    ----------
    rectangles : sequence of array-like, each of shape (V, D)
        Corners; axes as in `points_on_plane`. A rotated or distorted one becomes the upright box
        round it.
    key : PlaneKey
        The plane.

    Returns
    -------
    belongs : ndarray of bool, shape (N,)
        Which of them have all corners on the plane.
    boxes : list of (row0, column0, row1, column1)
        These, in their order.
    """
    belongs = np.zeros(len(rectangles), bool)
    boxes = []
    for i, rectangle in enumerate(rectangles):
        corners = np.asarray(rectangle, np.float64)
        if corners.size == 0:
            continue
        missing = _missing_axes(corners, key, ndim=2)
        belongs[i] = _on_plane(corners, key, missing).all()
        if belongs[i]:
            flat = corners[:, [axis - missing for axis in key.displayed]]
            (row0, column0), (row1, column1) = flat.min(axis=0), flat.max(axis=0)
            boxes.append((float(row0), float(column0), float(row1), float(column1)))
    return belongs, boxes


def embed_points(points: ArrayLike, key: PlaneKey) -> NDArray[np.float64]:
    """Return nD coordinates, shape (N, D), of (row, column) points of a plane, shape (N, 2)."""
    flat = np.asarray(points, np.float64).reshape(-1, 2)
    coordinates = np.empty((len(flat), key.ndim))
    coordinates[:, list(key.indexed)] = key.index
    coordinates[:, list(key.displayed)] = flat
    return coordinates


def _missing_axes(coordinates: NDArray[np.float64], key: PlaneKey, ndim: int) -> int:
    """Return how many leading axes of the image the coordinates lack."""
    if coordinates.ndim != ndim:
        raise ValueError(f'expected coordinates of shape (N, D); got {coordinates.shape}')
    missing = key.ndim - int(coordinates.shape[1])
    if missing < 0 or min(key.displayed) < missing:
        raise ValueError(
            f'coordinates with {coordinates.shape[1]} axes do not fit a plane of an image with '
            f'{key.ndim} axes that displays the axes {key.displayed}'
        )
    return missing


def _on_plane(coordinates: NDArray[np.float64], key: PlaneKey, missing: int) -> NDArray[np.bool_]:
    belongs: NDArray[np.bool_] = np.asarray(np.isfinite(coordinates).all(axis=1))
    for axis, position in zip(key.indexed, key.index, strict=True):
        if axis >= missing:
            # compared as floats: a cast of NaN or huge values to integers is undefined
            belongs &= np.rint(coordinates[:, axis - missing]) == position
    return belongs

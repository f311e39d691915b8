"""Planes: one two-dimensional picture cut out of an image of any dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .intensity import IntensityMapping, to_rgb8

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PlaneIndexError(IndexError):
    """A plane was asked for that the image does not have."""


@dataclass(frozen=True, slots=True)
class PlaneKey:
    """The name of a plane: which image, which axes are drawn, and where on the other axes.

    Parameters
    ----------
    source : str
        Identifies the image; for a napari layer its unique id, never its name.
    displayed : tuple of (int, int)
        The two data axes that are drawn as rows and as columns, in this order. ``(2, 1)``
        is a transposed plane. The channel axis of an RGB image is never counted.
    index : tuple of int
        Position on each of the remaining axes, in ascending axis order. Not negative.
    level : int
        Level of a multiscale image, 0 being the finest.

    Raises
    ------
    PlaneIndexError
        If an index, an axis or the level is negative.
    ValueError
        If the two displayed axes are the same or cannot belong to such an image.
    """

    source: str
    displayed: tuple[int, int]
    index: tuple[int, ...] = ()
    level: int = 0

    def __post_init__(self) -> None:
        displayed = tuple(int(axis) for axis in self.displayed)
        index = tuple(int(position) for position in self.index)
        if len(displayed) != 2 or displayed[0] == displayed[1]:
            raise ValueError(f'a plane has two different displayed axes; got {displayed}')
        if min(displayed) < 0 or self.level < 0 or any(position < 0 for position in index):
            raise PlaneIndexError(
                'axes, indices and level of a plane count from 0 and are never negative; '
                f'got displayed={displayed}, index={index}, level={self.level}'
            )
        if max(displayed) >= len(index) + 2:
            raise ValueError(
                f'displayed axes {displayed} do not exist in an image of {len(index) + 2} axes '
                f'(2 displayed + {len(index)} indexed)'
            )
        # numpy integers would hash alike but show up differently in files and messages
        object.__setattr__(self, 'displayed', displayed)
        object.__setattr__(self, 'index', index)
        object.__setattr__(self, 'level', int(self.level))

    @property
    def ndim(self) -> int:
        """Number of axes of the image, a channel axis not counted."""
        return len(self.index) + 2

    @property
    def indexed(self) -> tuple[int, ...]:
        """The axes that are not displayed, ascending; `index` belongs to them."""
        return tuple(axis for axis in range(self.ndim) if axis not in self.displayed)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PlaneSource:
    """A plane that has not been read yet: the whole image and which part of it is meant.

    Making one costs nothing and reads nothing; `read` and `image` fetch the plane's pixels only,
    and are meant for the worker thread. A source stands for the pixels as they are at one time: an
    `Annotator` fingerprints it once, so make a new one after the image was edited.

    Parameters
    ----------
    key : PlaneKey
        Which plane.
    array : array-like
        The image (of the key's level), any number of axes: numpy, dask, zarr or whatever has
        ``shape``, ``dtype`` and basic indexing. With `rgb` its last axis holds 3 or 4 channels.
    mapping : IntensityMapping
        How pixel values become the picture that the model sees.
    rgb : bool
        Whether the last axis is colour. Always told, never guessed from sizes.

    Raises
    ------
    PlaneIndexError
        If the key's indices lie outside of the image.
    ValueError
        If the number of axes or of channels does not fit, or the plane has no pixels.
    """

    key: PlaneKey
    array: Any
    mapping: IntensityMapping = IntensityMapping()  # noqa: RUF009 - frozen, so sharing is safe
    rgb: bool = False

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.array.shape)
        axes = len(shape) - int(self.rgb)
        if axes != self.key.ndim:
            raise ValueError(
                f'the key names {self.key.ndim} axes{" and colour" if self.rgb else ""}, the image '
                f'has the shape {shape}; give one index for each axis that is not displayed'
            )
        if self.rgb and shape[-1] not in (3, 4):
            raise ValueError(f'an RGB image has 3 or 4 channels in its last axis; got {shape}')
        for axis, position in zip(self.key.indexed, self.key.index, strict=True):
            if position >= shape[axis]:
                raise PlaneIndexError(
                    f'index {position} is outside of axis {axis}, which has {shape[axis]} positions'
                )
        if 0 in self.shape:
            raise ValueError(f'the plane has no pixels: its shape is {self.shape}')

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the plane, as displayed."""
        rows, columns = self.key.displayed
        return int(self.array.shape[rows]), int(self.array.shape[columns])

    def read(self) -> NDArray[Any]:
        """Read the plane's pixels, and no others.

        Returns
        -------
        ndarray of shape (H, W) or (H, W, 3 or 4)
            In the image's own dtype, rows and columns as displayed. May be a view of the image:
            not for writing.
        """
        index: list[Any] = [slice(None)] * self.key.ndim
        for axis, position in zip(self.key.indexed, self.key.index, strict=True):
            index[axis] = position
        pixels = np.asarray(self.array[tuple(index)])
        if self.key.displayed[0] > self.key.displayed[1]:
            pixels = np.swapaxes(pixels, 0, 1)
        if pixels.shape[:2] != self.shape:
            raise ValueError(f'expected a plane of {self.shape}, the image gave {pixels.shape}')
        return pixels

    def image(self) -> NDArray[np.uint8]:
        """Read the plane and map it to what the model sees: uint8 (H, W, 3)."""
        return to_rgb8(self.read(), self.mapping)

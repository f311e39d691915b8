"""Planes: one two-dimensional picture cut out of an image of any dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor, inf
from typing import TYPE_CHECKING, Any

import numpy as np

from .frame import Frame
from .intensity import IntensityMapping, to_rgb8
from .isotropy import square_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .cancel import CancelToken
    from .composite import Channel
    from .prompts import Prompts
    from .stack_sample import StackSample

# The longest side of what SAM's encoders see. A coarser level is read as long as it has as many.
MODEL_SIDE = 1024


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
    """A plane, or a frame of it, that has not been read yet: the image and which part is meant.

    Making one costs nothing and reads nothing; `read` and `image` fetch the pixels that are meant
    only, and belong on the worker thread. A source stands for the pixels as they are at one time:
    an `Annotator` fingerprints it once, so make a new one after the image was edited.

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
    coarser : tuple of array-like
        The same image in fewer pixels, finest first. The coarsest that is still as fine as the
        model is read; coordinates remain those of `array`.
    frame : Frame, optional
        The region that is read and encoded; by default the whole plane. See `framed`.
    channels : tuple of Channel
        Where given, the picture is blended from these instead of `array`.
    sample : StackSample, optional
        Values of the whole image, for the mapping ``stack``.
    parent : PlaneSource, optional
        The source of the whole plane that `framed` was called on.
    spacing : tuple of (float, float), optional
        Physical size of a pixel along rows and columns. Where the two differ, as in XZ views, the
        picture is stretched until they do not: models know round cells.

    Raises
    ------
    PlaneIndexError
        If the key's indices lie outside of the image.
    ValueError
        If the number of axes or of channels does not fit, the plane has no pixels, or the frame
        is not within it.
    """

    key: PlaneKey
    array: Any
    mapping: IntensityMapping = IntensityMapping()  # noqa: RUF009 - frozen, so sharing is safe
    rgb: bool = False
    coarser: tuple[Any, ...] = ()
    frame: Frame | None = None
    channels: tuple[Channel, ...] = ()
    sample: StackSample | None = None
    parent: PlaneSource | None = None
    spacing: tuple[float, float] | None = None

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
        frame = self.frame
        if frame is not None and (
            frame.rows.stop > self.shape[0] or frame.columns.stop > self.shape[1]
        ):
            raise ValueError(f'expected a frame within the plane of {self.shape}; got {frame}')
        if self.spacing is not None and not all(0 < size < inf for size in self.spacing):
            raise ValueError(f'sizes of pixels are positive and finite; got {self.spacing}')

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the plane, as displayed; not those of the frame."""
        rows, columns = self.key.displayed
        return int(self.array.shape[rows]), int(self.array.shape[columns])

    @property
    def region(self) -> Frame:
        """What is read and encoded: the frame, or the whole plane."""
        return Frame.whole(self.shape) if self.frame is None else self.frame

    @property
    def model_pixel(self) -> float:
        """How many pixels of the plane one pixel of the model is long; below 1 if enlarged."""
        return max(self.region.shape) / MODEL_SIDE

    @property
    def whole(self) -> PlaneSource:
        """The source of the whole plane: the very same object for all frames made of it."""
        return self if self.parent is None else self.parent

    def framed(self, frame: Frame | None) -> PlaneSource:
        """Return a source of one region of this plane; None for the whole plane.

        Where the region is read from a coarser level, it grows to whole pixels of that level.
        """
        whole = self.whole
        if frame is None or frame == Frame.whole(self.shape):
            return whole
        array = whole._level(frame)
        (top, bottom), (left, right) = whole._extent(array, frame)
        rows, columns = whole._ratios(array)
        snapped = Frame.around(
            top / rows - 0.5 + 1e-6,
            left / columns - 0.5 + 1e-6,
            bottom / rows - 0.5 - 1e-6,
            right / columns - 0.5 - 1e-6,
            self.shape,
        )
        return replace(whole, frame=snapped, parent=whole)

    def covering(self, prompts: Prompts) -> PlaneSource:
        """Return this source, or that of the whole plane where prompts lie beside its frame."""
        return self if self.frame is None or self.frame.holds(prompts) else self.whole

    def same_picture(self, other: PlaneSource | None) -> bool:
        """Whether the other source was made of the same arrays, to give the same picture.

        An array that was edited in place is the same array: whoever hears of that has to make a
        new source all the same.
        """
        return (
            other is not None
            and (self.key, self.mapping, self.rgb, self.frame, self.spacing)
            == (other.key, other.mapping, other.rgb, other.frame, other.spacing)
            and self.array is other.array
            and self.sample is other.sample
            and len(self.channels) == len(other.channels)
            and all(a.same(b) for a, b in zip(self.channels, other.channels, strict=True))
        )

    def read(self) -> NDArray[Any]:
        """Read the pixels of the frame, and no others.

        Returns
        -------
        ndarray of shape (H, W) or (H, W, 3 or 4)
            In the image's own dtype, rows and columns as displayed; the frame's shape, or fewer
            pixels from a coarser level. May be a view of the image: not for writing.
        """
        frame = self.region
        array = self._level(frame)
        extents = self._extent(array, frame)
        index: list[Any] = [slice(None)] * self.key.ndim
        for axis, position in zip(self.key.indexed, self.key.index, strict=True):
            # a coarser level may have fewer planes as well
            index[axis] = position * int(array.shape[axis]) // int(self.array.shape[axis])
        for axis, (start, stop) in zip(self.key.displayed, extents, strict=True):
            if (start, stop) != (0, int(array.shape[axis])):
                index[axis] = slice(start, stop)
        pixels = np.asarray(array[tuple(index)])
        if self.key.displayed[0] > self.key.displayed[1]:
            pixels = np.swapaxes(pixels, 0, 1)
        expected = tuple(stop - start for start, stop in extents)
        if pixels.shape[:2] != expected:
            raise ValueError(f'expected a plane of {expected}, the image gave {pixels.shape}')
        return pixels

    def image(self, cancel: CancelToken | None = None) -> NDArray[np.uint8]:
        """Read the frame and map it to what the model sees: uint8 (H, W, 3).

        Parameters
        ----------
        cancel : CancelToken, optional
            Polled between the channels of a composite and the planes of a sample.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        """
        if self.channels:
            from .composite import blend

            picture = blend(self, cancel)
        else:
            picture = to_rgb8(self.read(), self.resolved_mapping(cancel))
        return picture if self.spacing is None else square_pixels(picture, self.spacing, MODEL_SIDE)

    def resolved_mapping(self, cancel: CancelToken | None = None) -> IntensityMapping:
        """Return the mapping with the limits of the stack, where it is the stack's; reads it."""
        if self.mapping.mode != 'stack' or self.sample is None:
            return self.mapping
        return replace(self.mapping, limits=self.sample.window(self.mapping, cancel))

    def _level(self, frame: Frame) -> Any:
        """Return the array to read a frame from."""
        best = self.array
        axes = self.key.displayed
        for array in self.coarser:
            sides = [
                side * int(array.shape[axis]) / int(self.array.shape[axis])
                for side, axis in zip(frame.shape, axes, strict=True)
            ]
            if max(sides) < MODEL_SIDE:
                break
            best = array
        return best

    def _ratios(self, array: Any) -> tuple[float, float]:
        """Return the pixels of a level per pixel of the plane, along rows and columns."""
        rows, columns = self.key.displayed
        return (
            int(array.shape[rows]) / int(self.array.shape[rows]),
            int(array.shape[columns]) / int(self.array.shape[columns]),
        )

    def _extent(self, array: Any, frame: Frame) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return first and last-but-one row and column of a level that cover a frame."""
        extents = []
        spans = (frame.rows, frame.columns)
        for axis, ratio, span in zip(self.key.displayed, self._ratios(array), spans, strict=True):
            start = floor(span.start * ratio + 1e-6)
            stop = min(int(array.shape[axis]), max(start + 1, ceil(span.stop * ratio - 1e-6)))
            extents.append((min(start, stop - 1), stop))
        return extents[0], extents[1]

"""Composites: one picture blended from several images, as a viewer blends its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from .cancel import CancelToken
from .frame import Frame
from .intensity import to_grey8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .plane import PlaneSource

Blending = Literal[
    'opaque', 'translucent', 'translucent_no_depth', 'additive', 'minimum', 'multiplicative'
]

# Blended in float32, in blocks of this many pixels: a large plane is never held as floats.
_BLOCK_PIXELS = 2**19
# A channel without pixels in the frame.
_NOWHERE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One image of a composite.

    Parameters
    ----------
    source : PlaneSource
        Its plane, with its own intensity mapping; its frame is not looked at.
    colours : ndarray of float32, shape (256, 3 or 4), optional
        The colour (0..1, with or without alpha) of each mapped value; by default grey. Colour
        images keep their own colours.
    opacity : float
        0..1.
    blending : str
        How it goes over the channels below; the names are napari's.
    matrix : ndarray of shape (2, 3), optional
        Turns (row, column, 1) of the composite's plane into (row, column) of this one; by default
        they are the same.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    source: PlaneSource
    colours: NDArray[np.float32] | None = None
    opacity: float = 1.0
    blending: Blending = 'additive'
    matrix: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.blending not in get_args(Blending):
            raise ValueError(f'blending is one of {get_args(Blending)}; got {self.blending!r}')
        if not 0 <= self.opacity <= 1:
            raise ValueError(f'opacity is from 0 to 1; got {self.opacity}')
        if self.colours is not None:
            colours = np.asarray(self.colours, np.float32)
            if colours.shape not in ((256, 3), (256, 4)):
                raise ValueError(f'expected 256 colours of 3 or 4 values; got {colours.shape}')
            object.__setattr__(self, 'colours', colours)
        if self.matrix is not None:
            matrix = np.asarray(self.matrix, np.float64)
            if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
                raise ValueError(f'expected a finite matrix of shape (2, 3); got {matrix}')
            same = np.allclose(matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-6)
            object.__setattr__(self, 'matrix', None if same else matrix)

    def same(self, other: Channel) -> bool:
        """Whether the other would give the same picture."""
        return (
            self.source.same_picture(other.source)
            and (self.opacity, self.blending) == (other.opacity, other.blending)
            and _equal(self.colours, other.colours)
            and _equal(self.matrix, other.matrix)
        )


def blend(source: PlaneSource, cancel: CancelToken | None = None) -> NDArray[np.uint8]:
    """Blend the channels of a source over black, the first one lowest.

    Pixels of another grid are taken from the nearest one, and only those within the frame are
    read. Where a channel has no pixels, what is below shows.

    Parameters
    ----------
    source : PlaneSource
        Its plane and frame say where, its channels what.
    cancel : CancelToken, optional
        Polled between channels.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        As large as the largest picture that a channel gives of the frame.
    """
    cancel = CancelToken() if cancel is None else cancel
    frame = source.region
    read: list[tuple[Channel, NDArray[np.uint8], Frame]] = []
    for channel in source.channels:
        cancel.check()
        within = _frame_of(channel, frame)
        if within is not None:
            part = channel.source.framed(within)
            mapping = channel.source.resolved_mapping(cancel)
            read.append((channel, to_grey8(part.read(), mapping), part.region))
    # A picture of a coarser grid must not coarsen the others; one of a finer grid not cost more
    # than the frame has pixels.
    size = frame.shape
    if read and all(channel.matrix is None for channel, _, _ in read):
        size = max((grey.shape[:2] for _, grey, _ in read), key=lambda shape: shape[0] * shape[1])
    picture = np.zeros((*size, 3), np.uint8)
    step = max(1, _BLOCK_PIXELS // size[1])
    for start in range(0, size[0], step):
        cancel.check()
        rows = np.arange(start, min(start + step, size[0]))
        block = np.zeros((len(rows), size[1], 3), np.float32)
        for number, (channel, grey, region) in enumerate(read):
            values, inside = _sample(channel, grey, region, frame, size, rows)
            _over(block, channel, values, inside, lowest=number == 0)
        picture[rows] = (np.clip(block, 0, 1) * 255 + 0.5).astype(np.uint8)
    return picture


def _equal(first: NDArray[np.floating] | None, second: NDArray[np.floating] | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


def _frame_of(channel: Channel, frame: Frame) -> Frame | None:
    """Return the part of a channel's plane that a frame of the composite needs, if any."""
    corners = np.array(
        [
            (row, column, 1)
            for row in (frame.row - 0.5, frame.rows.stop - 0.5)
            for column in (frame.column - 0.5, frame.columns.stop - 0.5)
        ]
    )
    places = corners[:, :2] if channel.matrix is None else corners @ channel.matrix.T
    (row0, column0), (row1, column1) = places.min(axis=0), places.max(axis=0)
    try:
        return Frame.around(row0, column0, row1, column1, channel.source.shape)
    except ValueError:
        return None


def _sample(
    channel: Channel,
    grey: NDArray[np.uint8],
    region: Frame,
    frame: Frame,
    size: tuple[int, int],
    rows: NDArray[np.intp],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Return a channel's values at some rows of the composite, and where it has any."""
    if channel.matrix is None and region == frame and grey.shape[:2] == size:
        return grey[rows], None
    # from pixels of the composite to places on its plane
    down = (rows + 0.5) * frame.height / size[0] - 0.5 + frame.row
    across = (np.arange(size[1]) + 0.5) * frame.width / size[1] - 0.5 + frame.column
    matrix = np.eye(2, 3) if channel.matrix is None else channel.matrix
    places = []
    for axis, (first, side) in enumerate(
        ((region.row, region.height), (region.column, region.width))
    ):
        place = matrix[axis, 0] * down[:, None] + matrix[axis, 1] * across + matrix[axis, 2]
        # from places on the channel's plane to pixels of what was read of it
        pixel = np.floor((place - first + 0.5) * grey.shape[axis] / side).astype(np.intp)
        places.append(np.where((pixel >= 0) & (pixel < grey.shape[axis]), pixel, _NOWHERE))
    inside = (places[0] != _NOWHERE) & (places[1] != _NOWHERE)
    return grey[places[0], places[1]], inside


def _over(
    block: NDArray[np.float32],
    channel: Channel,
    values: NDArray[np.uint8],
    inside: NDArray[np.bool_] | None,
    lowest: bool,
) -> None:
    """Blend a channel over what is in the block, in place."""
    alpha: NDArray[np.float32] | float = channel.opacity
    if values.ndim == 3:
        colour = values.astype(np.float32) / np.float32(255)
    elif channel.colours is None:
        colour = np.repeat(values[..., None].astype(np.float32) / np.float32(255), 3, axis=2)
    else:
        looked_up = channel.colours[values]
        colour = looked_up[..., :3]
        if looked_up.shape[2] == 4:
            alpha = channel.opacity * looked_up[..., 3:]
    if channel.blending == 'opaque' and not lowest:
        result = colour
    elif channel.blending == 'minimum':
        # over the black of the canvas nothing would ever be seen: the lowest one starts anew
        result = colour if lowest else np.minimum(block, colour)
    elif channel.blending == 'multiplicative' and not lowest:
        result = block * colour
    elif channel.blending == 'additive':
        result = np.minimum(block + alpha * colour, 1)
    else:
        result = alpha * colour + (1 - alpha) * block
    block[...] = result if inside is None else np.where(inside[..., None], result, block)

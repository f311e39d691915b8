"""A sample of the values of a whole stack, taken once, so that all planes are mapped alike."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from .cancel import CancelToken
from .intensity import IntensityMapping, window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .plane import PlaneKey

# At most this many planes are read, however many there are, and this many values kept of each.
PLANES = 9
VALUES = 2**17


class StackSample:
    """Values of some planes of an image, read on first use and kept.

    Reading belongs on the worker. A volume is never read as a whole: at most `PLANES` planes,
    spread evenly over the axes that are not displayed, and of each at most `VALUES` values.

    Parameters
    ----------
    array : array-like
        The image; a coarse level of it will do.
    key : PlaneKey
        Any plane of the image: says which axes are displayed.
    channel_axis : int, optional
        The axis of channels, which are mapped each for itself: the sample keeps to the key's.
    """

    def __init__(self, array: Any, key: PlaneKey, channel_axis: int | None = None) -> None:
        self._array = array
        self._key = key
        self._channel_axis = channel_axis
        self._values: NDArray[Any] | None = None
        self._windows: dict[tuple[float, float], tuple[float, float]] = {}
        self._lock = Lock()

    def window(
        self, mapping: IntensityMapping, cancel: CancelToken | None = None
    ) -> tuple[float, float]:
        """Return the values that become black and white under the percentiles of a mapping.

        Raises
        ------
        Cancelled
            If the token was cancelled between two planes.
        """
        # The lock is held while reading: a second thread waits, and then has it for nothing.
        with self._lock:
            if self._values is None:
                self._values = self._read(CancelToken() if cancel is None else cancel)
            asked = (mapping.low, mapping.high)
            if asked not in self._windows:
                self._windows[asked] = window(self._values, IntensityMapping('percentile', *asked))
            return self._windows[asked]

    def _read(self, cancel: CancelToken) -> NDArray[Any]:
        shape = tuple(int(side) for side in self._array.shape)
        key = self._key
        moving = [axis for axis in key.indexed if axis != self._channel_axis]
        counts = tuple(shape[axis] for axis in moving)
        total = int(np.prod(counts, dtype=np.int64))
        chosen = np.unique(np.linspace(0, total - 1, min(total, PLANES)).round().astype(np.int64))
        sides = [shape[axis] for axis in key.displayed]
        step = max(1, int(np.ceil(np.sqrt(sides[0] * sides[1] / VALUES))))
        samples = []
        for position in chosen.tolist():
            cancel.check()
            # whatever lies behind the axes that the key counts is colour, and read along with them
            index: list[Any] = [slice(None)] * key.ndim
            for axis, place in zip(key.indexed, key.index, strict=True):
                index[axis] = place
            for axis, place in zip(moving, np.unravel_index(position, counts), strict=True):
                index[axis] = int(place)
            for axis in key.displayed:
                index[axis] = slice(None, None, step)
            samples.append(np.asarray(self._array[tuple(index)]).ravel())
        return np.concatenate(samples)

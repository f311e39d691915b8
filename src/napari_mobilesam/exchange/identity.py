"""Identity: which image a session is about, wherever its file is now."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ExchangeError
from .files import check_voxels
from .segmentation import check_axes, is_integer

_PLANES = 16
_PIXELS = 2**24


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """What an image is recognised by.

    Parameters
    ----------
    fingerprint : str
        See `image_fingerprint`.
    shape : tuple of int
        Without the colours of an RGB image.
    dtype : str
        Such as ``'uint16'``.
    axes : str
        Letters of ``tczyx``.
    scale : tuple of float
        Size of a pixel along each axis.
    unit : str
        Of the scale.
    rgb : bool
        Whether there is a last axis of colours more.
    path : str
        Where its file was; empty where it had none. A hint, not part of the identity.
    name : str
        What it was called.
    """

    fingerprint: str
    shape: tuple[int, ...]
    dtype: str
    axes: str
    scale: tuple[float, ...]
    unit: str = 'pixel'
    rgb: bool = False
    path: str = ''
    name: str = 'image'

    def to_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {
            'fingerprint': self.fingerprint,
            'shape': list(self.shape),
            'dtype': self.dtype,
            'axes': self.axes,
            'scale': list(self.scale),
            'unit': self.unit,
            'rgb': self.rgb,
            'path': self.path,
            'name': self.name,
        }

    @classmethod
    def from_json(cls, found: Any) -> ImageIdentity:
        """Read what `to_json` gave.

        Raises
        ------
        ExchangeError
            If it is damaged.
        """
        try:
            shape, scale = tuple(found['shape']), tuple(float(s) for s in found['scale'])
            if not all(is_integer(side) for side in shape) or len(scale) != len(shape):
                raise ValueError('shape and scale are numbers per axis')
            check_voxels(shape)
            check_axes(str(found['axes']), len(shape))
            return cls(
                str(found['fingerprint']),
                shape,
                str(found['dtype']),
                str(found['axes']),
                scale,
                str(found.get('unit', 'pixel')),
                found.get('rgb') is True,
                str(found.get('path', '')),
                str(found.get('name', 'image')),
            )
        except ExchangeError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ExchangeError(f'the description of an image is damaged: {error}') from None


def image_fingerprint(array: Any) -> str:
    """Return a name for the pixels of an image, the same wherever they are stored.

    Shape, type and pixels are hashed. Of a stack of many planes up to 16 are read, spread evenly,
    the first and the last among them; of a large plane every n-th row. A hash of it all would
    read terabytes.

    Parameters
    ----------
    array : array-like
        Whatever has ``shape``, ``dtype`` and basic indexing. Reads from disk: for a worker.

    Returns
    -------
    str
        40 hexadecimal digits.
    """
    shape, dtype = tuple(int(n) for n in array.shape), np.dtype(array.dtype)
    state = blake2b(digest_size=20)
    state.update(repr((shape, dtype.newbyteorder('<').str)).encode())
    # planes are what comes after the leading axes: (H, W), or (H, W, colours)
    trailing = min(len(shape), 3 if shape[-1] in (3, 4) else 2)
    leading = shape[: len(shape) - trailing]
    count = int(np.prod(leading, dtype=np.int64)) if leading else 1
    chosen = np.unique(np.linspace(0, count - 1, min(count, _PLANES)).astype(np.int64))
    step = max(1, int(np.prod(shape[len(leading) :], dtype=np.int64)) // _PIXELS)
    for number in chosen:
        index = np.unravel_index(int(number), leading) if leading else ()
        rows = (*(int(i) for i in index), slice(None, None, step))
        pixels = np.ascontiguousarray(np.asarray(array[rows]), dtype.newbyteorder('<'))
        state.update(pixels.data)
    return state.hexdigest()


def identify(
    array: Any,
    axes: str,
    scale: tuple[float, ...],
    unit: str = 'pixel',
    *,
    rgb: bool = False,
    path: str | Path = '',
    name: str = 'image',
) -> ImageIdentity:
    """Return the identity of an image; reads some of its pixels."""
    shape = tuple(int(n) for n in array.shape)
    return ImageIdentity(
        image_fingerprint(array),
        shape[:-1] if rgb else shape,
        np.dtype(array.dtype).name,
        axes,
        scale,
        unit,
        rgb,
        str(path),
        name,
    )

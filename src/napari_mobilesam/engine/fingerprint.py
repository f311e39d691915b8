"""Fingerprints: the identity of an embedding is what was encoded, by which model."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fingerprint(image: NDArray[np.uint8], digest: str) -> str:
    """Name the embedding of a picture under a model.

    Names of layers, files or planes play no part: two pictures have the same fingerprint only
    if every mapped pixel, the shape and the model are the same.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        The mapped picture, exactly as it is encoded.
    digest : str
        Identifies the model's weights.

    Returns
    -------
    str
        40 hexadecimal digits (160 bits of BLAKE2b).
    """
    state = blake2b(digest_size=20)
    state.update(repr((digest, image.dtype.str, image.shape)).encode())
    state.update(np.ascontiguousarray(image).data)
    return state.hexdigest()

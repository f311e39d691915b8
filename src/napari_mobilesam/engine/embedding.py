"""Embeddings: the image encoder's answer for one picture, complete and unchangeable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The encoder's features with all that is needed to decode prompts on them.

    Because nothing of it can be changed or swapped on its own, decoding needs no predictor that
    remembers "the current image".

    Parameters
    ----------
    features : ndarray of shape (channels, h, w)
        (256, 64, 64) for SAM. Copied, stored as float16, read-only.
    original_size : tuple of (int, int)
        Rows and columns of the picture that was encoded.
    input_size : tuple of (int, int)
        Rows and columns it was resized to, before padding to the model's square.
    key : str
        Fingerprint of picture and model, see `fingerprint`.

    Raises
    ------
    ValueError
        If a shape does not fit or a feature is not finite in float16.
    """

    features: NDArray[np.float16]
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    key: str

    def __post_init__(self) -> None:
        features = np.asarray(self.features)
        if features.ndim != 3:
            raise ValueError(f'features have the shape (channels, h, w); got {features.shape}')
        for name in ('original_size', 'input_size'):
            height, width = (int(value) for value in getattr(self, name))
            if height < 1 or width < 1:
                raise ValueError(f'{name} is two positive sizes; got {getattr(self, name)}')
            object.__setattr__(self, name, (height, width))
        with np.errstate(over='ignore'):
            half = features.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(
                'expected finite features, the encoder gave some that are not finite in float16. '
                'The checkpoint may be damaged: try another model, or the CPU as the device'
            )
        # A view of immutable bytes: unlike a cleared `writeable` flag nobody can set it back.
        frozen = np.frombuffer(half.tobytes(), np.float16).reshape(half.shape)
        object.__setattr__(self, 'features', frozen)

    @property
    def nbytes(self) -> int:
        """Size of the features in bytes."""
        return self.features.nbytes

"""The picture that the encoder gets, for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .plane import MODEL_SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .cancel import CancelToken
    from .frame import Frame
    from .plane import PlaneSource


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the model sees of a plane.

    Attributes
    ----------
    pixels
        uint8 (H, W, 3), the longer side `MODEL_SIDE`, without the padding.
    frame
        The region of the plane that it shows.
    read_size
        Rows and columns of the picture before it was resized.
    """

    pixels: NDArray[np.uint8]
    frame: Frame
    read_size: tuple[int, int]


def see(source: PlaneSource, cancel: CancelToken | None = None) -> Seen:
    """Read, map and resize a plane as it is done for the encoder; belongs on the worker.

    Raises
    ------
    Cancelled
        If the token was cancelled.
    """
    from mobile_sam.utils.transforms import ResizeLongestSide

    image = source.image(cancel)
    if cancel is not None:
        cancel.check()
    pixels = np.asarray(ResizeLongestSide(MODEL_SIDE).apply_image(image))
    return Seen(pixels, source.region, (image.shape[0], image.shape[1]))

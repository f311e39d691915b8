"""Contrast: how far an object stands out from its surroundings, in the image's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .patch import MaskPatch, union_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_mobilesam.engine.plane import PlaneSource

# The ring round an object is as wide as this part of its radius.
_RING = 0.5
_NARROWEST = 2
# An object that stands out by less than this part of its surroundings' spread has no contrast;
# from the second on it is so clear that a change of it means something in either direction.
_LEAST, _CLEAR = 0.5, 1.0


class PlaneValues:
    """The values of one plane, grey, where objects ask for them; read once, on first use.

    Parameters
    ----------
    source : PlaneSource
        The plane.
    """

    def __init__(self, source: PlaneSource) -> None:
        self._source = source
        self._pixels: NDArray[Any] | None = None

    def contrast(self, patch: MaskPatch) -> tuple[float, float]:
        """Return how far the median of an object is above that of a ring round it.

        Parameters
        ----------
        patch : MaskPatch
            The object, in pixels of the plane.

        Returns
        -------
        difference : float
            In values of the image; negative for a dark object, 0 where there is no ring.
        spread : float
            Standard deviation within the ring.
        """
        from scipy import ndimage

        width = max(_NARROWEST, int(np.ceil(_RING * patch.radius)))
        height, columns_ = self._source.shape
        rows, columns = union_box([patch], margin=width + 1)
        rows = slice(max(rows.start, 0), min(rows.stop, height))
        columns = slice(max(columns.start, 0), min(columns.stop, columns_))
        inside = patch.within(rows, columns)
        away = ndimage.distance_transform_edt(~inside)
        # the pixels next to the outline belong to both, as far as the optics are concerned
        ring = (away > 1) & (away <= width + 1)
        if not inside.any() or not ring.any():
            return 0.0, 0.0
        values = self._values(rows, columns)
        around = values[ring]
        return float(np.median(values[inside]) - np.median(around)), float(around.std())

    def _values(self, rows: slice, columns: slice) -> NDArray[np.float64]:
        if self._pixels is None:
            source = self._source.whole
            pixels = source.image() if source.channels else source.read()
            self._pixels = pixels[..., :3].mean(axis=2) if pixels.ndim == 3 else pixels
        pixels = self._pixels
        # fewer pixels than the plane has, where a coarser level was read
        picked = [
            ((np.arange(span.start, span.stop) + 0.5) * size / full).astype(int)
            for span, size, full in zip(
                (rows, columns), pixels.shape, self._source.shape, strict=True
            )
        ]
        part: NDArray[np.float64] = pixels[np.ix_(*picked)].astype(np.float64)
        return np.nan_to_num(part, posinf=0.0, neginf=0.0)


def stands_out(contrast: tuple[float, float]) -> bool:
    """Whether a contrast is clear enough to tell where an object fades."""
    difference, spread = contrast
    return abs(difference) > _LEAST * spread and difference != 0


def is_clear(contrast: tuple[float, float]) -> bool:
    """Whether it is so clear that noise does not make it look brighter."""
    difference, spread = contrast
    return abs(difference) >= _CLEAR * spread and difference != 0

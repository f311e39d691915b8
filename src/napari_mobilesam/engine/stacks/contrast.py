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
# Pixels are compared after a blur of so many pixels, or of this part of an object's radius.
_LEAST_BLUR, _BLUR = 1.0, 0.1
# So many per cent of an object's pixels may be as faint as they like: holes, or a poor outline.
_FAINT = 20


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
        rows, columns = self._window(patch)
        inside, ring = _parts(patch, rows, columns)
        if not inside.any() or not ring.any():
            return 0.0, 0.0
        values = self._values(rows, columns)
        around = values[ring]
        return float(np.median(values[inside]) - np.median(around)), float(around.std())

    def floor(self, patch: MaskPatch, difference: float, part: float) -> float:
        """Return by how much the pixels of an object stand out at least, but for a few of them.

        Parameters
        ----------
        patch : MaskPatch
            The object where it is known.
        difference : float
            Its `contrast`, negative for a dark object.
        part : float
            The answer is at most this part of the contrast.

        Returns
        -------
        float
            With the sign of `difference`; 0 where many pixels do not stand out at all, as in an
            object that is partly dark and partly bright.
        """
        rows, columns = self._window(patch)
        inside, ring = _parts(patch, rows, columns)
        if not inside.any() or not ring.any():
            return 0.0
        relief = self._relief(patch, rows, columns, ring) * np.sign(difference)
        faint = float(np.percentile(relief[inside], _FAINT))
        return float(np.sign(difference)) * min(max(faint, 0.0), part * abs(difference))

    def standing_out(self, patch: MaskPatch, floor: float) -> MaskPatch:
        """Return the part of a mask whose pixels stand out from the ring round it.

        Parameters
        ----------
        patch : MaskPatch
            The mask, in pixels of the plane.
        floor : float
            By how much at least, in values of the image: negative for what is darker than its
            surroundings.

        Returns
        -------
        MaskPatch
            The largest part that is in one piece, without holes: it may be empty. The mask itself
            where there is no ring, or the floor is 0.
        """
        from scipy import ndimage

        rows, columns = self._window(patch)
        inside, ring = _parts(patch, rows, columns)
        if not floor or not ring.any():
            return patch
        above = self._relief(patch, rows, columns, ring) * np.sign(floor) >= abs(floor)
        kept = ndimage.binary_fill_holes(above & inside) & inside
        parts, count = ndimage.label(kept)
        if count > 1:
            kept = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        return MaskPatch.cut(kept, rows.start, columns.start)

    def _relief(
        self, patch: MaskPatch, rows: slice, columns: slice, ring: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return how far each pixel is above the median of the ring, without the noise."""
        from scipy import ndimage

        values = self._values(rows, columns)
        smooth = ndimage.gaussian_filter(values, max(_LEAST_BLUR, _BLUR * patch.radius))
        relief: NDArray[np.float64] = smooth - np.median(values[ring])
        return relief

    def _window(self, patch: MaskPatch) -> tuple[slice, slice]:
        """Return the rows and columns of the plane that hold a mask and the ring round it."""
        rows, columns = union_box([patch], margin=_width(patch) + 1)
        height, width = self._source.shape
        return (
            slice(max(rows.start, 0), min(rows.stop, height)),
            slice(max(columns.start, 0), min(columns.stop, width)),
        )

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


def _width(patch: MaskPatch) -> int:
    return max(_NARROWEST, int(np.ceil(_RING * patch.radius)))


def _parts(
    patch: MaskPatch, rows: slice, columns: slice
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pixels of a mask, and those of the ring round it, in a window."""
    from scipy import ndimage

    inside = patch.within(rows, columns)
    away = ndimage.distance_transform_edt(~inside)
    # the pixels next to the outline belong to both, as far as the optics are concerned
    return inside, (away > 1) & (away <= _width(patch) + 1)


def stands_out(contrast: tuple[float, float]) -> bool:
    """Whether a contrast is clear enough to tell where an object fades."""
    difference, spread = contrast
    return abs(difference) > _LEAST * spread and difference != 0


def is_clear(contrast: tuple[float, float]) -> bool:
    """Whether it is so clear that noise does not make it look brighter."""
    difference, spread = contrast
    return abs(difference) >= _CLEAR * spread and difference != 0

"""Laying out objects: smooth random fields, a canvas that objects are put on, tessellations, and
clean labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Window = tuple[slice, ...]
Vector = Sequence[float] | NDArray[np.float64]


def smooth_noise(
    rng: np.random.Generator, shape: Sequence[int], scale: float | Sequence[float]
) -> Floats:
    """Random field of mean 0 and deviation 1 whose features are about `scale` pixels wide (per axis
    or for all).
    """
    scales = np.broadcast_to(np.maximum(np.asarray(scale, dtype=float), 1.0), (len(shape),))
    if len(shape) == 2 and scales[0] == scales[1]:
        # Turned at random: on an upright grid the eye finds rows and columns at once.
        angle = rng.uniform(0, np.pi / 2)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        extent = float(np.hypot(shape[0], shape[1])) / scales[0]
        cells = [int(np.ceil(extent)) + 3] * 2
        offset = np.array([1.0, 1.0 + np.sin(angle) * shape[0] / scales[0]]) + rng.uniform(
            -0.5, 0.5, 2
        )
        matrix = turn / scales[0]
    else:
        cells = [int(np.ceil(n / s)) + 3 for n, s in zip(shape, scales, strict=True)]
        offset = rng.uniform(0.5, 1.5, len(shape))
        matrix = 1 / scales
    coarse = rng.standard_normal(cells).astype(np.float32)
    # affine_transform rather than zoom: features keep their width whatever the size of the picture.
    field = ndimage.affine_transform(
        coarse,
        matrix,
        offset,
        output_shape=tuple(shape),
        order=3 if len(shape) == 2 else 1,
        mode='nearest',
    )
    deviation = float(field.std())
    return np.asarray(
        (field - field.mean()) / (deviation if deviation > 1e-6 else 1.0), dtype=np.float32
    )


def fractal_noise(
    rng: np.random.Generator, shape: Sequence[int], scale: float | Sequence[float], octaves: int = 3
) -> Floats:
    """Sum of `smooth_noise` at `scale`, a half, a quarter … each weaker by a factor of 0.6;
    deviation about 1.
    """
    scales = np.asarray(scale, dtype=float)
    total = np.zeros(tuple(shape), dtype=np.float32)
    power = 0.0
    for octave in range(octaves):
        weight = 0.6**octave
        total += weight * smooth_noise(rng, shape, scales / 2**octave)
        power += weight**2
    return total / np.float32(np.sqrt(power))


def grid(window: Window, centre: Vector, spacing: Sequence[float]) -> list[Floats]:
    """Open coordinate grids of a window, relative to a centre, in units of the last axis's
    pixel.
    """
    ranges = [
        (np.arange(s.start, s.stop, dtype=np.float32) - np.float32(c)) * np.float32(p)
        for s, c, p in zip(window, centre, spacing, strict=True)
    ]
    return list(np.meshgrid(*ranges, indexing='ij', sparse=True))


class Canvas:
    """Labels in the making. `level` is 1 deep inside an object and falls to 0 at its border."""

    def __init__(self, shape: Sequence[int], spacing: Sequence[float] | None = None) -> None:
        self.shape = tuple(shape)
        self.spacing = tuple(spacing) if spacing is not None else (1.0,) * len(self.shape)
        self.labels: Labels = np.zeros(self.shape, dtype=np.int32)
        self.level: Floats = np.zeros(self.shape, dtype=np.float32)
        self.count = 0

    def window(self, centre: Vector, reach: float) -> Window | None:
        """Part of the canvas within `reach` (last axis's pixels) of a centre; None where there is
        none.
        """
        slices = []
        for c, n, p in zip(centre, self.shape, self.spacing, strict=True):
            start, stop = max(0, int(c - reach / p)), min(n, int(c + reach / p) + 2)
            if stop <= start:
                return None
            slices.append(slice(start, stop))
        return tuple(slices)

    def taken(self, centre: Vector) -> bool:
        """Whether there's an object at a position; positions outside the canvas are free."""
        index = tuple(round(float(c)) for c in centre)
        inside = all(0 <= i < n for i, n in zip(index, self.shape, strict=True))
        return inside and bool(self.labels[index])

    def put(self, window: Window, level: Floats, max_overlap: float = 0.05) -> bool:
        """Add an object where `level` > 0, below what is there already.

        Returns False, and changes nothing, if it is empty or more than `max_overlap` of it would be
        hidden.
        """
        there = self.labels[window]
        inside = level > 0
        area = int(np.count_nonzero(inside))
        free = inside & (there == 0)
        visible = int(np.count_nonzero(free))
        if visible < 4 or area - visible > max_overlap * area:
            return False
        self.count += 1
        there[free] = self.count
        self.level[window][free] = level[free]
        return True

    def finish(self, min_area: int = 12) -> int:
        """Keep the largest piece of each object, drop tiny ones, number from 1; returns how many
        there are.
        """
        self.labels, kept = tidy(self.labels, min_area)
        self.level[self.labels == 0] = 0
        self.count = kept
        return kept


def tidy(labels: Labels, min_area: int = 12) -> tuple[Labels, int]:
    """Return labels numbered from 1 without gaps, each its largest connected piece of `min_area` or
    more pixels.
    """
    result = np.zeros_like(labels)
    kept = 0
    for label, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        piece, _ = ndimage.label(labels[window] == label)
        areas = np.bincount(piece.ravel(), minlength=2)
        areas[0] = 0
        if areas.max() < min_area:
            continue
        kept += 1
        result[window][piece == int(areas.argmax())] = kept
    return result, kept


def rotation(rng: np.random.Generator, ndim: int) -> NDArray[np.float64]:
    """Random rotation matrix, uniform over directions."""
    matrix, upper = np.linalg.qr(rng.standard_normal((ndim, ndim)))
    return np.asarray(matrix * np.sign(np.diag(upper)))


def ellipsoid(
    rng: np.random.Generator, coordinates: list[Floats], radii: Sequence[float], lobes: float = 0.0
) -> Floats:
    """Level of a randomly turned ellipsoid (1 at the centre, 0 at the border, negative outside).

    `lobes` bends the outline: in 2D by Fourier terms of the radius, in 3D by a tilt of the axes.
    """
    ndim = len(coordinates)
    turn = rotation(rng, ndim)
    axes = [sum(turn[i, j] * coordinates[j] for j in range(ndim)) / radii[i] for i in range(ndim)]
    if ndim == 2 and lobes > 0:
        angle = np.arctan2(axes[0], axes[1])
        outline = np.ones_like(angle)
        for k in range(2, 6):
            outline += (
                lobes
                * 1.4
                * rng.standard_normal()
                / k**1.5
                * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
            )
        squares = (axes[0] ** 2 + axes[1] ** 2) / np.maximum(outline, 0.4) ** 2
    else:
        # A bent axis makes beans of eggs; a second term would not be seen in a stack.
        bent = axes[0] + lobes * rng.standard_normal() * axes[-1] ** 2
        squares = bent**2 + sum(a**2 for a in axes[1:])
    return np.asarray(1 - squares, dtype=np.float32)


def tube(
    coordinates: list[Floats], path: NDArray[np.float64], radius: NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """Level of a thick 2D curve, and the position along it (0…1).

    Parameters
    ----------
    coordinates
        Open (row, column) grids.
    path
        (N, 2) points in the frame of the coordinates.
    radius
        (N,) half width at each point.
    """
    rows, columns = coordinates
    best = np.full(np.broadcast_shapes(rows.shape, columns.shape), -np.inf, dtype=np.float32)
    along = np.zeros_like(best)
    for i in range(len(path) - 1):
        start, step = path[i], path[i + 1] - path[i]
        length = max(float(step @ step), 1e-9)
        t = np.clip(((rows - start[0]) * step[0] + (columns - start[1]) * step[1]) / length, 0, 1)
        squares = (rows - start[0] - t * step[0]) ** 2 + (columns - start[1] - t * step[1]) ** 2
        width = radius[i] + t * (radius[i + 1] - radius[i])
        level = 1 - squares / np.maximum(width, 1e-3) ** 2
        nearer = level > best
        best = np.where(nearer, level, best)
        along = np.where(nearer, (i + t) / (len(path) - 1), along)
    return best.astype(np.float32), along.astype(np.float32)


def tessellate(
    rng: np.random.Generator,
    shape: Sequence[int],
    spacing: Sequence[float],
    size: float,
    *,
    irregular: float = 0.5,
    warp: float = 0.15,
) -> Labels:
    """Divide a space into wavy cells of about `size` diameter.

    Parameters
    ----------
    irregular
        0 (as even as a honeycomb) … 1 (seeds anywhere, sizes very different).
    warp
        How far borders wander, in cell diameters.
    """
    extent = np.array([n * p for n, p in zip(shape, spacing, strict=True)])
    pitch = float(size)
    counts = np.maximum(np.ceil(extent / pitch).astype(int) + 1, 1)
    centres = np.stack(np.meshgrid(*[np.arange(n) for n in counts], indexing='ij'), -1).reshape(
        -1, len(shape)
    )
    positions = (centres + 0.5 * (centres[:, -2:-1] % 2)) * pitch
    positions = positions + rng.uniform(-0.5, 0.5, positions.shape) * pitch * (
        0.35 + 0.65 * irregular
    )
    # Missing seeds make big neighbours: sizes vary as they do in tissue.
    positions = positions[rng.random(len(positions)) > 0.3 * irregular]
    index = np.round(positions / np.asarray(spacing)).astype(int)
    index = index[np.all((index >= 0) & (index < np.asarray(shape)), axis=1)]
    if not len(index):
        index = np.asarray([[n // 2 for n in shape]])
    seeds = np.zeros(tuple(shape), dtype=np.int32)
    seeds[tuple(index.T)] = rng.permutation(len(index)) + 1
    nearest = ndimage.distance_transform_edt(
        seeds == 0, sampling=spacing, return_distances=False, return_indices=True
    )
    cells = seeds[tuple(nearest)]
    if warp > 0:
        coordinates = np.indices(tuple(shape), dtype=np.float32)
        for axis, step in enumerate(spacing):
            scale = [max(size * 0.5 / p, 1.0) for p in spacing]
            coordinates[axis] += (0.35 * warp * size / step) * smooth_noise(rng, shape, scale)
        cells = ndimage.map_coordinates(cells, coordinates, order=0, mode='nearest')
    return np.asarray(cells, dtype=np.int32)


def border_distance(labels: Labels, spacing: Sequence[float]) -> Floats:
    """Distance of each pixel to the nearest pixel that lies at a border between two labels."""
    border = np.zeros(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(labels.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
        differs = labels[low] != labels[high]
        border[low] |= differs
        border[high] |= differs
    if not border.any():
        return np.full(labels.shape, 1e3, dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~border, sampling=spacing), dtype=np.float32)

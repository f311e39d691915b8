"""Classical methods that answer the same prompts: what a model must beat.

References
----------
Otsu 1979, "A threshold selection method from gray-level histograms".
Grady 2006, "Random walks for image segmentation".
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from .asking import Answered, Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mobile_sam.training.data import Sample

    from .asking import Contestant

GREY = np.array([0.299, 0.587, 0.114], np.float32)
BLUR = 1.0
"""Standard deviation of the Gaussian before the threshold, pixels."""

BETA = 2000.0
"""How hard brightness differences are to cross: Grady's beta."""
REACH = 0.15
SIDE = 96
SEED_RADIUS = 1
# The best of beta 30 … 6000, reach 0.08 … 0.3 and radius 1 and 3 (click and box, four held-out
# planes of each modality): a baseline has a right to good settings.


def grey(sample: Sample) -> NDArray[np.float32]:
    """Return the brightness of a sample, (H, W), 0 … 1."""
    brightness: NDArray[np.float32] = sample.image.astype(np.float32) @ GREY / np.float32(255)
    return brightness


def baselines() -> list[Contestant]:
    """Return one of each."""
    return [OtsuWatershed(), RandomWalker()]


class OtsuWatershed:
    """Otsu's threshold, then watershed of the distance to the edge.

    Both sides of the threshold are divided into instances. A click takes the instance under it,
    further ones add theirs, negative ones take theirs away; an instance with both is divided
    by a watershed of the gradient from its clicks. A box takes the instance whose bounding box
    fits it best.
    """

    name = 'Otsu + watershed'

    @property
    def about(self) -> dict[str, Any]:
        """Settings."""
        return {'blur': BLUR}

    def look(self, sample: Sample) -> OtsuAnswers:
        """Divide a plane into instances."""
        return OtsuAnswers(sample)


class OtsuAnswers:
    """The instances of one plane, on both sides of the threshold."""

    def __init__(self, sample: Sample) -> None:
        from skimage.filters import threshold_otsu

        smooth = ndimage.gaussian_filter(grey(sample), BLUR)
        flat = float(smooth.min()) == float(smooth.max())
        bright = np.zeros(smooth.shape, bool) if flat else smooth > threshold_otsu(smooth)
        self.gradient = ndimage.gaussian_gradient_magnitude(grey(sample), BLUR)
        self.objects_are_bright = bright.mean() <= 0.5
        self.instances = {side: _divide(bright == side) for side in (False, True)}
        self.labels = np.where(bright, self.instances[True], -self.instances[False])

    def answer(self, asked: Asked, memory: NDArray[Any] | None = None) -> Answered:
        """Pick instances; nothing is remembered."""
        if asked.boxes is not None:
            found = [self._in_box(box) for box in asked.boxes]
        else:
            found = [
                self._at(points, positive)
                for points, positive in zip(asked.points, asked.positive, strict=True)
            ]
        masks = np.stack(found)[:, None]
        return Answered(masks, np.full(masks.shape[:2], np.nan))

    def everything(self) -> NDArray[np.int32]:
        """Return all instances on the side of the threshold that covers less of the plane."""
        return self.instances[self.objects_are_bright]

    def _at(self, points: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        from skimage.segmentation import watershed

        places = points.astype(np.intp)
        under = self.labels[places[:, 0], places[:, 1]]
        wanted, unwanted = set(under[positive].tolist()), set(under[~positive].tolist())
        mask: NDArray[np.bool_] = np.isin(self.labels, list(wanted - unwanted))
        for label in wanted & unwanted:
            own = under == label
            markers = np.zeros(mask.shape, np.int32)
            markers[tuple(places[own].T)] = np.where(positive[own], 1, 2)
            mask |= watershed(self.gradient, markers, mask=self.labels == label) == 1
        return mask

    def _in_box(self, box: NDArray[np.float64]) -> NDArray[np.bool_]:
        best, label = -1.0, 0
        for sign, instances in ((1, self.instances[True]), (-1, self.instances[False])):
            for number, place in enumerate(ndimage.find_objects(instances), 1):
                edges = np.array([s.start for s in place] + [s.stop for s in place]) - 0.5
                fit = _box_iou(edges, box)
                if fit > best:
                    best, label = fit, sign * number
        mask: NDArray[np.bool_] = self.labels == label
        return mask


def _divide(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Instances of a mask: watershed from the peaks of the distance to its edge."""
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    distance = ndimage.gaussian_filter(
        ndimage.distance_transform_edt(mask).astype(np.float32), BLUR
    )
    parts, _ = ndimage.label(mask)
    markers = np.zeros(mask.shape, np.int32)
    peaks = peak_local_max(distance, min_distance=5, labels=parts, exclude_border=False)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    instances: NDArray[np.int32] = watershed(-distance, markers, mask=mask).astype(np.int32)
    return instances


def _box_iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    overlap = float(np.prod(np.maximum(sides, 0)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (first, second)]
    return overlap / (sum(areas) - overlap)


class RandomWalker:
    """Random walker from the clicks, in a window around them.

    Seeds are small discs at the clicks, and background along the window's border. The window
    reaches `REACH` of the plane's longer side beyond the clicks, and is scaled down to at most
    `SIDE` pixels. A box is its own window: background from its edge outwards, object in the
    middle fifth.
    """

    name = 'random walker'

    @property
    def about(self) -> dict[str, Any]:
        """Settings."""
        return {'beta': BETA, 'reach': REACH, 'side': SIDE}

    def look(self, sample: Sample) -> WalkerAnswers:
        """Keep the brightness."""
        return WalkerAnswers(sample)


class WalkerAnswers:
    """Random walks on one plane."""

    def __init__(self, sample: Sample) -> None:
        self.grey = grey(sample)

    def answer(self, asked: Asked, memory: NDArray[Any] | None = None) -> Answered:
        """Walk from each object's prompts; nothing is remembered."""
        masks = np.zeros((len(asked), 1, *self.grey.shape), bool)
        for i in range(len(asked)):
            if asked.boxes is not None:
                self._box(asked.boxes[i], masks[i, 0])
            else:
                self._clicks(asked.points[i], asked.positive[i], masks[i, 0])
        return Answered(masks, np.full(masks.shape[:2], np.nan))

    def everything(self) -> None:
        """Without prompts there is nowhere to walk from."""

    def _clicks(
        self,
        points: NDArray[np.float64],
        positive: NDArray[np.bool_],
        mask: NDArray[np.bool_],
    ) -> None:
        reach = REACH * max(self.grey.shape)
        start = np.maximum(np.floor(points.min(0) - reach), 0).astype(int)
        stop = np.minimum(np.ceil(points.max(0) + reach) + 1, self.grey.shape).astype(int)

        def seed(seeds: NDArray[np.int32], step: int) -> None:
            seeds[[0, -1]] = seeds[:, [0, -1]] = 2
            # The latest click last: where two meet, it is the one that corrects.
            for point, sign in zip(points, positive, strict=True):
                row, col = ((point - start) / step).astype(int)
                disc = tuple(
                    slice(max(v - SEED_RADIUS, 0), v + SEED_RADIUS + 1) for v in (row, col)
                )
                seeds[disc] = 1 if sign else 2

        self._walk(start, stop, seed, mask)

    def _box(self, box: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        first, last = np.floor(box[:2] + 0.5).astype(int), np.ceil(box[2:] + 0.5).astype(int)
        start = np.maximum(first - 2, 0)
        stop = np.minimum(last + 2, self.grey.shape)

        def seed(seeds: NDArray[np.int32], step: int) -> None:
            seeds[:] = 2
            inner = [
                slice(max((a - s) // step, 0), max(-(-(b - s) // step), 1))
                for a, b, s in zip(first, last, start, strict=True)
            ]
            seeds[tuple(inner)] = 0
            middle = [
                slice(int(s.start + 0.4 * n), int(s.start + 0.4 * n) + max(1, n // 5))
                for s in inner
                for n in [s.stop - s.start]
            ]
            seeds[tuple(middle)] = 1

        self._walk(start, stop, seed, mask)

    def _walk(
        self,
        start: NDArray[np.intp],
        stop: NDArray[np.intp],
        seed: Any,
        mask: NDArray[np.bool_],
    ) -> None:
        from skimage.segmentation import random_walker

        window = self.grey[start[0] : stop[0], start[1] : stop[1]]
        step = -(-max(window.shape) // SIDE)
        small = _shrunk(window, step)
        seeds = np.zeros(small.shape, np.int32)
        seed(seeds, step)
        if not (seeds == 1).any():
            return
        if (seeds > 0).all():
            found = seeds
        else:
            with warnings.catch_warnings():
                # Of probabilities a thousandth beyond 0 … 1; only which is larger counts here.
                warnings.filterwarnings('ignore', 'The probability range', UserWarning)
                found = random_walker(small, seeds, beta=BETA, mode='cg_j', tol=1e-3)
        grown = (found == 1).repeat(step, 0).repeat(step, 1)
        mask[start[0] : stop[0], start[1] : stop[1]] = grown[: window.shape[0], : window.shape[1]]


def _shrunk(window: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means of blocks of `step` pixels a side; the last ones are filled up with the border."""
    if step == 1:
        return window
    fill: Sequence[tuple[int, int]] = [(0, -side % step) for side in window.shape]
    padded = np.pad(window, fill, mode='edge')
    rows, cols = (side // step for side in padded.shape)
    means: NDArray[np.float32] = padded.reshape(rows, step, cols, step).mean((1, 3))
    return means

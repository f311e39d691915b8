"""Batches of windows with prompts, each drawn from nothing but the seed and the step number.

Because a batch depends on no earlier random state, a resumed run sees exactly the batches that
the interrupted one would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .augment import augment
from .config import STRIDE
from .crops import LARGEST, cut, draw_window, typical_size
from .data import Sample, modality_weights, to_uint8
from .prompts import first_prompts, visible_objects
from .views import (
    TOKENS,
    View,
    draw_far,
    draw_view,
    draw_view_side,
    pooled,
    suiting_objects,
    token_blocks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .config import TrainConfig
    from .crops import Crop
    from .data import Item, Reader

PIXEL_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
PIXEL_STD = np.array([58.395, 57.12, 57.375], np.float32)

LOGIT_STEP = 4
"""Model pixels per pixel of the decoder's logits."""

SMALL_WINDOW = 256
"""Windows of up to so many model pixels are for small objects too."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B windows, and N prompted objects, each seen in a view: a smaller window within its window.

    Attributes
    ----------
    images : Tensor, float32, (B, 3, S, S)
        Normalised, zero where the frame is padding; or, when whole frames are tuned, their
        embeddings (B, 256, 64, 64).
    labels : ndarray, int32, (B, T, T)
    side : int
        Model pixels of a window.
    views : tuple of View, N
        All of one size, t / 4 tokens.
    targets : Tensor, float32, (N, t, t)
        The share of each logit pixel that is object.
    far : Tensor, int64, (N, K)
        Tokens outside of each view that are shown with it, as a sample of the rest; K may be 0.
    far_targets : Tensor, float32, (N, K, 16)
        Targets of the logit pixels of those tokens.
    coords : Tensor, float32, (N, 2, 2)
    point_labels : Tensor, int64, (N, 2)
    is_box : Tensor, bool, (N,)
    """

    images: torch.Tensor
    labels: NDArray[np.int32]
    side: int
    views: tuple[View, ...]
    targets: torch.Tensor
    far: torch.Tensor
    far_targets: torch.Tensor
    coords: torch.Tensor
    point_labels: torch.Tensor
    is_box: torch.Tensor

    @property
    def far_weight(self) -> float:
        """How many tokens outside of its view each of the far ones stands for."""
        near = (self.targets.shape[-1] // 4) ** 2
        return (TOKENS**2 - near) / max(1, self.far.shape[1])


def normalise(image: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Turn (S, S, 3) uint8 into (3, S, S) as the encoder takes it, with zeros outside."""
    pixels = (image.astype(np.float32) - PIXEL_MEAN) / PIXEL_STD
    pixels[~inside] = 0
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def collate(
    crops: Sequence[Crop],
    images: torch.Tensor,
    rng: np.random.Generator,
    *,
    prompts: int,
    box_share: float,
    view_side: int | None = None,
    far: int = 0,
) -> Batch:
    """Draw prompts for crops and stack everything.

    Parameters
    ----------
    prompts : int
        Prompted objects per crop.
    view_side : int, optional
        Model pixels of the views in which prompts are answered; by default whole windows.
    far : int
        Tokens outside of each view to show, if there are any; only where windows are whole frames.
    """
    side = crops[0].window.side
    far = min(far, TOKENS**2 - ((view_side or side) // STRIDE) ** 2)
    views: list[View] = []
    targets, coords, point_labels, boxes = [], [], [], []
    others, other_targets = [], []
    for number, crop in enumerate(crops):
        step = side / crop.labels.shape[0]
        visible = visible_objects(crop.labels, step)
        if not visible:
            raise ValueError('A window without a visible object cannot be prompted.')
        objects = suiting_objects(crop.labels, visible, step, view_side or side)
        chosen = rng.permutation(objects)[:prompts]
        if len(chosen) < prompts:
            # Few objects: some are prompted again, elsewhere.
            chosen = np.concatenate([chosen, rng.choice(objects, prompts - len(chosen))])
        masks = crop.labels[None] == chosen[:, None, None]
        seen = [draw_view(mask, crop.window, number, view_side or side, rng) for mask in masks]
        per_logit = round(LOGIT_STEP / step)
        if far:
            drawn = [draw_far(view, far, rng) for view in seen]
            blocks = token_blocks(pooled(masks, per_logit))
            others.append(np.stack(drawn))
            other_targets.append(np.stack([b[d] for b, d in zip(blocks, drawn, strict=True)]))
        masks = np.stack([view.cut(m, step) for view, m in zip(seen, masks, strict=True)])
        first = first_prompts(masks, [view.window for view in seen], rng, box_share=box_share)
        views.extend(seen)
        targets.append(pooled(masks, per_logit))
        coords.append(first.coords)
        point_labels.append(first.labels)
        boxes.append(first.is_box)
    return Batch(
        images,
        np.stack([crop.labels for crop in crops]),
        side,
        tuple(views),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.concatenate(others)) if far else torch.zeros(len(views), 0).long(),
        torch.from_numpy(np.concatenate(other_targets)) if far else torch.zeros(len(views), 0, 16),
        torch.from_numpy(np.concatenate(coords)),
        torch.from_numpy(np.concatenate(point_labels)),
        torch.from_numpy(np.concatenate(boxes)),
    )


class CropSource:
    """Makes the batch of any step of the crop phase."""

    def __init__(
        self, items: Sequence[Item], reader: Reader, config: TrainConfig, ranks: int = 1
    ) -> None:
        self.items, self.reader, self.config, self.ranks = list(items), reader, config, ranks
        weights = modality_weights(self.items)
        sizes = np.array([typical_size(reader(item)) for item in self.items])
        self.weights = {side: fitting(weights, sizes, side) for side in config.crop_sizes}
        self.simulated = SimulatedPool(config.seed)

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, always the same one."""
        config = self.config
        chances = np.array(config.crop_weights, float)
        # Processes that wait for each other work on windows of equal size.
        rng = np.random.default_rng([config.seed, step // self.ranks, 6])
        side = int(rng.choice(config.crop_sizes, p=chances / chances.sum()))
        view_side = draw_view_side(side, config.views, rng)
        rng = np.random.default_rng([config.seed, step])
        # A step costs the same whatever its window size.
        area = (config.crop_sizes[0] / side) ** 2
        count = max(1, round(config.batch * min(area, 2.0)))
        crops = [self._crop(side, rng) for _ in range(count)]
        images = torch.from_numpy(np.stack([normalise(c.image, c.inside) for c in crops]))
        return collate(
            crops,
            images,
            rng,
            prompts=config.prompts,
            box_share=config.box_share,
            view_side=view_side,
        )

    def _crop(self, side: int, rng: np.random.Generator) -> Crop:
        """Draw windows until one shows an object."""
        while True:
            sample = self._sample(side, rng)
            for _ in range(4):
                window = draw_window(sample, side, rng, jitter=self.config.augment)
                crop = cut(sample, window)
                if visible_objects(crop.labels, side / crop.labels.shape[0]):
                    return augment(crop, rng) if self.config.augment else crop

    def _sample(self, side: int, rng: np.random.Generator) -> Sample:
        if rng.random() < self.config.simulated:
            return self.simulated(rng)
        return self.reader(self.items[int(rng.choice(len(self.items), p=self.weights[side]))])


def fitting(
    weights: NDArray[np.float64], sizes: NDArray[np.float64], side: int
) -> NDArray[np.float64]:
    """Weigh items so that windows of a side show mostly objects that suit them.

    `sizes` are typical diameters in model pixels. Items whose objects would fill a window, and
    those with small objects in the expensive large windows, are drawn a quarter as often.
    """
    suited = sizes < LARGEST * side
    if side > SMALL_WINDOW:
        suited &= sizes > LARGEST * SMALL_WINDOW / 2
    chosen = weights * np.where(suited, 1.0, 0.25)
    normalised: NDArray[np.float64] = chosen / chosen.sum()
    return normalised


class SimulatedPool:
    """A limited number of simulated images, each made when first drawn.

    A seeded image takes longer to draw than a window to cut, so each is shown several times.
    """

    def __init__(self, seed: int, size: int = 500) -> None:
        self.seed, self.size = seed, size
        self._kept: dict[int, Sample] = {}

    def __call__(self, rng: np.random.Generator) -> Sample:
        """Return a random image of the pool."""
        number = int(rng.integers(self.size))
        if number not in self._kept:
            self._kept[number] = simulated_sample(np.random.default_rng([self.seed, number, 4]))
        return self._kept[number]


def simulated_sample(rng: np.random.Generator) -> Sample:
    """Draw a kind, a size and a seed, and simulate an image."""
    from . import simulate

    kind = simulate.KINDS[int(rng.integers(len(simulate.KINDS)))]
    side = int(rng.choice((128, 192, 256)))
    drawn = simulate.simulate(kind, (side, side), int(rng.integers(2**31)))
    grey = drawn.image.ndim == 2
    image = np.repeat(to_uint8(drawn.image)[..., None], 3, axis=2) if grey else drawn.image
    return Sample(image, drawn.labels, grey)

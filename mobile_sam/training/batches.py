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
from .config import LOGIT_STEP
from .crops import LARGEST, beside, cut, draw_kin, draw_window, typical_size
from .data import Sample, modality_weights, to_uint8
from .far import Far, draw_far
from .invented import NOBODY, draw_invented
from .prompts import first_prompts, on_border, visible_objects
from .views import View, draw_view, draw_view_side, pooled, suiting_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .config import TrainConfig
    from .crops import Crop
    from .data import Item, Reader

PIXEL_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
PIXEL_STD = np.array([58.395, 57.12, 57.375], np.float32)

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
    far : Far
        Tokens outside of each view that are shown with it, as a sample of the rest of the frame.
    coords : Tensor, float32, (N, 2, 2)
    point_labels : Tensor, int64, (N, 2)
    is_box : Tensor, bool, (N,)
    """

    images: torch.Tensor
    labels: NDArray[np.int32]
    side: int
    views: tuple[View, ...]
    targets: torch.Tensor
    far: Far
    coords: torch.Tensor
    point_labels: torch.Tensor
    is_box: torch.Tensor


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
    together: int = 1,
    invented: float = 0.0,
) -> Batch:
    """Draw prompts for crops and stack everything.

    Parameters
    ----------
    prompts : int
        Prompted objects per crop.
    view_side : int, optional
        Model pixels of the views in which prompts are answered; by default whole windows.
    far, together : int
        Far tokens to show with each view, and how many windows in turn are of the same picture; see
        `draw_far`.
    invented : float
        Share of prompts that are boxes of invented objects.
    """
    side = crops[0].window.side
    views: list[View] = []
    targets, coords, point_labels, boxes = [], [], [], []
    prompted: list[int] = []
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
        made_up = np.zeros(len(chosen), bool)
        if invented:
            made_up = rng.random(len(chosen)) < invented
            chosen = np.where(made_up, NOBODY, chosen)
            for i in np.flatnonzero(made_up):
                masks[i] = draw_invented(crop.labels.shape[0], step, view_side or side, rng)
        seen = [draw_view(mask, crop.window, number, view_side or side, rng) for mask in masks]
        per_logit = round(LOGIT_STEP / step)
        cut_masks = np.stack([view.cut(m, step) for view, m in zip(seen, masks, strict=True)])
        first = first_prompts(
            cut_masks,
            [view.window for view in seen],
            rng,
            box_share=box_share,
            whole=masks,
            window=crop.window,
            # The rest of a cut object may be seen in another window; no box is right then.
            boxable=~on_border(masks) if together > 1 else None,
            boxed=made_up,
        )
        views.extend(seen)
        prompted.extend(int(label) for label in chosen)
        targets.append(pooled(cut_masks, per_logit))
        coords.append(first.coords)
        point_labels.append(first.labels)
        boxes.append(first.is_box)
    return Batch(
        images,
        np.stack([crop.labels for crop in crops]),
        side,
        tuple(views),
        torch.from_numpy(np.concatenate(targets)),
        draw_far(crops, views, prompted, far, rng, together=together),
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
        # A step costs the same whatever its window size, and answers about as many prompts.
        area = (config.crop_sizes[0] / side) ** 2
        count = max(1, round(config.batch * min(area, 2.0)))
        together = min(config.together, count)
        count -= count % together
        crops = [crop for _ in range(count // together) for crop in self._kin(side, together, rng)]
        prompts = round(config.prompts * min(1.5, max(1.0, config.batch / count)))
        images = torch.from_numpy(np.stack([normalise(c.image, c.inside) for c in crops]))
        return collate(
            crops,
            images,
            rng,
            prompts=prompts,
            box_share=config.box_share,
            view_side=view_side,
            far=config.far,
            together=together,
            invented=config.invented,
        )

    def _kin(self, side: int, count: int, rng: np.random.Generator) -> list[Crop]:
        """Draw windows of one frame that show objects.

        A picture that fills too little of its frame gets windows of others beside it.
        """
        kin: list[Crop] = []
        while len(kin) < count:
            sample = self._sample(side, rng)
            for attempt in range(4):
                first = draw_window(
                    sample, side, rng, jitter=self.config.augment, small=self.config.small
                )
                crops = [cut(sample, w) for w in draw_kin(sample, first, count, rng)]
                showing = [c for c in crops if visible_objects(c.labels, side / c.labels.shape[0])]
                if len(showing) == count or (attempt == 3 and showing):
                    more = self._augmented(showing, int(rng.integers(2**63)))[: count - len(kin)]
                    kin = beside(kin, more, rng) if kin else more
                    break
        return kin

    def _augmented(self, crops: list[Crop], seed: int) -> list[Crop]:
        """Change windows of one picture alike."""
        if not self.config.augment:
            return crops
        return [augment(crop, np.random.default_rng(seed)) for crop in crops]

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
    return sample_of(kind, side, int(rng.integers(2**31)))


def sample_of(kind: str, side: int, seed: int) -> Sample:
    """Simulate an image of a kind; see `mobile_sam.training.simulate`."""
    from . import simulate

    drawn = simulate.simulate(kind, (side, side), seed)
    grey = drawn.image.ndim == 2
    image = np.repeat(to_uint8(drawn.image)[..., None], 3, axis=2) if grey else drawn.image
    return Sample(image, drawn.labels, grey)

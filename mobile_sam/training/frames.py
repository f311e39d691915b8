"""Whole frames with a frozen encoder, for tuning the decoder where it will work.

In the crop phase the decoder sees 14 × 14 tokens, at inference 64 × 64, among which a prompt's own
are lost if it never learned to find them. This source embeds a limited number of augmented frames
once, keeps them as float16, and prompts them again and again, in views and far tokens.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from mobile_sam.fast.encoder_forms import encoder_form

from .augment import augment
from .batches import SimulatedPool, collate, normalise
from .config import FRAME
from .crops import TARGET_STEP, Crop, cut, true_window
from .data import modality_weights
from .mosaic import draw_mosaic
from .prompts import visible_objects
from .views import draw_view_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mobile_sam.fast.backends import Encode
    from mobile_sam.modeling import Sam

    from .batches import Batch
    from .config import TrainConfig
    from .data import Item, Reader


class FrameSource:
    """Makes the batch of any step of the frame phase.

    Frames are embedded when first asked for, so the first steps are slower. Which frame a step
    shows, and how a frame is augmented, follows from the seed and the step alone.
    """

    def __init__(
        self,
        model: Sam,
        items: Sequence[Item],
        reader: Reader,
        config: TrainConfig,
        ranks: int = 1,
    ) -> None:
        self.model, self.items, self.reader, self.config = model, list(items), reader, config
        self.ranks = ranks
        self.weights = modality_weights(self.items)
        self.simulated = SimulatedPool(config.seed)
        self._kept: dict[int, tuple[Crop, torch.Tensor]] = {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, always the same one."""
        config = self.config
        rng = np.random.default_rng([config.seed, step, 2])
        # Every frame once before any frame again.
        numbers = [(step * config.batch + i) % config.cached_frames for i in range(config.batch)]
        frames = [self._frame(number) for number in numbers]
        features = torch.stack([features for _, features in frames]).float()
        return collate(
            [crop for crop, _ in frames],
            features,
            rng,
            prompts=config.prompts,
            box_share=config.box_share,
            view_side=self._view_side(step),
            far=config.far,
            invented=config.invented,
        )

    @cached_property
    def _encode(self) -> Encode:
        # Made when first needed: a resumed run loads its weights after this source was made.
        self.model.image_encoder.eval()
        return encoder_form(self.model.image_encoder, self.model.device.type)[0]

    def _view_side(self, step: int) -> int:
        # Processes that wait for each other work on views of equal size.
        rng = np.random.default_rng([self.config.seed, step // self.ranks, 6])
        return draw_view_side(FRAME, self.config.views, rng)

    def _frame(self, number: int) -> tuple[Crop, torch.Tensor]:
        if number not in self._kept:
            crop = self._draw(np.random.default_rng([self.config.seed, number, 3]))
            pixels = torch.from_numpy(normalise(crop.image, crop.inside))[None]
            with torch.no_grad():
                features = self._encode(pixels.to(self.model.device))[0]
            nothing = crop.image[:0]  # the pixels are not needed any more
            self._kept[number] = dataclasses.replace(crop, image=nothing), features.half().cpu()
        return self._kept[number]

    def _draw(self, rng: np.random.Generator) -> Crop:
        """Draw a frame that shows an object, augmented but for its geometry."""
        while True:
            if rng.random() < self.config.simulated:
                sample = self.simulated(rng)
            else:
                sample = self.reader(self.items[int(rng.choice(len(self.items), p=self.weights))])
            change = partial(self._changed, seed=int(rng.integers(2**63)))
            if rng.random() < self.config.small:
                crop = draw_mosaic(sample, rng, change)
            else:
                crop = change(cut(sample, true_window(sample.labels.shape, 0, 0, FRAME)))
            if visible_objects(crop.labels, TARGET_STEP):
                return crop

    def _changed(self, crop: Crop, seed: int) -> Crop:
        """Augment one piece of a frame like the others."""
        return augment(crop, np.random.default_rng(seed)) if self.config.augment else crop

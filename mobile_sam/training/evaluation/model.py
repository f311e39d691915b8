"""Models of the SAM family as contestants."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mobile_sam.predictor import SamPredictor
from mobile_sam.utils.transforms import frame_coords

from .asking import Answered, Asked
from .everything import EverythingSettings, segment_everything

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mobile_sam.checkpoints import LoadedModel
    from mobile_sam.modeling import Sam
    from mobile_sam.training.data import Sample


class SamContestant:
    """A model, asked through `SamPredictor`, with prompts placed as the plugin's engine does.

    Parameters
    ----------
    model : Sam
        In eval mode.
    name : str
        For tables.
    about : dict, optional
        What identifies it in a report.
    everything : EverythingSettings, optional

    Raises
    ------
    ValueError
        If the model is in training mode.
    """

    def __init__(
        self,
        model: Sam,
        name: str = 'model',
        about: dict[str, Any] | None = None,
        everything: EverythingSettings | None = None,
    ) -> None:
        if model.training:
            raise ValueError('The model must be in eval mode; call model.eval() first.')
        self.model, self._name, self._about = model, name, about or {}
        self.settings = everything or EverythingSettings()

    @classmethod
    def of(
        cls, loaded: LoadedModel, name: str, everything: EverythingSettings | None = None
    ) -> SamContestant:
        """Return the contestant of a checkpoint."""
        settings = everything or EverythingSettings()
        about = {
            'digest': loaded.digest,
            'architecture': loaded.architecture,
            'everything': dataclasses.asdict(settings),
        }
        return cls(loaded.model, name, about, settings)

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return self._name

    @property
    def about(self) -> dict[str, Any]:
        """Digest and architecture, where known."""
        return self._about

    def look(self, sample: Sample) -> SamAnswers:
        """Encode a plane."""
        return SamAnswers(self.model, sample, self.settings)


class SamAnswers:
    """A model's answers on one plane: three candidates for one click, one for other prompts."""

    def __init__(self, model: Sam, sample: Sample, settings: EverythingSettings) -> None:
        self.model, self.sample, self.settings = model, sample, settings
        self.predictor = SamPredictor(model)
        self.predictor.set_image(sample.image)

    def answer(self, asked: Asked, memory: NDArray[Any] | None = None) -> Answered:
        """Decode prompts; `memory` is the logits (N, 256, 256) that the last points correct."""
        coords = labels = boxes = masks = None
        if asked.points.shape[1]:
            coords = torch.from_numpy(self._placed(asked.points))
            labels = torch.from_numpy(asked.positive.astype(np.int64))
        if asked.boxes is not None:
            corners = asked.boxes.reshape(-1, 2, 2)
            boxes = torch.from_numpy(self._placed(corners).reshape(-1, 4))
        if memory is not None:
            masks = torch.from_numpy(memory)[:, None]
        low, scores = self.predictor.predict_low_res(
            coords, labels, boxes, masks, multimask_output=asked.ambiguous
        )
        # One object after the other: masks at full size are large.
        found = [
            (self.predictor.upscale(one[None])[0] > self.model.mask_threshold).cpu().numpy()
            for one in low
        ]
        return Answered(
            np.stack(found),
            scores.double().cpu().numpy(),
            low.float().cpu().numpy(),
        )

    def _placed(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn (row, column) of the plane into (x, y) of the frame."""
        height, width = self.sample.labels.shape
        side = self.predictor.transform.target_length
        resized = self.predictor.transform.get_preprocess_shape(height, width, side)
        return frame_coords(positions[..., ::-1], (height, width), resized)

    def everything(self) -> NDArray[np.int32]:
        """Segment all objects without prompts."""
        return segment_everything(self.model, self.sample.image, self.settings)

"""Decoupled distillation: an encoder learns a teacher's embeddings, the decoder is the teacher's.

The recipe that MobileSAM was made by: since image embedding and decoding meet in nothing but the
embedding, an encoder that gives the same embedding needs no other training. The decoder may be
tuned to the new encoder afterwards (phase ``'frames'``).

References
----------
Zhang et al. 2023, "Faster Segment Anything", arXiv:2306.14289, section 3.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import normalise
from .config import FRAME, STRIDE
from .crops import cut, frame_scale, true_window
from .data import modality_weights
from .model_step import StepResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mobile_sam.checkpoints import LoadedModel
    from mobile_sam.modeling import Sam

    from .config import TrainConfig
    from .data import Item, Reader, Sample


@dataclass(frozen=True, slots=True)
class DistillBatch:
    """B windows and what the teacher makes of them.

    Attributes
    ----------
    images : Tensor, float32, (B, 3, S, S)
    wanted : Tensor, float32, (B, 256, S/16, S/16)
        The windows' parts of the teacher's embeddings of whole frames.
    """

    images: Tensor
    wanted: Tensor


class TeacherEmbeddings:
    """A teacher's embeddings of whole frames, made when first asked for and kept on disk.

    Each is a file of its own, named by the pixels and by the teacher's digest, and appears whole
    or not at all: processes and runs can share a folder, and a killed run goes on where it was.

    Parameters
    ----------
    teacher : LoadedModel
        In eval mode.
    folder : Path
    """

    def __init__(self, teacher: LoadedModel, folder: Path) -> None:
        self.model, self.digest, self.folder = teacher.model, teacher.digest, folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the embedding of a picture, (H, W, 3) uint8: (256, 64, 64) float16."""
        path = self.folder / f'{self.key(image)}.npy'
        kept = _read(path)
        if kept is None:
            kept = self._encode(image)
            _write(path, kept)
        return kept

    def key(self, image: NDArray[np.uint8]) -> str:
        """Return what identifies a picture's embedding: a SHA-256 in hex."""
        content = hashlib.sha256(self.digest.encode())
        content.update(f'{image.dtype.str} {image.shape}'.encode())
        content.update(image.tobytes())
        return content.hexdigest()

    def _encode(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        from mobile_sam.predictor import SamPredictor

        predictor = SamPredictor(self.model)
        predictor.set_image(image)
        half: NDArray[np.float16] = predictor.get_image_embedding()[0].half().cpu().numpy()
        return half


def _read(path: Path) -> NDArray[np.float16] | None:
    try:
        kept = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        # Not there yet, or damaged: then it is made again.
        return None
    tokens = FRAME // STRIDE
    good = kept.dtype == np.float16 and kept.shape == (256, tokens, tokens)
    return kept if good else None


def _write(path: Path, embedding: NDArray[np.float16]) -> None:
    part = path.with_name(f'{path.name}.{uuid.uuid4().hex}.part')
    try:
        with part.open('xb') as stream:
            np.save(stream, embedding, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class DistillSource:
    """Makes the batch of any step of the distillation, from nothing but the seed and the step.

    Windows lie where inference has them, without augmentation, since the teacher sees each picture
    once. A window of 1024 is the whole frame.
    """

    def __init__(
        self,
        embeddings: TeacherEmbeddings,
        items: Sequence[Item],
        reader: Reader,
        config: TrainConfig,
        ranks: int = 1,
    ) -> None:
        self.embeddings, self.items, self.reader = embeddings, list(items), reader
        self.config, self.ranks = config, ranks
        self.weights = modality_weights(self.items)

    def __call__(self, step: int) -> DistillBatch:
        """Return the batch of a step, always the same one."""
        config = self.config
        chances = np.array(config.crop_weights, float)
        # Processes that wait for each other work on windows of equal size.
        rng = np.random.default_rng([config.seed, step // self.ranks, 8])
        side = int(rng.choice(config.crop_sizes, p=chances / chances.sum()))
        rng = np.random.default_rng([config.seed, step, 9])
        drawn = [self._draw(side, rng) for _ in range(config.batch)]
        return DistillBatch(
            torch.from_numpy(np.stack([image for image, _ in drawn])),
            torch.from_numpy(np.stack([wanted for _, wanted in drawn])).float(),
        )

    def _draw(
        self, side: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
        sample = self.reader(self.items[int(rng.choice(len(self.items), p=self.weights))])
        row, col = (self._token(length, side, sample, rng) for length in sample.labels.shape)
        crop = cut(sample, true_window(sample.labels.shape, row * STRIDE, col * STRIDE, side))
        size = side // STRIDE
        embedding = self.embeddings(sample.image)
        return (
            normalise(crop.image, crop.inside),
            embedding[:, row : row + size, col : col + size],
        )

    def _token(self, length: int, side: int, sample: Sample, rng: np.random.Generator) -> int:
        """Draw where a window starts along an axis; it shows the picture, and some padding."""
        shown = min(FRAME, length * frame_scale(sample.labels.shape) + side / 4)
        return int(rng.integers(max(0, int(shown - side)) // STRIDE + 1))


def take_decoder(student: Sam, teacher: Sam) -> None:
    """Give a student the prompt encoder and decoder of a teacher, which do not learn."""
    student.prompt_encoder.load_state_dict(teacher.prompt_encoder.state_dict())
    student.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())
    for part in (student.prompt_encoder, student.mask_decoder):
        part.requires_grad_(False)


def distill_loss(features: Tensor, batch: DistillBatch) -> StepResult:
    """Mean squared difference of embeddings."""
    loss = F.mse_loss(features.float(), batch.wanted.to(features.device))
    nothing: Any = (float('nan'),) * 5
    return StepResult(loss, *nothing)

"""Everything a training run can be told, in one frozen value."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRAME = 1024
"""Side of the square that inference scales and pads every image to, in model pixels."""

PHASES = ('crops', 'frames', 'distill')

OPTIMISERS = ('adamw', 'muon')

STRIDE = 16
"""Model pixels per embedding token."""

LOGIT_STEP = 4
"""Model pixels per pixel of the decoder's logits."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of one training phase.

    Exactly one of `minutes` and `steps` ends the run. With `minutes` the learning rate follows the
    share of time used, so a run on a busy machine still ends with its rate annealed; with `steps`
    the run is reproducible to the number.

    Parameters
    ----------
    data : Path
        Folder with ``manifest.json``, with pairs ``NAME_image.*`` and ``NAME_label.*``, or with
        folders ``images`` and ``labels``.
    out : Path
        Folder for state, log, reports and weights; a run that is found there is resumed.
    phase : str
        ``'crops'`` trains everything on windows of the 1024 frame; ``'frames'`` freezes the
        encoder and tunes the prompt encoder and decoder on embeddings of whole frames;
        ``'distill'`` teaches the encoder the embeddings of `teacher`, whose prompt encoder and
        decoder it takes over as they are.
    minutes, steps : float or int, optional
        Length of the phase; one of the two.
    init : Path, optional
        Checkpoint whose weights the run starts from.
    teacher : Path, optional
        Checkpoint of any SAM architecture, for phase ``'distill'``.
    teacher_cache : Path, optional
        Folder for the teacher's embeddings, which may be shared by runs; by default
        ``embeddings`` in `out`.
    seed : int
        What all random numbers follow from.
    device : str
        ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ``'mps'``; under ``torchrun``, ``'cuda'`` gives each
        process its own GPU.
    amp, compile : bool
        Compute in bfloat16 where that is safe, and compile the encoder. Both pay on a GPU, and
        not on most CPUs.
    threads : int
        Threads of each process on the CPU.
    round_products : bool
        Round the operands of matrix products to bfloat16 and keep everything else float32: as fast
        as mixed precision where a CPU has instructions for it.
    channels_last : bool
        Memory layout that convolutions prefer.
    positions, decoder : str
        ``'keep'`` those of `init`; or ``'draw'`` position frequencies anew, or ``'sharpen'`` them
        for small objects, ``'start'`` with a new prompt encoder and decoder. See
        `mobile_sam.training.optim`.
    crop_sizes, crop_weights : tuple
        Window sides in model pixels (multiples of 16) and how often each is drawn. 224 and 448 fill
        TinyViT's 7 and 14 token windows without padding, which makes them much cheaper than
        their neighbours; the others teach the padded windows that occur at the frame's border.
    views : tuple of float
        Prompts are answered in views of these shares of a window's side, each as often as the
        others; see `mobile_sam.training.views`.
    far : int
        Tokens outside of its view that are shown with each prompt, drawn at random; see
        `mobile_sam.training.far`.
    together : int
        So many windows are of the same picture, and see tokens of each other.
    batch, prompts : int
        Windows per step, and objects prompted per window; of large windows fewer and more.
    box_share : float
        Share of objects prompted with boxes first (the rest with one click).
    corrections : tuple of float
        Probabilities of 0, 1, 2, … correction clicks in a step.
    modalities : tuple of str
        Train on these modalities only; empty means all. A few minutes on one easy modality first
        teach the decoder to follow prompts.
    simulated : float
        Share of windows from the simulator.
    small : float
        Share of windows that show their objects as small ones, and of frames that are put together
        of smaller pictures.
    invented : float
        Share of prompts that are boxes of invented objects; see `mobile_sam.training.invented`.
    augment : bool
        Change intensities, sharpness and orientation of windows at random.
    aux_weight : float
        Weight of the auxiliary dense loss at the start; it decays linearly to zero.
    optimiser : str
        ``'adamw'``, or ``'muon'`` for matrices and AdamW for the rest; see
        `mobile_sam.training.optimisers`.
    lr, weight_decay, warmup, clip : float
        Highest learning rate and weight decay, share of the run in which the rate rises, largest
        norm of the gradient.
    ema : float
        Decay of the averaged weights that are validated and exported.
    limit : int, optional
        Use only so many images, for training and validation alike: an overfitting test.
    validate_minutes, save_minutes : float
        How often to validate, and to save the state that a killed run resumes from.
    validate_images, validate_objects : int
        Planes of each modality, and objects of each plane, to validate on.
    cached_frames : int
        Frames that phase ``'frames'`` embeds and keeps.
    """

    data: Path
    out: Path
    phase: str = 'crops'
    minutes: float | None = None
    steps: int | None = None
    init: Path | None = None
    teacher: Path | None = None
    teacher_cache: Path | None = None
    positions: str = 'keep'
    decoder: str = 'keep'
    seed: int = 0
    device: str = 'cpu'
    amp: bool = False
    compile: bool = False
    threads: int = 2
    round_products: bool = False
    channels_last: bool = True
    crop_sizes: tuple[int, ...] = (224, 448, 192)
    crop_weights: tuple[float, ...] = (0.7, 0.25, 0.05)
    views: tuple[float, ...] = (0.57, 0.57, 1.0)
    far: int = 192
    together: int = 2
    batch: int = 4
    prompts: int = 9
    box_share: float = 0.5
    corrections: tuple[float, ...] = (0.5, 0.24, 0.1, 0.06, 0.04, 0.03, 0.02, 0.01)
    modalities: tuple[str, ...] = ()
    simulated: float = 0.0
    small: float = 0.0
    invented: float = 0.0
    augment: bool = True
    aux_weight: float = 0.5
    optimiser: str = 'adamw'
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.998
    limit: int | None = None
    validate_minutes: float = 15.0
    validate_images: int = 4
    validate_objects: int = 8
    save_minutes: float = 2.0
    cached_frames: int = 240

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f'phase must be one of {", ".join(PHASES)}; got {self.phase!r}.')
        if (self.phase == 'distill') != (self.teacher is not None):
            raise ValueError(
                "Phase 'distill' needs a teacher, and no other phase takes one; "
                f'got phase {self.phase!r} and teacher {self.teacher}.'
            )
        if (self.minutes is None) == (self.steps is None):
            raise ValueError(
                'Give the length of the run either as minutes or as steps; '
                f'got minutes={self.minutes}, steps={self.steps}.'
            )
        positions, decoders = ('keep', 'draw', 'sharpen'), ('keep', 'start')
        if self.positions not in positions or self.decoder not in decoders:
            raise ValueError(
                "positions is 'keep', 'draw' or 'sharpen' and decoder 'keep' or 'start'; "
                f'got {self.positions!r} and {self.decoder!r}.'
            )
        if self.optimiser not in OPTIMISERS:
            raise ValueError(
                f'optimiser must be one of {", ".join(OPTIMISERS)}; got {self.optimiser!r}.'
            )
        if len(self.crop_sizes) != len(self.crop_weights) or not self.crop_sizes:
            raise ValueError(
                'crop_sizes and crop_weights must have the same, non-zero length; '
                f'got {len(self.crop_sizes)} and {len(self.crop_weights)}.'
            )
        wrong = [s for s in self.crop_sizes if s % STRIDE or not 0 < s <= FRAME]
        if wrong:
            raise ValueError(
                f'crop sizes must be multiples of {STRIDE} up to {FRAME}; got {wrong}.'
            )
        if not math.isclose(sum(self.corrections), 1.0, abs_tol=1e-6):
            raise ValueError(f'corrections must sum to 1; got {sum(self.corrections)}.')

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self).items()
        }

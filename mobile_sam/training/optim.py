"""Schedule, parameter groups and averaged weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

ATTENTION_GAIN = 1.5
"""Start gain of tied projections: a prompt's own place gets about e^4 of the others' attention."""

CYCLES = (0.1, 8.0)
"""Lowest and highest position frequency, in cycles per half a frame (512 model pixels)."""

FINE_PERIODS = (16, 16, 20, 24, 32, 32, 40, 48)
"""Periods of `sharpen_positions`, model pixels. A token is 16 wide: the first tell where in its
token a prompt lies, whichever token that is."""

FLOOR = 0.01
"""Learning rate at the end, as a share of the highest."""


def rate(progress: float, warmup: float) -> float:
    """Learning rate at a share of the run, as a share of the highest: ramp, then half a cosine."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    angle = math.pi * (progress - warmup) / (1 - warmup)
    return FLOOR + (1 - FLOOR) * (1 + math.cos(angle)) / 2


def parameter_groups(modules: Iterable[nn.Module], decay: float) -> list[dict[str, object]]:
    """Split parameters into those with weight decay and those without (norms, biases, tables)."""
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for module in modules:
        for part in module.modules():
            for name, parameter in part.named_parameters(recurse=False):
                if not parameter.requires_grad:
                    continue
                plain = parameter.ndim < 2 or isinstance(part, nn.Embedding) or 'bias' in name
                (kept if plain else decayed).append(parameter)
    return [
        {'params': decayed, 'weight_decay': decay},
        {'params': kept, 'weight_decay': 0.0},
    ]


class Average:
    """Exponential moving average of a model's weights; buffers are copied.

    The decay starts low and rises to its value, so early averages forget the random start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.state = {name: v.detach().clone() for name, v in model.state_dict().items()}
        self._learned = {name for name, _ in model.named_parameters()}

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self.updates += 1
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine: list[Tensor] = []
        theirs: list[Tensor] = []
        for name, value in model.state_dict().items():
            if name in self._learned:
                mine.append(self.state[name])
                theirs.append(value.detach())
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(mine, theirs, share)

    def load(self, state: dict[str, Tensor], updates: int) -> None:
        """Go on from a saved average."""
        for name, value in state.items():
            self.state[name].copy_(value)
        self.updates = updates


def draw_positions(model: nn.Module, seed: int) -> None:
    """Redraw the position frequencies of the prompt encoder: shape and meaning stay the same.

    Attention compares positions by a sum of cosines of their distance, so it can only tell apart,
    or hold together, what fits the periods at hand. SAM draws them from a normal distribution
    with standard deviation 1, about 500 model pixels, and learns the rest from a million images.
    Here periods are spread evenly, in octaves, from 64 model pixels to beyond the frame: short ones
    for small objects, long ones to hold the inside of a large box together. Half of them lie
    along the axes, as the sides of boxes do.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, matrix in model.named_buffers():
            if not name.endswith('positional_encoding_gaussian_matrix'):
                continue
            count = matrix.shape[1]
            low, high = (math.log10(v) for v in CYCLES)
            cycles = torch.logspace(low, high, count // 2)
            free = 2 * math.pi * torch.rand(count - len(cycles), generator=generator)
            straight = math.pi / 2 * (torch.arange(len(cycles)) % 2)
            angles = torch.cat([straight, free])
            lengths = torch.cat([cycles, cycles[: len(free)]])
            matrix.copy_(torch.stack([angles.cos(), angles.sin()]) * lengths)


def sharpen_positions(model: nn.Module) -> None:
    """Put short periods in the place of the longest: shape and meaning stay the same.

    For weights that know the frame well, and place small objects some model pixels off. Image
    tokens carry positions of 16 model pixels; what is finer has to come from the prompt alone.
    """
    fine = torch.tensor([512 / period for period in FINE_PERIODS])
    zero = torch.zeros_like(fine)
    columns = torch.cat([torch.stack([fine, zero]), torch.stack([zero, fine])], 1)
    with torch.no_grad():
        for name, matrix in model.named_buffers():
            if name.endswith('positional_encoding_gaussian_matrix'):
                longest = matrix.norm(dim=0).argsort(stable=True)[: columns.shape[1]]
                matrix[:, longest] = columns.to(matrix)


def prepare_start(model: nn.Module, seed: int) -> None:
    """Change random start weights so that a short run gets further; shapes stay the same.

    Positions are redrawn, see `draw_positions`.

    The attentions between tokens and image start with equal query and key projections. Positions
    are part of both, so image features near a prompt exchange with it from the first step; with
    independent projections the decoder first spends hundreds of steps on marking everything.

    The depthwise convolutions of TinyViT's blocks have no residual path. They start as the
    identity, plus their random weights scaled down.
    """
    draw_positions(model, seed)
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, module in modules.items():
            if 'attn_' in name and name.endswith('q_proj'):
                keys = modules[name.removesuffix('q_proj') + 'k_proj']
                nn.init.orthogonal_(module.weight, ATTENTION_GAIN)
                keys.weight.copy_(module.weight)
            if 'point_embed' in name and isinstance(module, nn.Embedding):
                module.weight.mul_(0.3)
        for name, weight in model.named_parameters():
            if name.endswith('local_conv.c.weight'):
                weight.mul_(0.3)
                weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2] += 1

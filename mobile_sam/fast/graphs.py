"""Recorded kernels: an encoder on a graphics card without the host's part of each of its steps.

The encoder launches some hundred kernels, most of them shorter than the host takes to launch the
next one. A CUDA graph launches all of them at once, for tensors of one shape at one place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from .backends import Encode

#: Records an encoder for batches like the given one.
Record = Callable[[Encode, Tensor], Encode]

# A picture of its own, and a pass of a stack. Each keeps what lies between its layers.
_SHAPES = 2


def record_cuda(encode: Encode, like: Tensor) -> Encode:
    """Record a CUDA graph of an encoder, which waits for nothing; see `torch.cuda.graph`."""
    pixels = like.clone()
    # What libraries choose and allocate with the first calls must not be part of it.
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(2):
            encode(pixels)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        features = encode(pixels)

    def replay(x: Tensor) -> Tensor:
        pixels.copy_(x)
        graph.replay()
        return features.clone()  # where they are, the next batch's will be

    return replay


class Replayed:
    """An encoder that is recorded when batches of a shape come a second time.

    Belongs to one thread at a time, one precision, and the weights as they are where they are.

    Parameters
    ----------
    encode
        Is called as it is for shapes that were not seen before, and wherever recording fails.
    record
        How to record it.
    """

    def __init__(self, encode: Encode, record: Record = record_cuda) -> None:
        self._encode, self._record = encode, record
        self._seen: set[torch.Size] = set()
        self._recorded: dict[torch.Size, Encode] = {}
        self._failed = False

    def __call__(self, x: Tensor) -> Tensor:
        """Encode images, (B, 3, H, W) → (B, C, H / 16, W / 16)."""
        replay = self._recorded.get(x.shape)
        if replay is None and x.shape in self._seen:
            replay = self._recording(x)
        self._seen.add(x.shape)
        return self._encode(x) if replay is None else replay(x)

    def release(self) -> None:
        """Give the memory of the recordings back; shapes are recorded again when they come."""
        self._recorded.clear()

    def _recording(self, x: Tensor) -> Encode | None:
        if self._failed or len(self._recorded) == _SHAPES:
            return None
        try:
            self._recorded[x.shape] = self._record(self._encode, x)
        except RuntimeError as error:  # also where memory does not suffice
            self._failed = True
            warnings.warn(
                f'The encoder could not be recorded as a CUDA graph ({error}): going on without, '
                'which gives the same and is slower.',
                RuntimeWarning,
                stacklevel=3,
            )
        return self._recorded.get(x.shape)

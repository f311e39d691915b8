"""Recorded kernels: work on a graphics card without the host's part of each of its steps.

The encoder and the decoder launch some hundred kernels, most of them shorter than the host takes to
launch the next one. A CUDA graph launches all of them at once, for tensors of one shape at one
place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: Computes tensors from tensors.
Call = Callable[..., tuple[Tensor, ...]]
#: Records a call for tensors like the given ones.
Record = Callable[[Call, Sequence[Tensor]], Call]


def record_cuda(call: Call, like: Sequence[Tensor]) -> Call:
    """Record a CUDA graph of a call, which waits for nothing; see `torch.cuda.graph`."""
    inputs = [tensor.clone() for tensor in like]
    # What libraries choose and allocate with the first calls must not be part of it.
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(2):
            call(*inputs)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode='thread_local'):
        results = call(*inputs)

    def replay(*given: Tensor) -> tuple[Tensor, ...]:
        for mine, tensor in zip(inputs, given, strict=True):
            mine.copy_(tensor)
        graph.replay()
        return tuple(result.clone() for result in results)  # the next call's will be in their place

    return replay


class Replayed:
    """A call that is recorded when tensors of the same shapes come a second time.

    Belongs to one thread at a time, one precision, and the weights as they are where they are.

    Parameters
    ----------
    call
        Is made as it is for shapes that were not seen before, and wherever recording fails.
    what
        Its name in the warning that recording failed.
    most
        Recordings that are kept; each keeps what lies between the first step and the last.
    record
        How to record it.
    """

    def __init__(self, call: Call, what: str, most: int, record: Record = record_cuda) -> None:
        self._call, self._what, self._most, self._record = call, what, most, record
        self._seen: set[tuple[torch.Size, ...]] = set()
        self._recorded: dict[tuple[torch.Size, ...], Call] = {}
        self._failed = False

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Make the call, or replay it."""
        shapes = tuple(tensor.shape for tensor in inputs)
        replay = self._recorded.get(shapes)
        if replay is None and shapes in self._seen:
            replay = self._recording(shapes, inputs)
        self._seen.add(shapes)
        return (self._call if replay is None else replay)(*inputs)

    def release(self) -> None:
        """Give the memory of the recordings back; shapes are recorded again when they come."""
        self._recorded.clear()

    def _recording(self, shapes: tuple[torch.Size, ...], inputs: Sequence[Tensor]) -> Call | None:
        if self._failed or len(self._recorded) == self._most:
            return None
        try:
            self._recorded[shapes] = self._record(self._call, inputs)
        except RuntimeError as error:  # also where memory does not suffice
            self._failed = True
            warnings.warn(
                f'The {self._what} could not be recorded as a CUDA graph ({error}): going on '
                'without, which gives the same and is slower.',
                RuntimeWarning,
                stacklevel=4,
            )
        return self._recorded.get(shapes)

"""Stands for a graphics card that records."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mobile_sam.fast.graphs import Call


class Tape:
    """Notes by lengths what is recorded, and how often that is played.

    As a graph does, a recording reads and writes the same tensors each time.
    """

    def __init__(self, fail: bool = False) -> None:
        self.recorded: list[list[int]] = []
        self.played: list[list[int]] = []
        self.fail = fail

    def record(self, call: Call, like: Sequence[Tensor]) -> Call:
        lengths = [len(tensor) for tensor in like]
        self.recorded.append(lengths)
        if self.fail:
            raise RuntimeError('operation not permitted when stream is capturing')
        inputs = [tensor.clone() for tensor in like]
        results = call(*inputs)

        def replay(*given: Tensor) -> tuple[Tensor, ...]:
            self.played.append(lengths)
            for mine, tensor in zip(inputs, given, strict=True):
                mine.copy_(tensor)
            for mine, tensor in zip(results, call(*inputs), strict=True):
                mine.copy_(tensor)
            return tuple(result.clone() for result in results)

        return replay

"""What is recorded when, and that all goes on where it cannot be."""

from __future__ import annotations

import warnings

import pytest
import torch
from tape import Tape
from torch import Tensor

from mobile_sam.fast.graphs import Replayed


def double(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(2 * tensor for tensor in tensors)


def batches(*lengths: int) -> list[Tensor]:
    return [torch.full((length, 3, 4, 4), float(place)) for place, length in enumerate(lengths)]


def replayed(tape: Tape, most: int = 2) -> Replayed:
    return Replayed(double, 'doubling', most, tape.record)


def test_a_shape_is_recorded_when_it_comes_again() -> None:
    tape = Tape()
    call = replayed(tape)
    for batch in batches(8, 8, 8, 4, 1, 1, 8):
        assert torch.equal(call(batch)[0], 2 * batch)
    assert tape.recorded == [[8], [1]]
    assert tape.played == [[8], [8], [1], [8]]


def test_shapes_are_those_of_all_tensors() -> None:
    tape = Tape()
    call = replayed(tape)
    one, other = batches(1, 2)
    for inputs in ((one, one), (one, other), (one,), (one, other)):
        results = call(*inputs)
        assert all(torch.equal(*pair) for pair in zip(results, double(*inputs), strict=True))
    assert tape.recorded == [[1, 2]]


def test_results_stay_when_others_are_computed() -> None:
    call = replayed(Tape())
    results = [call(batch)[0] for batch in batches(1, 1, 1, 1)]
    assert [float(result[0, 0, 0, 0]) for result in results] == [0, 2, 4, 6]


def test_no_more_are_kept_than_asked_for_until_they_are_released() -> None:
    tape = Tape()
    call = replayed(tape, most=2)
    for batch in batches(1, 1, 2, 2, 3, 3, 3):
        assert torch.equal(call(batch)[0], 2 * batch)
    assert tape.recorded == [[1], [2]]
    call.release()
    call(*batches(3))
    assert tape.recorded == [[1], [2], [3]]


def test_goes_on_without_where_recording_fails() -> None:
    tape = Tape(fail=True)
    call = replayed(tape)
    first, again, third, fourth = batches(2, 2, 2, 2)
    assert torch.equal(call(first)[0], 2 * first)
    with pytest.warns(RuntimeWarning, match=r'doubling .*not permitted when stream is capturing'):
        assert torch.equal(call(again)[0], 2 * again)
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # it says so once
        for batch in (third, fourth):
            assert torch.equal(call(batch)[0], 2 * batch)
    assert tape.recorded == [[2]]

"""What is recorded when, and that all goes on where it cannot be."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from mobile_sam.fast.backends import Encode
from mobile_sam.fast.encoder_forms import encoder_form
from mobile_sam.fast.graphs import Replayed
from mobile_sam.modeling import Sam


class Tape:
    """Stands for a card: notes what is recorded, and how often that is played."""

    def __init__(self, fail: bool = False) -> None:
        self.recorded: list[int] = []
        self.played: list[int] = []
        self.fail = fail

    def record(self, encode: Encode, like: Tensor) -> Encode:
        self.recorded.append(len(like))
        if self.fail:
            raise RuntimeError('operation not permitted when stream is capturing')

        def replay(x: Tensor) -> Tensor:
            self.played.append(len(x))
            return encode(x)

        return replay


def double(x: Tensor) -> Tensor:
    return 2 * x


def batches(*lengths: int) -> list[Tensor]:
    return [torch.full((length, 3, 4, 4), float(place)) for place, length in enumerate(lengths)]


def test_a_shape_is_recorded_when_it_comes_again() -> None:
    tape = Tape()
    encode = Replayed(double, tape.record)
    for batch in batches(8, 8, 8, 4, 1, 1, 8):
        assert torch.equal(encode(batch), 2 * batch)
    assert tape.recorded == [8, 1]
    assert tape.played == [8, 8, 1, 8]


def test_no_more_than_two_are_kept_until_they_are_released() -> None:
    tape = Tape()
    encode = Replayed(double, tape.record)
    for batch in batches(1, 1, 2, 2, 3, 3, 3):
        assert torch.equal(encode(batch), 2 * batch)
    assert tape.recorded == [1, 2]
    encode.release()
    encode(*batches(3))
    assert tape.recorded == [1, 2, 3]


def test_goes_on_without_where_recording_fails() -> None:
    tape = Tape(fail=True)
    encode = Replayed(double, tape.record)
    first, again, third, fourth = batches(2, 2, 2, 2)
    assert torch.equal(encode(first), 2 * first)
    with pytest.warns(RuntimeWarning, match='not permitted when stream is capturing'):
        assert torch.equal(encode(again), 2 * again)
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # it says so once
        for batch in (third, fourth):
            assert torch.equal(encode(batch), 2 * batch)
    assert tape.recorded == [2]


def test_is_used_on_graphics_cards_only(small_sam: Sam) -> None:
    form, name = encoder_form(small_sam.image_encoder, 'cuda:0')
    assert isinstance(form, Replayed)
    assert name == 'torch, CUDA graphs'
    for device in ('cpu', 'mps'):
        assert not isinstance(encoder_form(small_sam.image_encoder, device)[0], Replayed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_a_graph_gives_the_same(small_sam: Sam) -> None:
    side = small_sam.image_encoder.img_size
    encoder = small_sam.image_encoder.cuda()
    try:
        encode = Replayed(encoder)
        with torch.inference_mode():
            for seed in range(4):
                x = torch.randn(
                    2, 3, side, side, generator=torch.Generator().manual_seed(seed)
                ).cuda()
                torch.testing.assert_close(encode(x), encoder(x), rtol=1e-4, atol=1e-4)
    finally:
        encoder.cpu()

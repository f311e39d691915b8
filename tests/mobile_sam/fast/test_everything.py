"""Proposals of many points: the same, in the same order, however many threads there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mobile_sam.fast.crew import Crew
from mobile_sam.fast.decoder import FastDecoder
from mobile_sam.fast.everything import Proposal, propose
from mobile_sam.fast.forms import DecoderForm, PlainDecoder
from mobile_sam.modeling import Sam


def proposals(sam: Sam, form: DecoderForm, count: int = 43) -> list[list[Proposal]]:
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(256, 8, 8, generator=rng)
    points = torch.rand(count, 2, generator=rng) * 128
    return list(propose(sam, form, form.image_side(features), points, -1.0, 16))


@pytest.mark.parametrize('members', [2, 3])
def test_threads_change_nothing(small_sam: Sam, members: int) -> None:
    def fast(members: int) -> Any:
        return FastDecoder(small_sam.prompt_encoder, small_sam.mask_decoder, Crew(members))

    plain = proposals(small_sam, PlainDecoder(small_sam))
    alone, shared = proposals(small_sam, fast(1)), proposals(small_sam, fast(members))
    assert len(plain) == len(alone) == len(shared) == 11
    for some in (alone, shared):
        found = [each for group in some for each in group]
        expected = [each for group in plain for each in group]
        assert [each.point for each in found] == [each.point for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)
            np.testing.assert_allclose(one.logits, other.logits, atol=1e-3)


def test_nothing_is_done_ahead_of_a_reader_who_stops(small_sam: Sam) -> None:
    form = FastDecoder(small_sam.prompt_encoder, small_sam.mask_decoder, Crew(2))
    asked = []
    attend = form.attend

    def counting(*arguments: Any, **options: Any) -> Any:
        asked.append(len(arguments[1]))
        return attend(*arguments, **options)

    form.attend = counting  # type: ignore[method-assign]
    image = form.image_side(torch.randn(256, 8, 8))
    next(propose(small_sam, form, image, torch.rand(200, 2) * 128, -1.0, 16))
    assert sum(asked) <= 4 * 2 * 4

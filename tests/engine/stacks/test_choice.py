from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine.stacks import MaskPatch, overlap
from napari_mobilesam.engine.stacks.choice import Chosen, choose


def square(side: int, score: float, mode: str = 'box') -> Chosen:
    return Chosen(MaskPatch.cut(np.ones((side, side), bool), 20, 20), score, 0.0, mode)


def test_the_mask_most_like_the_slice_before_does_not_win_for_that() -> None:
    before = square(20, 1).patch
    offers = [square(20, 0.8, 'mask'), square(15, 0.8, 'box'), square(14, 0.8, 'points')]
    chosen = choose(offers, before)
    assert overlap(chosen.patch, offers[1].patch) == 1
    assert chosen.mode == 'box'
    assert chosen.score == pytest.approx(0.8)
    # but it is trusted less than one that is also like the slice before
    assert chosen.agreement < choose(offers, square(15, 1).patch).agreement


def test_a_mask_that_one_prompt_alone_gives_is_not_taken_however_sure() -> None:
    offers = [square(40, 0.95, 'mask'), square(15, 0.8, 'box'), square(14, 0.8, 'points')]
    assert choose(offers, square(20, 1).patch).patch.area == 15**2
    # nor one that the model itself does not believe in
    doubted = [square(13, 0.01, 'mask'), square(15, 0.8, 'box'), square(15, 0.8, 'points')]
    chosen = choose(doubted, square(13, 1).patch)
    assert chosen.patch.area == 15**2
    assert chosen.score > 0.75


def test_masks_that_share_nothing() -> None:
    apart = [square(5, 0.4), Chosen(square(5, 1).patch.shifted(30, 0), 0.6, 0.0, 'mask')]
    chosen = choose(apart, square(5, 1).patch)
    assert (chosen.mode, chosen.agreement) == ('mask', 0)
    assert chosen.patch


def test_one_offer_and_none() -> None:
    alone = choose([square(10, 0.5)], square(20, 1).patch)
    assert alone.agreement == pytest.approx(0.25)
    with pytest.raises(ValueError, match='at least one mask'):
        choose([], alone.patch)

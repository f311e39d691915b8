from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from napari_mobilesam.exchange import ExchangeError, rle

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@given(MASKS)
def test_masks_come_back(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(rle.decode(rle.encode(mask), mask.shape), mask)


@given(MASKS)
def test_strings_are_those_of_pycocotools(mask: NDArray[np.bool_]) -> None:
    reference = pytest.importorskip('pycocotools.mask')
    theirs = reference.encode(np.asfortranarray(mask, np.uint8))
    assert rle.encode(mask) == theirs['counts'].decode()
    assert np.array_equal(rle.decode(theirs['counts'], mask.shape), mask)


def test_long_runs() -> None:
    mask = np.zeros((3000, 2000), bool)
    mask[1500:, 700:1900] = True
    assert np.array_equal(rle.decode(rle.encode(mask), mask.shape), mask)
    assert rle.encode_counts(np.ones((2, 3), bool)) == [0, 6]


@given(st.text(max_size=30))
def test_damage_is_told(text: str) -> None:
    try:
        mask = rle.decode(text, (5, 5))
    except ExchangeError:
        return
    assert mask.shape == (5, 5)


@pytest.mark.parametrize('counts', [[4], [30], [-1, 26], [5, 5, 5], ['a'], [2**70], None, [[25]]])
def test_wrong_counts_are_told(counts: object) -> None:
    with pytest.raises(ExchangeError, match='run'):
        rle.decode_counts(counts, (5, 5))  # type: ignore[arg-type]

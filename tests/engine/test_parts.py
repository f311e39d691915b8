from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import Prompts
from napari_mobilesam.engine.parts import prompted_parts


@pytest.fixture
def mask() -> np.ndarray:
    """Three parts: a block, a speck diagonally beside it, and a bar."""
    mask = np.zeros((20, 30), bool)
    mask[2:8, 2:8] = True
    mask[8, 8] = True
    mask[12:14, 5:25] = True
    return mask


def kept(mask: np.ndarray, prompts: Prompts, corner: tuple[int, int] = (0, 0)) -> list[str]:
    result = prompted_parts(mask, prompts, corner)
    assert not (result & ~mask).any()
    where = {'block': (4, 4), 'speck': (8, 8), 'bar': (12, 10)}
    sizes = {'block': 36, 'speck': 1, 'bar': 40}
    names = [name for name, place in where.items() if result[place]]
    assert result.sum() == sum(sizes[name] for name in names), 'parts are kept whole'
    return names


def test_parts_under_positive_points(mask: np.ndarray) -> None:
    assert kept(mask, Prompts(((4.4, 3.6),), (True,))) == ['block']
    assert kept(mask, Prompts(((4, 4), (12.6, 20)), (True, True))) == ['block', 'bar']


def test_a_negative_point_keeps_nothing(mask: np.ndarray) -> None:
    assert kept(mask, Prompts(((4, 4), (12, 20)), (True, False))) == ['block']


def test_parts_that_lie_in_the_box(mask: np.ndarray) -> None:
    assert kept(mask, Prompts(box=(0, 0, 9, 9))) == ['block', 'speck']
    # 9 of the bar's 20 columns are not enough, 11 are.
    assert kept(mask, Prompts(box=(0, 0, 19, 13))) == ['block', 'speck']
    assert kept(mask, Prompts(box=(0, 0, 19, 15))) == ['block', 'speck', 'bar']
    assert kept(mask, Prompts(((12, 20),), (True,), box=(0, 0, 9, 9))) == ['block', 'speck', 'bar']


@pytest.mark.parametrize(
    'prompts',
    [
        Prompts(((0, 0),), (True,)),
        Prompts(((-9, 400),), (True,)),
        Prompts(((4, 4),), (False,)),
        Prompts(box=(15, 0, 19, 29)),
        Prompts(box=(-9, -9, -5, -5)),
    ],
)
def test_a_mask_beside_all_prompts_is_kept_whole(mask: np.ndarray, prompts: Prompts) -> None:
    assert kept(mask, prompts) == ['block', 'speck', 'bar']


def test_a_patch_knows_its_place(mask: np.ndarray) -> None:
    prompts = Prompts(((104, 204),), (True,))
    assert kept(mask, prompts, corner=(100, 200)) == ['block']
    assert kept(mask, Prompts(box=(100, 200, 109, 209)), (100, 200)) == ['block', 'speck']


def test_empty_and_single() -> None:
    nothing = np.zeros((0, 0), bool)
    assert prompted_parts(nothing, Prompts(((4, 4),), (True,))).shape == (0, 0)
    one = np.ones((3, 3), bool)
    assert prompted_parts(one, Prompts(((40, 4),), (True,))) is one

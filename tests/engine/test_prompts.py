from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mobilesam.engine import PromptOutsidePlaneError, Prompts

NUMBER = st.floats(-50, 50)
POINT = st.tuples(NUMBER, NUMBER)


def test_empty_ones_are_falsy() -> None:
    assert not Prompts()
    assert Prompts(((1, 2),), (True,))
    assert Prompts(box=(0, 0, 1, 1))


def test_values_are_plain_hashable_and_sorted() -> None:
    prompts = Prompts([[1, 2]], [1], box=[9, 8, 3, 4])
    assert prompts == Prompts(((1.0, 2.0),), (True,), (3.0, 4.0, 9.0, 8.0))
    assert len({prompts, Prompts(((1.0, 2.0),), (True,), (3.0, 4.0, 9.0, 8.0))}) == 1


def test_adding() -> None:
    prompts = Prompts().with_point(1, 2).with_point(3, 4, positive=False).with_box((0, 0, 5, 5))
    assert prompts == Prompts(((1, 2), (3, 4)), (True, False), (0, 0, 5, 5))
    assert prompts.with_box(None).box is None


@pytest.mark.parametrize(
    ('prompts', 'ambiguous'),
    [
        (Prompts(((1, 1),), (True,)), True),
        (Prompts(((1, 1),), (False,)), False),
        (Prompts(((1, 1), (2, 2)), (True, True)), False),
        (Prompts(((1, 1),), (True,), (0, 0, 3, 3)), False),
        (Prompts(box=(0, 0, 3, 3)), False),
    ],
)
def test_only_a_lone_positive_point_is_ambiguous(prompts: Prompts, ambiguous: bool) -> None:
    assert prompts.ambiguous is ambiguous


def test_each_point_needs_a_polarity() -> None:
    with pytest.raises(ValueError, match='1 points, 2 polarities'):
        Prompts(((1, 1),), (True, False))


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_coordinates_are_finite(bad: float) -> None:
    with pytest.raises(ValueError, match='finite'):
        Prompts(((1, bad),), (True,))
    with pytest.raises(ValueError, match='finite'):
        Prompts(box=(0, 0, bad, 1))


def test_outer_half_pixels_belong_to_the_plane() -> None:
    prompts = Prompts(((-0.5, 9.5), (-0.6, 3), (2, 9.6)), (True, False, True), (-3, -3, 4, 99))
    clipped = prompts.clipped((5, 10))
    assert clipped == Prompts(((0, 9),), (True,), (-0.5, -0.5, 4, 9.5))


@pytest.mark.parametrize(
    'prompts',
    [
        Prompts(((-3, 2),), (True,)),
        Prompts(((2, 20), (-1, 2)), (True, False)),
        Prompts(box=(6, 0, 9, 3)),
        Prompts(((7, 7),), (True,), (-9, -9, -1, -1)),
    ],
)
def test_wholly_outside(prompts: Prompts) -> None:
    with pytest.raises(PromptOutsidePlaneError, match='5 rows and 10 columns'):
        prompts.clipped((5, 10))


@given(
    points=st.lists(st.tuples(POINT, st.booleans()), max_size=5),
    box=st.none() | st.tuples(NUMBER, NUMBER, NUMBER, NUMBER),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_clipped_prompts_lie_on_the_plane_and_stay(points, box, shape) -> None:
    prompts = Prompts(tuple(p for p, _ in points), tuple(s for _, s in points), box)
    try:
        clipped = prompts.clipped(shape)
    except PromptOutsidePlaneError:
        return
    assert clipped.clipped(shape) == clipped
    assert all(0 <= r <= shape[0] - 1 and 0 <= c <= shape[1] - 1 for r, c in clipped.points)
    if clipped.box is not None:
        row0, column0, row1, column1 = clipped.box
        assert -0.5 <= row0 <= row1 <= shape[0] - 0.5
        assert -0.5 <= column0 <= column1 <= shape[1] - 0.5

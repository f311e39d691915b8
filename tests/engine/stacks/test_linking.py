from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine.stacks import MaskPatch, overlap
from napari_mobilesam.engine.stacks.linking import (
    LinkOptions,
    SliceObject,
    link,
    paint_linked,
)


def disc(index: int, row: int, column: int, radius: float = 6, score: float = 0.9) -> SliceObject:
    rows, columns = np.indices((64, 64))
    mask = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return SliceObject(index, MaskPatch.cut(mask), score)


def test_chains_follow_their_object() -> None:
    slices = {z: [disc(z, 40, 40 - z), disc(z, 20, 20 + z)] for z in range(6)}
    first, second = link(slices)
    assert [m.index for m in first.members] == list(range(6))
    assert {m.patch.row for m in first.members} == {34}
    assert {m.patch.row for m in second.members} == {14}
    assert (first.first, first.last) == (0, 5)
    assert first.score == pytest.approx(0.9)


def test_the_assignment_is_global() -> None:
    # a greedy linker gives the lower disc its best partner, and leaves the upper one without
    one, two = disc(0, 20, 20, 8), disc(0, 20, 28, 8)
    near, far = disc(1, 20, 24, 8), disc(1, 20, 33, 8)
    assert overlap(two.patch, near.patch) > overlap(one.patch, near.patch) - 1e-9
    linked = link({0: [one, two], 1: [near, far]}, LinkOptions(min_overlap=0.1))
    assert [[m.patch.column for m in chain.members] for chain in linked] == [[12, 16], [20, 25]]


def test_gaps_are_closed_and_filled() -> None:
    slices = {z: [disc(z, 20, 20)] for z in (0, 1, 3, 4)} | {2: []}
    (whole,) = link(slices, LinkOptions(max_gap=1))
    filled = whole.at(2)
    assert filled is not None
    assert overlap(filled, disc(2, 20, 20).patch) > 0.95
    assert whole.at(5) is None
    assert len(link(slices, LinkOptions(max_gap=0))) == 2
    assert paint_linked([whole], 2, (64, 64)).max() == 1


def test_thresholds() -> None:
    slices = {z: [disc(z, 20, 20, score=0.3), disc(z, 45, 45, 2)] for z in range(4)}
    assert len(link(slices)) == 2
    assert len(link(slices, LinkOptions(min_score=0.5))) == 1
    assert len(link(slices, LinkOptions(min_area=30))) == 1
    assert link(slices, LinkOptions(min_slices=5)) == []
    assert link({}) == []
    assert link({0: [], 3: []}) == []
    with pytest.raises(ValueError, match='min_overlap'):
        LinkOptions(min_overlap=0)
    with pytest.raises(ValueError, match='not negative'):
        LinkOptions(max_gap=-1)


def test_better_objects_lie_on_top() -> None:
    good = link({z: [disc(z, 20, 20, score=0.9)] for z in range(2)})
    bad = link({z: [disc(z, 20, 26, score=0.4)] for z in range(2)})
    for order in (good + bad, bad + good):
        painted = paint_linked(order, 0, (64, 64))
        assert painted[20, 23] == order.index(good[0]) + 1

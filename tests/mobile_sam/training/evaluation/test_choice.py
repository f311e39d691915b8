from __future__ import annotations

from pathlib import Path

import numpy as np

from mobile_sam.training.data import Item, Reader, read_items
from mobile_sam.training.evaluation import choose_items, choose_objects


def test_the_choice_is_fixed_and_strata_take_turns():
    path = Path('x')
    items = [Item(f'{s}{i}', 'm', s, f'{s}{i}', path, path) for s in 'ab' for i in range(9)]
    chosen = choose_items(items, 4)
    assert sorted(i.stratum for i in chosen) == ['a', 'a', 'b', 'b']
    assert choose_items(reversed(items), 4) == chosen


def test_objects_are_chosen_over_all_sizes(folder: Path):
    sample = Reader()(read_items(folder)[0])
    areas = np.bincount(sample.labels.ravel())
    chosen = choose_objects(sample, 2)
    assert {areas[i] for i in chosen} == {areas[1:].min(), areas[1:].max()}

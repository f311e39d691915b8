from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine import Cancelled, CancelToken, Survey
from napari_mobilesam.engine.regions import disjoint


def survey(labels: object) -> Survey:
    made = Survey(labels)
    while not made.advance(CancelToken(), 0):
        pass
    return made


@pytest.mark.parametrize('shape', [(40, 50), (5, 40, 50), (2, 3, 20, 20)])
@pytest.mark.parametrize('offset', [0, 2**23])
def test_every_object_is_found(shape: tuple[int, ...], offset: int) -> None:
    labels = np.random.default_rng(0).integers(0, 30, shape)
    labels[labels > 0] += offset
    found = survey(labels).found
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    assert {o.label: o.area for o in found.values()} == dict(
        zip(ids.tolist(), areas.tolist(), strict=True)
    )
    for label, record in found.items():
        where = np.argwhere(labels == label)
        expected = zip(where.min(0).tolist(), (where.max(0) + 1).tolist(), strict=True)
        assert record.bounds == tuple(expected)


def test_odd_labels() -> None:
    assert survey(np.zeros((3, 4), np.uint8)).found == {}
    assert survey(np.zeros((0, 4, 4), int)).found == {}
    assert list(survey(np.full((3, 4), 2**40)).found) == [2**40]
    assert list(survey(np.array([[-5, 2], [0, 2]])).found) == [2]


def test_it_works_in_portions_and_can_be_cancelled() -> None:
    made = Survey(np.ones((3, 4, 4), int))
    assert not made.advance(CancelToken(), 0)
    assert made.found[1].area == 16
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        made.advance(token)


def test_regions_that_overlap_are_joined() -> None:
    regions = [((0, 4), (0, 4)), ((3, 6), (3, 6)), ((8, 9), (0, 9)), ((5, 9), (5, 6))]
    joined, member = disjoint(regions)
    assert joined == [((0, 9), (0, 9))], 'the hull of the others reaches the third'
    assert member == [0] * 4
    apart = [((0, 1), (0, 1)), ((1, 2), (0, 1))]
    assert disjoint(apart) == (apart, [0, 1])

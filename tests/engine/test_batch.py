from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou, plane

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    PlaneKey,
    PlaneSource,
    Prompts,
)
from napari_mobilesam.engine.batch import Wish, answers, on_plane, wishes_of_labels

SHAPE = (120, 160)


def test_labels_become_a_box_and_a_mask_each() -> None:
    labels = np.zeros(SHAPE, np.uint32)
    labels[disc(SHAPE, CENTRES[0], 10)] = 4_000_000_000
    labels[disc(SHAPE, CENTRES[1], 8)] = 3
    labels[0:2, 0:3] = 3  # in two parts
    wishes = wishes_of_labels(labels)
    assert [wish.label for wish in wishes] == [3, 4_000_000_000]
    assert wishes[0].prompts.box == (0, 0, 88, 68)
    assert wishes[1].prompts.box == (20, 30, 40, 50)
    mask = wishes[1].prompts.mask
    assert mask is not None
    cell = 160 / 256
    assert np.count_nonzero(mask.logits > 0) * cell**2 == pytest.approx(np.pi * 100, rel=0.1)
    assert wishes_of_labels(np.zeros(SHAPE, int)) == []
    assert [wish.label for wish in wishes_of_labels(np.array([[-1, 0, 5]]))] == [5]


def test_wishes_beside_the_plane_are_left_out() -> None:
    inside, beside = (Wish(Prompts((point,), (True,))) for point in ((5, 5), (500, 5)))
    assert [wish.prompts.points for wish in on_plane([beside, inside], SHAPE)] == [((5, 5),)]


def test_each_wish_is_answered_as_if_alone() -> None:
    annotator = Annotator(FakeSegmenter())
    source = PlaneSource(PlaneKey('i', (0, 1)), plane())
    wishes = [Wish(Prompts((centre,), (True,))) for centre in CENTRES]
    found = list(answers(annotator, source, wishes, CancelToken()))
    for answer, wish, centre in zip(found, wishes, CENTRES, strict=True):
        assert answer.wish is wish
        assert iou(answer.patch.full(), disc(SHAPE, centre, RADIUS)) > 0.9
        assert answer.score == pytest.approx(0.9)


def test_cancelled_in_between() -> None:
    token = CancelToken()
    annotator = Annotator(FakeSegmenter())
    source = PlaneSource(PlaneKey('i', (0, 1)), plane())
    wishes = [Wish(Prompts((centre,), (True,))) for centre in CENTRES]
    found = answers(annotator, source, wishes, token)
    next(found)
    token.cancel()
    with pytest.raises(Cancelled):
        next(found)

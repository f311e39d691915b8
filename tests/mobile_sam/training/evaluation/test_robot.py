from __future__ import annotations

import numpy as np
import pytest
from contestants import Knowing

from mobile_sam.training.data import Sample
from mobile_sam.training.evaluation.robot import play, tight_box


@pytest.fixture
def sample() -> Sample:
    labels = np.zeros((20, 30), np.int32)
    labels[2:9, 3:10], labels[12:18, 20:28] = 1, 2
    return Sample(np.zeros((20, 30, 3), np.uint8), labels, True)


def masks(sample: Sample) -> np.ndarray:
    return sample.labels[None] == np.array([1, 2])[:, None, None]


def half(mask: np.ndarray) -> np.ndarray:
    cut = mask.copy()
    cut[: np.nonzero(mask)[0].min() + 3] = False
    return cut


def test_a_box_lies_on_the_outer_edges_of_pixels(sample: Sample):
    assert tight_box(sample.labels == 1) == (1.5, 2.5, 8.5, 9.5)


def test_a_game_by_hand(sample: Sample):
    contestant = Knowing(half)
    played = play(contestant.look(sample), masks(sample), 2)
    box, first, second, third = contestant.asked
    assert box.boxes is not None
    assert box.boxes.tolist() == [[1.5, 2.5, 8.5, 9.5], [11.5, 19.5, 17.5, 27.5]]
    # The middle of the object, and nothing else: three candidates are wanted.
    assert first.ambiguous
    assert first.points[0, 0].tolist() == [5, 6]
    assert first.positive.all()
    # The upper part is missing: a positive click in its middle, after the first one.
    assert second.points.shape == (2, 2, 2)
    assert second.points[0, 0].tolist() == [5, 6]
    assert second.points[0, 1, 0] == 3
    assert second.positive.all()
    assert third.points.shape == (2, 3, 2)
    assert played.click.tolist() == pytest.approx([4 / 7, 3 / 6])
    assert played.oracle.tolist() == played.box.tolist() == [1, 1]
    assert played.predicted.tolist() == [0.75, 0.75]
    assert played.corrected.tolist() == [[1, 1], [1, 1]]


def test_surplus_is_clicked_away(sample: Sample):
    def all_over(mask: np.ndarray) -> np.ndarray:
        return np.ones_like(mask)

    contestant = Knowing(all_over)
    play(contestant.look(sample), masks(sample), 1)
    last = contestant.asked[-1]
    assert last.positive.tolist() == [[True, False], [True, False]]
    assert sample.labels[tuple(last.points[0, 1].astype(int))] != 1


def test_the_memory_is_of_the_mask_that_is_corrected(sample: Sample):
    contestant = Knowing(half)
    play(contestant.look(sample), masks(sample), 1)
    assert [None if m is None else m.tolist() for m in contestant.memories] == [None, None, [0, 2]]
    contestant = Knowing(half)
    play(contestant.look(sample), masks(sample), 1, remind=False)
    assert contestant.memories == [None, None, None]


def test_a_perfect_mask_is_left_alone(sample: Sample):
    class Spoiling(Knowing):
        def answer(self, asked, memory=None):
            reply = super().answer(asked, memory)
            if asked.points.shape[1] > 1:
                reply.masks[:] = False
            return reply

    played = play(Spoiling().look(sample), masks(sample), 2)
    assert played.corrected.tolist() == [[1, 1], [1, 1]]

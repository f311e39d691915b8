from __future__ import annotations

import numpy as np
import pytest

from mobile_sam.training.data import Sample
from mobile_sam.training.evaluation.asking import Asked
from mobile_sam.training.evaluation.baselines import OtsuWatershed, RandomWalker, baselines
from mobile_sam.training.evaluation.metrics import iou, precision
from mobile_sam.training.evaluation.robot import play


def picture(*, dark: bool = False) -> Sample:
    """Two touching discs and one alone, with noise."""
    rows, cols = np.indices((80, 90))
    labels = np.zeros((80, 90), np.int32)
    for label, (row, col) in enumerate([(24, 24), (24, 42), (58, 66)], 1):
        labels[(rows - row) ** 2 + (cols - col) ** 2 < 10**2] = label
    grey = 50 + 120 * (labels > 0) + np.random.default_rng(0).normal(0, 6, labels.shape)
    grey = np.clip(255 - grey if dark else grey, 0, 255).astype(np.uint8)
    return Sample(np.repeat(grey[..., None], 3, 2), labels, True)


@pytest.mark.parametrize('dark', [False, True])
def test_otsu_finds_the_instance_under_a_click_or_in_a_box(dark: bool):
    sample = picture(dark=dark)
    wanted = sample.labels[None] == np.array([1, 2, 3])[:, None, None]
    played = play(OtsuWatershed().look(sample), wanted, 0)
    assert played.click.min() > 0.85
    assert played.box.min() > 0.85
    assert np.isnan(played.predicted).all()


def test_otsu_segments_everything_on_the_smaller_side():
    for dark in (False, True):
        found = OtsuWatershed().look(picture(dark=dark)).everything()
        assert precision(found, picture().labels, (0.5,)).tolist() == [1]


def test_otsu_adds_and_takes_away():
    sample = picture()
    look = OtsuWatershed().look(sample)
    first = look.answer(Asked.clicks(np.array([[24.0, 24.0]]))).masks[0, 0]
    both = look.answer(
        Asked(np.array([[(24.0, 24.0), (58.0, 66.0)]]), np.array([[True, True]]))
    ).masks[0, 0]
    assert iou(both[None], np.isin(sample.labels, (1, 3))[None])[0] > 0.85
    divided = look.answer(
        Asked(np.array([[(24.0, 24.0), (24.0, 30.0)]]), np.array([[True, False]]))
    ).masks[0, 0]
    assert divided[24, 24]
    assert not divided[24, 30]
    assert 0 < divided.sum() < first.sum()


def test_a_flat_picture_is_one_instance():
    flat = Sample(np.full((16, 16, 3), 9, np.uint8), np.ones((16, 16), np.int32), True)
    assert OtsuWatershed().look(flat).answer(Asked.clicks(np.array([[3.0, 3.0]]))).masks.any()


def test_the_walker_stays_in_the_object():
    sample = picture()
    wanted = sample.labels[None] == np.array([1, 3])[:, None, None]
    played = play(RandomWalker().look(sample), wanted, 2)
    assert played.click[1] > 0.8
    assert played.box[1] > 0.8
    assert RandomWalker().look(sample).everything() is None


def test_the_walker_scales_large_windows_down():
    small = picture()
    grown = small.image.repeat(6, 0).repeat(6, 1)
    sample = Sample(grown, small.labels.repeat(6, 0).repeat(6, 1), True)
    played = play(RandomWalker().look(sample), sample.labels[None] == 3, 0)
    assert played.click[0] > 0.75
    assert played.box[0] > 0.75


def test_there_are_two():
    assert [one.name for one in baselines()] == ['Otsu + watershed', 'random walker']
    assert all(one.about for one in baselines())

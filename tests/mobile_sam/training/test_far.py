from __future__ import annotations

import numpy as np
import pytest

from mobile_sam.training.crops import Crop, Window
from mobile_sam.training.far import Far, draw_far
from mobile_sam.training.views import View

SIDE, TOKENS = 64, 4


def crop(top: int, left: int, labels: np.ndarray) -> Crop:
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    window = Window(top, left, SIDE, 1.0, 0.0, 0.0)
    return Crop(image, np.ones((SIDE, SIDE), bool), labels, window, True)


def view(image: int, row: int, col: int, side: int = 32) -> View:
    return View(image, row, col, Window(0, 0, side, 1.0, 0.0, 0.0))


@pytest.fixture
def pair() -> list[Crop]:
    """Give two windows; object 5 covers the last token of the first and half of the second."""
    first, second = np.zeros((2, 32, 32), np.int32)
    first[24:, 24:] = 5
    second[:, :16] = 5
    second[:, 16:] = 6
    return [crop(160, 320, first), crop(512, 512, second)]


def drawn(crops: list[Crop], seen: View, count: int, together: int) -> Far:
    return draw_far(crops, [seen], [5], count, np.random.default_rng(0), together=together)


def test_tokens_come_from_the_rest_of_the_window_and_from_its_kin(pair: list[Crop]):
    far = drawn(pair, view(0, 0, 0), 20, 2)
    sources, places = far.sources[0].numpy(), far.places[0].numpy()
    assert len(set(sources.tolist())) == far.count == 6 + 14
    seen = {0, 1, 4, 5}
    assert set(sources[:6].tolist()) <= set(range(16)) - seen
    assert set(sources[6:].tolist()) <= set(range(16, 32))
    for source, place in zip(sources, places, strict=True):
        window, token = divmod(int(source), 16)
        row, col = divmod(token, 4)
        top, left = ((10, 20), (32, 32))[window]
        assert place == (top + row) * 64 + left + col


def test_targets_are_those_of_the_object_in_every_window(pair: list[Crop]):
    far = drawn(pair, view(0, 0, 0), 20, 2)
    for source, target in zip(far.sources[0].tolist(), far.targets[0].numpy(), strict=True):
        window, token = divmod(source, 16)
        wanted = token == 15 if window == 0 else token % 4 < 2
        assert (target == wanted).all()


def test_parts_of_a_logit_pixel_are_shares():
    labels = np.zeros((32, 32), np.int32)
    labels[31, 31] = 5
    far = drawn([crop(0, 0, labels)], view(0, 0, 0), 12, 1)
    target = far.targets[0][far.sources[0] == 15].reshape(4, 4)
    assert target[3, 3] == 0.25
    assert target.sum() == 0.25


@pytest.mark.parametrize(
    ('side', 'count', 'together'), [(32, 20, 2), (64, 10, 2), (32, 9, 1), (16, 400, 2)]
)
def test_together_with_the_view_they_stand_for_the_frame(
    pair: list[Crop], side: int, count: int, together: int
):
    far = drawn(pair[:together], view(0, 0, 0, side), count, together)
    assert far.count <= count
    assert float(far.weights.sum()) + (side // 16) ** 2 == pytest.approx(4096)


def test_without_anything_outside_there_are_none(pair: list[Crop]):
    assert drawn(pair[:1], view(0, 0, 0, 64), 10, 1).count == 0
    assert drawn(pair, view(0, 0, 0), 0, 2).count == 0

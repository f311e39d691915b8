from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from contestants import Knowing

from mobile_sam.training.data import read_items
from mobile_sam.training.evaluation import agreement, agreement_table


def test_agreement_with_itself_and_with_half(folder: Path):
    def nothing(mask: np.ndarray) -> np.ndarray:
        return np.zeros_like(mask)

    class Half(Knowing):
        name = 'half'

        def answer(self, asked, memory=None):
            reply = super().answer(asked, memory)
            reply.masks[:, :, ::2] = False
            return reply

    teacher = Knowing()
    same, half = agreement(
        teacher, [Knowing(), Half()], read_items(folder), images=1, distances=(100, 400, 2000)
    )
    assert same.iou[:2] == (1, 1)
    assert 0.3 < half.iou[0] < 0.7
    # Nothing fits across 2000 pixels of a frame of 1024.
    assert np.isnan(same.iou[2])
    assert same.pairs == (8, 8, 0)
    lines = agreement_table([same, half]).splitlines()
    assert lines[0] == '| mIoU | 100 px | 400 px | 2000 px |'
    assert lines[2] == '| knowing | 1.000 | 1.000 | – |'
    assert lines[-1] == '| pairs | 8 | 8 | 0 |'


def test_points_are_as_far_apart_as_they_say(folder: Path):
    teacher = Knowing()
    agreement(teacher, [Knowing()], read_items(folder), images=1, distances=(300,))
    for asked in teacher.asked:
        assert asked.positive.tolist() == [[True, False]]
        first, second = asked.points[0]
        # Pictures of 64 x 80: 12.8 pixels of the frame per pixel.
        assert np.hypot(*(first - second)) * 12.8 == pytest.approx(300)
        assert (second >= 0).all()
        assert (second <= (63, 79)).all()

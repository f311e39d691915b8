from __future__ import annotations

import numpy as np
import pytest

from napari_mobilesam.engine.stacks import MaskPatch, StopReason, StopRules


def square(side: int, row: int = 10, column: int = 10) -> MaskPatch:
    return MaskPatch.cut(np.ones((side, side), bool), row, column)


@pytest.mark.parametrize(
    ('found', 'before', 'score', 'contrast', 'reason'),
    [
        (square(10), square(10), 0.9, 1.0, None),
        (square(10), square(10), 0.9, None, None),
        (square(1), square(10), 0.9, 1.0, StopReason.VANISHED),
        (square(0), square(10), 0.9, None, StopReason.VANISHED),
        (square(1, 0), square(10, 0), 0.9, 1.0, StopReason.EDGE),
        (square(10), square(10), 0.2, 1.0, StopReason.SCORE),
        (square(14), square(10), 0.9, 1.0, StopReason.GROWTH),
        (square(10, 18), square(10), 0.9, 1.0, StopReason.OVERLAP),
        (square(10), square(10), 0.9, 0.3, StopReason.FADED),
        # dark where it was bright
        (square(10), square(10), 0.9, -1.0, StopReason.FADED),
        # shrinking is what ends of objects do
        (square(6), square(10), 0.9, 1.0, None),
    ],
)
def test_reasons(
    found: MaskPatch,
    before: MaskPatch,
    score: float,
    contrast: float | None,
    reason: StopReason | None,
) -> None:
    said = StopRules().check(
        found, before, score=score, largest=100, contrast=contrast, shape=(40, 40)
    )
    assert said is reason


@pytest.mark.parametrize(
    ('contrast', 'dimmest', 'score', 'surest', 'reason'),
    [
        # it had dimmed, and is brighter now than where it was given
        (1.3, 0.6, 0.9, 0.9, StopReason.OTHER),
        # as bright as before, but not brighter; it never dimmed; it rises by little
        (1.0, 0.6, 0.9, 0.9, None),
        (1.5, 0.9, 0.9, 0.9, None),
        (1.08, 0.84, 0.9, 0.9, None),
        # where contrast can tell, the model's estimate alone does not
        (1.0, 1.0, 0.6, 0.9, None),
        (None, 1.0, 0.6, 0.9, StopReason.DOUBT),
        (None, 1.0, 0.8, 0.9, None),
    ],
)
def test_another_object_and_doubt(
    contrast: float | None, dimmest: float, score: float, surest: float, reason: StopReason | None
) -> None:
    said = StopRules().check(
        square(10),
        square(10),
        score=score,
        largest=100,
        contrast=contrast,
        shape=(40, 40),
        dimmest=dimmest,
        surest=surest,
    )
    assert said is reason


def test_rules_can_be_turned_off() -> None:
    rules = StopRules(0, 0, float('inf'), 0, 0, float('inf'), 0)
    wild = [square(30, 0, 0), square(1, 39, 39)]
    for found in wild:
        for contrast in (-5.0, 5.0, None):
            said = rules.check(
                found,
                square(10),
                score=0.0,
                largest=900,
                contrast=contrast,
                shape=(40, 40),
                dimmest=0.1,
                surest=1.0,
            )
            assert said is None

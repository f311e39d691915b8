"""What the features of the Labels layer say about its objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pictures import CENTRES

from napari_mobilesam.widgets.label_features import COLUMNS

Bench = Callable[..., Any]


def commit(one: Any, centre: tuple[int, int]) -> None:
    one.click(0, *centre)
    one.press('Enter')


def written(one: Any) -> list[Any]:
    times: list[Any] = []
    one.labels.events.features.connect(times.append)
    return times


def test_features_carry_class_score_and_flags(bench: Bench) -> None:
    one = bench()
    times = written(one)
    one.press('3')
    one.controller.session.classes = one.controller.session.classes.ensured(3)
    for centre in CENTRES:
        commit(one, centre)
    one.controller.actions.set_flag([2], 'unclear', True)
    assert len(times) <= 1, 'not at each commit'
    one.until(lambda: times and len(one.labels.features) == 3)
    features = one.labels.features
    assert tuple(features.columns) == COLUMNS
    assert features['index'].tolist() == [1, 2, 3]
    assert features['unclear'].tolist() == [False, True, False]
    np.testing.assert_allclose(features['score'], 0.9, atol=1e-3)
    one.labels.undo()
    one.until(lambda: len(one.labels.features) == 2)


def test_what_is_due_is_written_on_leaving(bench: Bench) -> None:
    one = bench()
    commit(one, CENTRES[0])
    labels = one.labels
    one.controller.set_image(None)
    assert labels.features['index'].tolist() == [1]


def test_t2_features_of_the_users_own_stay(bench: Bench) -> None:
    """T2: other columns stay, an unlisted table is left alone, and nothing is said unasked."""
    one = bench()
    data = np.zeros((5, 120, 160), np.int32)
    data[3, :4, :4] = 7
    table = pd.DataFrame({'index': [7], 'donor': ['A']})
    own = one.viewer.add_labels(data.copy(), features=table)
    one.controller.set_labels(own)
    one.quiet()
    assert own.features.equals(table)
    commit(one, CENTRES[0])
    one.controller._committer._features.flush()
    assert own.features['index'].tolist() == [7, 8]
    assert own.features['donor'].tolist()[0] == 'A'
    unlisted = one.viewer.add_labels(data.copy(), features={'donor': ['background', 'A']})
    before = unlisted.features.copy()
    one.controller.set_labels(unlisted)
    one.quiet()
    commit(one, CENTRES[1])
    one.controller._committer._features.flush()
    assert unlisted.features.equals(before)

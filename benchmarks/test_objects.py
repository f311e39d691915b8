"""Ten thousand objects: selecting, sorting and committing one more, in milliseconds.

python scripts/with_display.py pytest benchmarks/test_objects.py
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from time import thread_time
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_mobilesam.engine import (
    Classes,
    LabelEdit,
    PlacedMask,
    RecordChange,
    SegmentedObject,
    Session,
    Step,
    plan_commit,
)
from napari_mobilesam.layers import size_text, where_text
from napari_mobilesam.widgets.label_colours import LabelColours
from napari_mobilesam.widgets.label_features import LabelFeatures
from napari_mobilesam.widgets.labels_target import LabelsTarget
from napari_mobilesam.widgets.object_model import Column, ObjectModel
from napari_mobilesam.widgets.object_panel import ObjectPanel
from napari_mobilesam.widgets.sessions import Sessions
from napari_mobilesam.widgets.thumbnails import Thumbnails

NUMBER = 10_000
LIMIT_MS = 100


class NoBridge:
    def submit(self, *_: Any) -> None:
        """Thumbnails are the worker's: not what is measured here."""


def milliseconds(work: Callable[[], object], times: int = 5) -> list[float]:
    """Return what the GUI thread computes until the window has followed, at any load."""
    taken = []
    for _ in range(times):
        started = thread_time()
        work()
        QApplication.processEvents()
        taken.append(1000 * (thread_time() - started))
    return taken


@pytest.mark.gui
def test_ten_thousand_objects(qapp: Any, note: Any) -> None:
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((4, 1024, 1024), np.int32))
    session = Session()
    session.classes = Classes().added('nucleus').added('debris')
    patch = np.ones((1, 8, 8), bool)
    rng = np.random.default_rng(0)
    placed = [
        PlacedMask(
            (z, 20 * i, 20 * j),
            patch,
            SegmentedObject(score=float(rng.uniform()), class_id=int(rng.integers(0, 3))),
        )
        for z in range(4)
        for i in range(50)
        for j in range(50)
    ]
    step = plan_commit(session, layer.data, placed)
    step.apply(layer.data)
    session.push(step)
    assert len(session) == NUMBER
    features = LabelFeatures()
    features.follow(layer, session)
    colours = LabelColours()
    colours.follow(layer, session)
    model = ObjectModel(Thumbnails(NoBridge()))  # type: ignore[arg-type]
    panel = ObjectPanel(model)
    panel.resize(300, 500)
    panel.show()
    model.show_session(
        session,
        lambda record: where_text(layer, record, viewer.dims),
        lambda record: size_text(layer, record, viewer.dims),
    )
    panel.show_classes(session.classes, 0)
    QApplication.processEvents()
    places = iter(range(1, 40))

    def commit_one() -> None:
        start = (0, 10, 20 * next(places) + 10)
        one = plan_commit(session, layer.data, [PlacedMask(start, patch, SegmentedObject())])
        with layer.block_history():
            for edit in one.edits:
                layer.data_setitem(edit.indices(), edit.values())
        session.push(one)

    def change_one() -> None:
        before = session.get(5000)
        assert before is not None
        after = SegmentedObject(5000, score=0.5, area=before.area, bounds=before.bounds)
        session.push(Step('class', (), (RecordChange(5000, before, after),)))

    def colour_anew() -> None:
        colours.by_class = not colours.by_class

    def colour_one() -> None:
        change_one()
        session.classes = session.classes.changed(1, colour=f'#{int(rng.integers(2**24)):06x}')
        colours.flush()

    def select_all() -> None:
        panel.table.clearSelection()
        panel.table.selectAll()

    columns = iter([Column.SCORE, Column.AREA, Column.CLASS, Column.ID] * 20)
    found = {
        'select one': milliseconds(lambda: panel.select([int(rng.integers(1, NUMBER))])),
        'select all': milliseconds(select_all),
        'sort, all selected': milliseconds(
            lambda: panel.table.sortByColumn(next(columns), Qt.SortOrder.AscendingOrder)
        ),
        'select one more': milliseconds(lambda: panel.select([78])),
        'sort': milliseconds(
            lambda: panel.table.sortByColumn(next(columns), Qt.SortOrder.AscendingOrder)
        ),
        'commit one more, all selected': milliseconds(commit_one),
        'select one again': milliseconds(lambda: panel.select([77])),
        'commit one more': milliseconds(commit_one),
        'change one': milliseconds(change_one),
        'filter': milliseconds(lambda: panel.search.setText(str(rng.integers(1, 99)))),
        'write the features (after a pause)': milliseconds(features.flush),
        'colour all by class': milliseconds(colour_anew),
        'commit one more, coloured by class': milliseconds(commit_one),
        'colour it (after a pause)': milliseconds(colour_one),
    }
    panel.close()
    for title, taken in found.items():
        floor = None if 'pause' in title else LIMIT_MS
        note(f'{NUMBER:,} objects: {title}', taken, 'ms', floor=floor, aim=LIMIT_MS / 4)


@pytest.mark.gui
def test_millions_of_pixels(qapp: Any, compare: Any) -> None:
    """What *Find* makes of 40 slices, into the labels and out again; a click's way, and ours."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((40, 1024, 1024), np.uint8))
    target = LabelsTarget(
        viewer,
        image,
        NoBridge(),  # type: ignore[arg-type]
        Sessions(),
        nullcontext,
        *[lambda *_: None] * 3,
    )
    layer = target.ensure()
    rows, columns = np.mgrid[:1024, :1024]
    inside = (rows % 64 - 32) ** 2 + (columns % 64 - 32) ** 2 < 22**2
    cells = np.where(inside, rows // 64 * 16 + columns // 64 + 1, 0)[None]
    edits = (LabelEdit.between((z, 0, 0), 0 * cells, cells) for z in range(40))
    step = Step('find', tuple(edit for edit in edits if edit is not None))
    both = (step, step.inverse())

    def by_index() -> None:
        for one in both:
            parts = [edit.indices() for edit in one.edits]
            values = np.concatenate([edit.values() for edit in one.edits])
            with layer.block_history():
                layer.data_setitem(tuple(map(np.concatenate, zip(*parts, strict=True))), values)

    def directly() -> None:
        for one in both:
            target.write(one)

    compare(
        f'{step.n_pixels / 1e6:.0f} million pixels into labels and out',
        by_index,
        directly,
        rounds=5,
        floor=5,
    )

"""Objects in the labels: the table, and everything that can be done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pictures import CENTRES, RADIUS, disc, iou, plane
from prompting import notifications
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QApplication

from napari_mobilesam.engine import (
    Classes,
    OverlapRule,
    RecordChange,
    SegmentedObject,
    Session,
    Step,
    TidyOptions,
    thumbnail,
)
from napari_mobilesam.layers import NEGATIVE, POSITIVE
from napari_mobilesam.widgets.object_desk import ObjectDesk
from napari_mobilesam.widgets.object_model import Column, ObjectModel
from napari_mobilesam.widgets.object_panel import ObjectPanel
from napari_mobilesam.widgets.object_rows import Filter
from napari_mobilesam.widgets.thumbnails import Thumbnails
from napari_mobilesam.widgets.tidy_box import TidyBox

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES
DESCENDING = Qt.SortOrder.DescendingOrder


def commit(one: Any, *centres: tuple[int, ...]) -> None:
    for centre in centres:
        one.click(*(centre if len(centre) == 3 else (0, *centre)))
        one.press('Enter')


def ids(one: Any) -> list[int]:
    return [record.label for record in one.controller.objects]


@pytest.fixture
def desk(bench: Bench) -> Iterator[Callable[..., tuple[Any, ObjectDesk]]]:
    made: list[ObjectDesk] = []

    def make(*args: Any, **keywords: Any) -> tuple[Any, ObjectDesk]:
        one = bench(*args, **keywords)
        desk = ObjectDesk(one.controller, one.bridge)
        one.qtbot.addWidget(desk.panel)
        made.append(desk)
        return one, desk

    yield make
    for one in made:
        one.close()


def listed(desk: ObjectDesk) -> list[int]:
    model = desk.model
    return [model.record(row).label for row in range(model.rowCount())]  # type: ignore[union-attr]


def text(desk: ObjectDesk, row: int, column: int) -> str:
    return str(desk.model.data(desk.model.index(row, column)))


# -- the table alone


class NoBridge:
    def submit(self, *_: Any) -> None:
        raise AssertionError('nothing is drawn: nobody looked')


def table(records: int) -> tuple[ObjectModel, Session]:
    session = Session()
    rng = np.random.default_rng(0)
    session.learn(
        SegmentedObject(
            label,
            score=float(rng.uniform()),
            area=int(rng.integers(1, 10**6)),
            bounds=((0, 1), (0, 1)),
            class_id=int(rng.integers(0, 3)),
        )
        for label in range(1, records + 1)
    )
    model = ObjectModel(Thumbnails(NoBridge()))  # type: ignore[arg-type]
    model.show_session(session, lambda _record: '0', lambda record: str(record.area))
    return model, session


def test_ten_thousand_rows_are_kept_one_at_a_time(qtbot: Any) -> None:
    """One object more, changed or fewer touches one row, whatever the order and the filter."""
    model, session = table(10_000)
    model.sort(Column.SCORE)
    touched: list[tuple[str, int, int]] = []
    for name in ('rowsInserted', 'rowsRemoved'):
        getattr(model, name).connect(
            lambda _parent, first, last, name=name: touched.append((name, first, last))
        )
    model.dataChanged.connect(
        lambda first, last, _roles=(): touched.append(('changed', first.row(), last.row()))
    )
    model.modelReset.connect(lambda: touched.append(('reset', -1, -1)))
    new = SegmentedObject(10_001, score=0.5, area=7, bounds=((0, 1), (0, 1)))
    step = Step('commit', (), (RecordChange(10_001, None, new),), 10_000, 10_001)
    session.push(step)
    row = model.row(10_001)
    assert row is not None
    assert touched == [('rowsInserted', row, row)]
    before, after = model.record(row - 1), model.record(row + 1)
    assert before is not None
    assert after is not None
    assert before.score <= 0.5 <= after.score
    session.step_back(step)
    assert touched[1:] == [('rowsRemoved', row, row)]
    known = session.get(77)
    assert known is not None
    session.learn([known])
    assert touched[2:] == [('changed', model.row(77), model.row(77))]


def test_any_order_and_filter_agree_with_doing_it_anew(qtbot: Any) -> None:
    model, session = table(300)
    session.classes = Classes().added('nucleus').added('debris')
    rng = np.random.default_rng(1)
    for column in Column:
        for order in (Qt.SortOrder.AscendingOrder, DESCENDING):
            model.set_filter(Filter(class_id=int(rng.integers(0, 3))))
            model.sort(column, order)
            for label in rng.integers(1, 400, 20):
                known = session.get(int(label))
                new = SegmentedObject(
                    int(label),
                    score=float(rng.uniform()),
                    area=int(rng.integers(1, 99)),
                    bounds=((0, 1), (0, 1)),
                    class_id=int(rng.integers(0, 3)),
                    unclear=bool(rng.integers(0, 2)),
                )
                after = new if rng.uniform() < 0.6 else None
                session.push(Step('any', (), (RecordChange(int(label), known, after),)))
            rows = [model.record(row) for row in range(model.rowCount())]
            model.set_filter(replace(model._filter, text=' '))  # all anew
            assert rows == [model.record(row) for row in range(model.rowCount())]
            assert all(model.row(record.label) == row for row, record in enumerate(rows) if record)


def test_filter() -> None:
    record = SegmentedObject(123, class_id=2, unclear=True)
    for accepted in (
        Filter(),
        Filter('23'),
        Filter(' NUC'),
        Filter(class_id=2),
        Filter(flag='unclear'),
        Filter(flag='open'),
    ):
        assert accepted.accepts(record, 'nucleus')
    for refused in (Filter('4'), Filter(class_id=0), Filter(flag='reviewed')):
        assert not refused.accepts(record, 'nucleus')


def test_the_panel_says_what_is_wanted(qtbot: Any) -> None:
    model, session = table(30)
    session.classes = Classes().added('nucleus')
    panel = ObjectPanel(model)
    qtbot.addWidget(panel)
    panel.show_classes(session.classes, 0)
    assert panel.count.text() == '30 objects'
    panel.select([4, 9])
    assert panel.count.text() == '30 objects, 2 selected'
    assert (panel.buttons['merge'].isEnabled(), panel.buttons['split'].isEnabled()) == (True, False)
    with qtbot.waitSignal(panel.merged) as sent:
        panel.buttons['merge'].click()
    assert sent.args == [[4, 9]]
    key = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Delete, Qt.KeyboardModifier.NoModifier)
    with qtbot.waitSignal(panel.removed) as sent:
        QApplication.sendEvent(panel.table, key)
    assert sent.args == [[4, 9]]
    model.sort(Column.AREA, DESCENDING)
    assert sorted(panel.selected) == [4, 9], 'the selection survives'
    with qtbot.waitSignal(panel.flag_given) as flag:
        panel.menu().actions()[0].trigger()
    assert (sorted(flag.args[0]), *flag.args[1:]) == ([4, 9], 'unclear', True)
    panel.search.setText('nuc')
    assert model.rowCount() == sum(record.class_id == 1 for record in session) < 30
    panel.search.clear()
    with qtbot.waitSignal(panel.next_class_chosen) as chosen:
        panel.next_class.setCurrentIndex(1)
    assert chosen.args == [1]


def test_thumbnails_show_holes_and_parts() -> None:
    """T31: what is drawn is the mask, not its longest contour."""
    mask = disc((40, 60), (20, 20), 15) & ~disc((40, 60), (20, 20), 6)
    mask[30:36, 50:56] = True
    drawn = thumbnail(mask, np.full((40, 60), np.nan), (255, 0, 0), 60)
    red = (drawn == (255, 0, 0)).all(axis=2)
    assert red[10 + 20, 20 + 7 : 20 + 9].any(), 'the rim of the hole'
    assert red[40:46, 50:56].any(), 'the second part'
    for pixels in (None, np.ones((40, 60, 3), np.uint16), np.zeros((40, 60), '>i2')):
        assert thumbnail(mask, pixels, (1, 2, 3)).shape == (48, 48, 3)
    assert not thumbnail(np.zeros((0, 0), bool), None, (1, 2, 3)).any()


# -- on labels


def test_the_table_follows(desk: Any) -> None:
    picture = np.stack([plane(), plane(4), plane(8)])
    one, table = desk(picture, scale=(2, 0.5, 0.5), units=('um', 'um', 'um'))
    commit(one, FIRST, SECOND)
    assert listed(table) == [1, 2]
    assert (text(table, 0, Column.WHERE), text(table, 0, Column.SCORE)) == ('0', '0.90')
    record = one.controller.objects[0]
    assert text(table, 0, Column.AREA) == f'{record.area / 4:,.0f} µm²'
    one.press('Control-Z')
    assert listed(table) == [1]
    one.press('Control-Shift-Z')
    one.labels.paint((2, 100, 100), 9)
    assert listed(table) == [1, 2, 9], 'painted by hand'
    one.labels.brush_size = 3
    one.labels.paint((1, 100, 100), 9)
    assert text(table, 2, Column.WHERE) == '1–2'
    assert text(table, 2, Column.AREA).endswith('µm³')
    one.controller.set_labels(None)
    assert listed(table) == []
    one.viewer.layers.remove(one.labels)
    assert listed(table) == []


def test_thumbnails_are_made_when_looked_at(desk: Any) -> None:
    one, table = desk()
    commit(one, FIRST)
    one.quiet()
    index = table.model.index(0, Column.ID)
    table.model.data(index, Qt.ItemDataRole.DecorationRole)
    with one.qtbot.waitSignal(table.thumbnails.made, timeout=10_000) as made:
        pass
    assert made.args == [[1]]
    image = table.model.data(index, Qt.ItemDataRole.DecorationRole).toImage()
    assert image.pixelColor(image.width() // 2, image.height() // 2).lightness() > 100
    assert image.pixelColor(1, 1).lightness() < 100


def test_a_click_in_the_table_goes_there(desk: Any) -> None:
    one, table = desk()
    one.viewer.dims.set_current_step(0, 3)
    one.quiet()
    commit(one, (3, FIRST[0] + 6, FIRST[1]))
    one.viewer.dims.set_current_step(0, 0)
    one.viewer.scene.camera.zoom = 8
    one.viewer.scene.camera.center = (0, 500, 500)
    table.panel.chosen.emit(1)
    assert one.viewer.dims.current_step[0] == 3
    np.testing.assert_allclose(
        one.viewer.scene.camera.center[-2:], (FIRST[0] + 6, FIRST[1]), atol=1
    )
    centre = one.viewer.scene.camera.center
    one.controller.actions.go_to(1)
    assert one.viewer.scene.camera.center == centre, 'in view: it stays'


def test_reopen_changes_an_object_in_place(desk: Any) -> None:
    one, _ = desk()
    commit(one, FIRST, SECOND)
    one.controller.actions.set_flag([1], 'unclear', True)
    before = one.labels.data.copy()
    one.viewer.dims.set_current_step(0, 2)
    one.quiet()
    one.controller.actions.reopen(1)
    one.quiet()
    assert one.viewer.dims.current_step[0] == 0
    assert one.points.data.tolist() == [[0, *FIRST]]
    np.testing.assert_array_equal(one.labels.data, before, 'nothing is lost meanwhile')
    one.press('N')
    one.press('Enter')
    assert ids(one) == [1, 2]
    changed = one.controller.objects[0]
    assert changed.unclear
    assert changed.area == np.count_nonzero(one.labels.data == 1) != np.count_nonzero(before == 1)
    commit(one, THIRD)
    assert ids(one) == [1, 2, 3], 'the next one is new again'
    for _ in range(3):
        one.press('Control-Z')
    np.testing.assert_array_equal(one.labels.data, before)


@pytest.mark.parametrize('area', ['ellipse', 'polygon', 'rectangle', None])
def test_reopen_brings_back_what_was_drawn(desk: Any, area: str | None) -> None:
    """Regions and strokes of either polarity, as they were and where they were, and points."""
    one, _ = desk(scale=(5, 0.2, 0.2), translate=(1, 2, 3))
    row, column = FIRST
    corners = [(row - 16, column - 15), (row - 15, column + 16), (row + 16, column + 15)]
    corners.append((row + 15, column - 16))
    if area in ('ellipse', 'rectangle'):  # upright, as napari draws them
        corners = [(row + a * 16, column + b * 15) for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1))]
    one.controller.set_polarity(NEGATIVE)
    if area:
        one.prompts.add_shape([(0, *corner) for corner in corners], area)
    one.prompts.add_shape([(0, row, column - 9), (0, row + 4, column + 9)], 'path', POSITIVE)
    one.prompts.add_shape([(0, 100, 100), (0, 100, 130)], 'path', NEGATIVE)
    one.prompts.add_point((0, row, column + 3))
    one.quiet()
    asked, mask = one.segmenter.decoded[-1], one.controller.candidate.mask()
    before = one.prompts.state()
    one.press('Enter')
    assert one.prompts.number == (0, 0)
    one.viewer.dims.set_current_step(0, 3)
    one.quiet()
    one.controller.actions.reopen(1)
    one.quiet()
    after = one.prompts.state()
    assert (after.kinds, after.marks, after.polarity) == (
        before.kinds,
        before.marks,
        before.polarity,
    )
    np.testing.assert_allclose(after.points, before.points)
    for shape, other in zip(after.shapes, before.shapes, strict=True):
        np.testing.assert_allclose(shape, other, atol=1e-6)
    again = one.segmenter.decoded[-1]
    np.testing.assert_allclose(again.points, asked.points)
    assert (again.positive, again.mask) == (asked.positive, asked.mask)
    np.testing.assert_array_equal(one.controller.candidate.mask(), mask)


def test_reopen_and_leave(desk: Any) -> None:
    one, _ = desk()
    commit(one, FIRST)
    before = one.labels.data.copy()
    one.controller.actions.reopen(1)
    one.quiet()
    one.press('Escape')
    np.testing.assert_array_equal(one.labels.data, before)
    commit(one, SECOND)
    assert ids(one) == [1, 2]


def test_reopen_what_was_painted_by_hand(desk: Any) -> None:
    one, _ = desk()
    one.labels.data_setitem(np.nonzero(disc((120, 160), SECOND, RADIUS)[None]), 6)
    one.controller.actions.reopen(6)
    one.quiet()
    assert len(one.boxes.data) == 1
    assert iou(one.controller.candidate.mask(), disc((120, 160), SECOND, RADIUS)) > 0.7
    one.press('Enter')
    (record,) = one.controller.objects
    assert (record.label, record.score) == (6, pytest.approx(0.9))


def test_remove_and_merge(desk: Any) -> None:
    one, table = desk()
    commit(one, FIRST, SECOND, THIRD)
    before = one.labels.data.copy()
    table.panel.removed.emit([1, 3])
    assert (ids(one), listed(table)) == ([2], [2])
    assert set(np.unique(one.labels.data)) == {0, 2}
    one.press('Control-Z')
    table.panel.merged.emit([3, 1])
    assert ids(one) == [2, 3]
    np.testing.assert_array_equal(one.labels.data == 3, (before == 3) | (before == 1))
    one.labels.undo()
    np.testing.assert_array_equal(one.labels.data, before)
    assert ids(one) == [1, 2, 3]
    with notifications() as told:
        one.controller.actions.remove([99])
    assert told == ['no object has the id 99']


def peanut() -> np.ndarray:
    picture = plane()
    picture[disc((120, 160), (40, 80), 12) | disc((120, 160), (40, 100), 12)] = 200
    return picture


LEFT, RIGHT = (40, 76), (40, 104)


def test_split_between_points(desk: Any) -> None:
    one, _ = desk(peanut()[None])
    commit(one, (0, *LEFT))
    whole = one.labels.data == 1
    one.click(0, *LEFT)
    with notifications() as told:
        one.controller.actions.split(1)
    assert 'a positive point on each part' in told[0]
    one.click(0, *RIGHT)
    one.controller.actions.split(1)
    one.quiet()
    assert ids(one) == [1, 2]
    assert one.labels.data[0][LEFT] == 1
    assert one.labels.data[0][RIGHT] == 2
    np.testing.assert_array_equal(one.labels.data > 0, whole)
    assert len(one.points.data) == 0
    new = one.controller.objects[1]
    assert new.prompts.positive == (False, True)
    one.press('Control-Z')
    np.testing.assert_array_equal(one.labels.data == 1, whole)
    assert len(one.points.data) == 2


def test_a_negative_click_in_an_object_splits_it(desk: Any) -> None:
    one, _ = desk(peanut()[None])
    commit(one, (0, *LEFT))
    whole = one.labels.data.copy()
    decoded = one.decoded
    one.click(0, *RIGHT, positive=False)
    assert ids(one) == [1, 2]
    assert one.labels.data[0][RIGHT] == 2
    assert one.labels.data[0][LEFT] == 1
    assert len(one.points.data) == 0
    assert one.decoded == decoded + 2, 'the model was asked about both parts'
    one.press('Control-Z')
    np.testing.assert_array_equal(one.labels.data, whole)
    assert len(one.points.data) == 0, 'one step, the click included'
    one.press('Control-Shift-Z')
    one.click(0, 5, 5, positive=False)
    assert len(one.points.data) == 1, 'beside all objects it is a prompt like any other'
    assert ids(one) == [1, 2]


def test_without_a_model_the_shape_decides(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = desk(peanut()[None])
    commit(one, (0, *LEFT))
    monkeypatch.setattr(one.model, 'annotator', None)
    one.click(0, *RIGHT, positive=False)
    first, second = one.controller.objects
    assert 0.7 < first.area / second.area < 1.4


def test_classes_and_flags(desk: Any) -> None:
    one, table = desk()
    one.press('2')
    assert one.controller.class_id == 2
    assert table.panel.next_class.currentText() == 'class 2'
    commit(one, FIRST)
    assert one.controller.objects[0].class_id == 2
    table.panel.classes_changed.emit(one.controller.session.classes.changed(2, name='nucleus'))
    assert text(table, 0, Column.CLASS) == 'nucleus'
    one.press('0')
    commit(one, SECOND)
    table.panel.class_given.emit([1, 2], 2)
    table.panel.flag_given.emit([2], 'reviewed', True)
    assert text(table, 1, Column.FLAGS) == '✓'
    assert [record.class_id for record in one.controller.objects] == [2, 2]
    pixels = one.labels.data.copy()
    one.press('Control-Z')
    one.press('Control-Z')
    assert [(r.class_id, r.reviewed) for r in one.controller.objects] == [(2, False), (0, False)]
    np.testing.assert_array_equal(one.labels.data, pixels)
    one.controller.set_labels(None)
    assert [item.name for item in one.controller.session.classes] == ['nucleus']


def test_t31_what_is_tidied_is_shown_and_committed(bench: Bench) -> None:
    """T31: a hole stays in the preview and in the labels, until filling it is asked for."""
    picture = plane()
    picture[disc((120, 160), FIRST, 5)] = 0
    one = bench(picture[None])
    hole = (0, *FIRST)
    one.click(0, FIRST[0], FIRST[1] + 9)
    assert not one.controller.candidate.mask()[FIRST]
    decoded = one.decoded
    one.controller.set_tidy(TidyOptions(fill_holes=True, smooth=2))
    one.quiet()
    assert one.controller.candidate.mask()[FIRST]
    assert one.decoded == decoded, 'the model is not asked again'
    shown = one.controller.candidate.mask()
    one.press('Enter')
    np.testing.assert_array_equal(one.labels.data[0] == 1, shown)
    one.press('Control-Z')
    one.controller.set_tidy(TidyOptions())
    one.quiet()
    one.press('Enter')
    assert one.labels.data[hole] == 0


def test_the_tidy_box_says_what_is_chosen(qtbot: Any) -> None:
    options = TidyOptions(remove_specks=30, largest_part=True, smooth=2)
    box = TidyBox(options)
    qtbot.addWidget(box)
    assert box.options == options
    with qtbot.waitSignal(box.chosen) as sent:
        box.fill_holes.click()
    assert sent.args == [replace(options, fill_holes=True)]


def test_t14_everything_gone_under_the_table(desk: Any) -> None:
    """T14: actions on objects whose layer, image or pixels are not there any more."""
    one, _table = desk()
    commit(one, FIRST, SECOND)
    actions, labels = one.controller.actions, one.labels
    one.viewer.layers.remove(labels)
    for action in (actions.go_to, actions.reopen, actions.split):
        action(1)
    assert not actions.remove([1])
    one.viewer.add_layer(labels)
    one.controller.set_labels(labels)
    labels.data = np.zeros((5, 60, 60), np.int32)
    actions.go_to(1)
    actions.reopen(1)
    actions.merge([1, 2])
    one.quiet()
    assert ids(one) == []
    one.viewer.dims.ndisplay = 3
    actions.go_to(1)
    one.viewer.layers.remove(one.controller.image)
    one.quiet()
    actions.reopen(1)
    one.controller.answer_overlap(OverlapRule.KEEP)

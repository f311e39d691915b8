"""Without a mouse: the way of Tab, letters to underline, and a ring round what has the keyboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from fakes import FakeSegmenter
from napari.components import ViewerModel
from pictures import plane
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.focus_ring import FocusRing

# Of napari's menus, which the same keys open.
TAKEN = set('FVLPWH')


@pytest.fixture
def widget(qtbot: Any) -> Iterator[AnnotatorWidget]:
    viewer = ViewerModel()
    viewer.add_image(plane())
    made = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter)
    made.resize(320, 1700)
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.tear_down()
    made.close()
    made.deleteLater()


def test_tab_goes_from_top_to_bottom_and_from_left_to_right(widget: AnnotatorWidget) -> None:
    places, found = [], widget.nextInFocusChain()
    while found is not widget:
        if found.focusPolicy() & Qt.FocusPolicy.TabFocus and found.isVisible():
            places.append((found.mapTo(widget, QPoint(0, 0)), found))
        found = found.nextInFocusChain()
    assert len(places) > 40
    for (before, one), (after, other) in pairwise(places):
        lower = after.y() >= before.y() + one.height() - 8
        assert lower or after.x() >= before.x(), (one, other)


def test_everything_that_can_be_reached_has_a_name(widget: AnnotatorWidget) -> None:
    buddies = {label.buddy() for label in widget.findChildren(QLabel)}
    for one in widget.findChildren(QWidget):
        if not one.focusPolicy() & Qt.FocusPolicy.TabFocus or not one.isVisible():
            continue
        named = one.accessibleName() or (isinstance(one, QAbstractButton) and one.text())
        inner = one.objectName().startswith('qt_') or one.metaObject().className() == 'QScrollArea'
        assert named or one in buddies or inner, (type(one), one.toolTip())


def test_underlined_letters_are_unique_and_none_of_naparis(widget: AnnotatorWidget) -> None:
    texts = [one.text() for one in widget.findChildren(QAbstractButton)]
    texts += [label.text() for label in widget.findChildren(QLabel) if label.buddy()]
    letters = [text[text.index('&') + 1].upper() for text in texts if '&' in text]
    assert len(letters) > 8
    assert Counter(letters).most_common(1)[0][1] == 1, letters
    assert not TAKEN & set(letters)


def test_a_ring_is_drawn_round_what_has_the_keyboard(
    widget: AnnotatorWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ring,) = widget.findChildren(FocusRing)
    application = QApplication.instance()
    field = widget.labels_panel.overlap
    assert not ring.isVisible()
    application.focusChanged.emit(None, field)
    assert ring.isVisible()
    panel = ring.parentWidget()

    def around() -> bool:
        place = field.rect().translated(field.mapTo(panel, QPoint(0, 0)))
        return bool(ring.geometry().contains(place)) and ring.width() < place.width() + 12

    assert around()
    colour = ring.grab().toImage().pixelColor(ring.width() // 2, 1)
    assert colour.alpha() > 0
    widget.prompt_panel.header.click()  # folded: what is below moves up
    QApplication.processEvents()
    assert around()
    widget.labels_panel.header.click()
    assert not ring.isVisible()
    widget.labels_panel.header.click()
    assert ring.isVisible()
    application.focusChanged.emit(field, None)
    assert not ring.isVisible()

    pressed = Qt.MouseButton.LeftButton
    monkeypatch.setattr('qtpy.QtGui.QGuiApplication.mouseButtons', lambda: pressed)
    application.focusChanged.emit(None, field)
    assert not ring.isVisible(), 'the mouse shows by itself where it is'

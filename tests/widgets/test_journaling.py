"""Journals of the annotator: what it says is committed is on disk, and comes back as it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import CENTRES, stack
from prompting import notifications

from napari_mobilesam.exchange.restore import restore
from napari_mobilesam.widgets.journaling import Journaling
from napari_mobilesam.widgets.restore_line import RestoreLine

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


class Desk:
    """A bench with a journal, and the line that offers the last one."""

    def __init__(self, one: Any, folder: Path) -> None:
        self.one = one
        self.journaling = Journaling(one.controller, folder)
        self.line = RestoreLine()
        one.qtbot.addWidget(self.line)
        self.journaling.offered.connect(self.line.offer)
        self.line.chosen.connect(self.journaling.restore)
        self.committed: list[int] = []
        one.controller.committed.connect(lambda record: self.committed.append(record.label))
        self.journaling._follow()
        self.quiet()

    def quiet(self) -> None:
        self.one.quiet()
        self.one.until(lambda: not self.journaling.pending)
        self.one.quiet()

    def commit(self, *centres: tuple[int, int]) -> None:
        for centre in centres:
            self.one.click(0, *centre)
            self.one.press('Enter')

    @property
    def path(self) -> Path:
        path = self.journaling.journal_of(self.one.controller.session)
        assert path is not None
        return path

    def on_disk(self) -> Any:
        self.quiet()
        safe: list[bool] = []
        self.journaling.afterwards(lambda: safe.append(True))
        self.one.until(lambda: safe)
        return restore(self.path, str(self.one.controller.image.unique_id))

    def check(self) -> None:
        """Compare what the journal says with what is there."""
        found, session = self.on_disk(), self.one.controller.session
        assert found.notices == []
        assert np.array_equal(found.labels, self.one.labels.data)
        assert found.session.objects == session.objects
        assert found.session.classes == session.classes
        written = [step for step in session.history.done if step.edits or step.changes]
        assert len(found.session.history) == len(written)


@pytest.fixture
def desk(bench: Bench, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(**keywords: Any) -> Desk:
        made.append(Desk(bench(**keywords), tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.journaling.close()


def test_everything_is_kept_and_comes_back(desk: Callable[..., Desk], tmp_path: Path) -> None:
    one = desk()
    assert one.line.isHidden()
    assert list(tmp_path.iterdir()) == [], 'looking at an image leaves nothing behind'
    bench, controller = one.one, one.one.controller
    one.commit(FIRST)
    one.check()
    assert one.committed == [1]
    controller.session.classes = controller.session.classes.added('nucleus')
    controller.class_id = 1
    one.commit(SECOND, THIRD)
    one.check()
    bench.labels.brush_size = 7
    bench.labels.paint((0, 100, 100), 9)
    one.check()
    bench.press('Control-Z')
    one.check()
    bench.press('Control-Z')
    bench.press('Control-Shift-Z')
    one.check()
    controller.actions.set_flag([1], 'unclear', True)
    controller.actions.remove([2])
    controller.actions.merge([1, 3])
    one.check()
    labels, session = bench.labels.data.copy(), controller.session
    (record,) = session.objects
    assert record.prompted[0].making is not None
    one.journaling.close()

    # the same picture in another window, tomorrow
    two = desk(image=stack())
    assert two.line.restore.text() == 'Restore 1 object'
    assert not two.line.isHidden()
    two.line.restore.click()
    two.quiet()
    assert two.line.isHidden()
    again = two.one.controller
    assert np.array_equal(two.one.labels.data, labels)
    assert again.session.classes == session.classes
    assert len([layer for layer in two.one.viewer.layers if layer.name == 'cells objects']) == 1
    two.check()
    two.one.press('Control-Z')  # the merge
    assert [r.label for r in again.objects] == [1, 3]
    two.check()
    two.commit(SECOND)
    two.check()
    while again.session.history.last is not None:
        again.undo()
        two.one.quiet()
    assert not two.one.labels.data.any()
    two.check()
    assert two.committed == [4]


def test_labels_of_the_users_are_the_base(desk: Callable[..., Desk]) -> None:
    """What was in the labels before is kept as well, however long it takes to read."""
    one = desk()
    own = np.zeros((5, 120, 160), np.uint16)
    own[2, 5:30, 5:30] = 7
    layer = one.one.viewer.add_labels(own.copy(), name='mine')
    one.one.controller.set_labels(layer)
    one.quiet()
    layer.brush_size = 5
    layer.paint((2, 10, 10), 0)  # before anything was read
    layer.paint((2, 60, 60), 8)
    one.commit(FIRST)
    one.check()
    found = one.on_disk()
    while (step := found.session.history.last) is not None:
        step.revert(found.labels)
        found.session.step_back(step)
    assert np.array_equal(found.labels, own)
    assert found.labels.dtype == np.uint16


def test_labels_that_were_replaced_begin_another_journal(
    desk: Callable[..., Desk], tmp_path: Path
) -> None:
    one = desk()
    one.commit(FIRST)
    first = one.path
    data = np.zeros_like(one.one.labels.data)
    data[1, 3:9, 3:9] = 5
    one.one.labels.data = data
    one.quiet()
    one.check()
    assert one.path != first
    assert list(tmp_path.glob('*.jsonl')) == [one.path], 'the former one went when it was safe'
    one.commit(SECOND)
    one.check()


def test_committed_is_told_when_it_is_on_disk(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()
    gate, real = threading.Event(), os.fsync

    def slow(descriptor: int) -> None:
        assert gate.wait(10)
        real(descriptor)

    monkeypatch.setattr(os, 'fsync', slow)
    one.commit(FIRST)
    assert one.one.labels.data.any(), 'nobody waits to see it'
    assert one.committed == []
    assert not any('in the labels' in text for text, _ in one.one.statuses)
    gate.set()
    one.quiet()
    assert one.committed == [1]
    assert any('in the labels' in text for text, _ in one.one.statuses)


def test_a_disk_that_refuses_is_told_once(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()

    def full(_descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with notifications() as told:
        one.commit(FIRST, SECOND)
        one.quiet()
    assert one.committed == [1, 2], 'work goes on'
    assert sum('No space left' in message for message in told) == 1


def test_two_windows_have_a_journal_each(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.commit(FIRST)
    one.quiet()
    two = desk(image=stack())
    assert two.line.isHidden(), 'one that is being written is nobody else’s'
    two.commit(SECOND, THIRD)
    two.quiet()
    assert one.path != two.path
    one.journaling.close()
    two.journaling.close()
    three = desk(image=stack())
    assert three.line.restore.text() == 'Restore 2 objects'
    three.line.older.click()
    assert three.line.restore.text() == 'Restore 1 object'
    assert not three.line.older.isEnabled()
    three.line.dismiss.click()
    assert three.line.isHidden()


def test_a_damaged_end_is_told(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.commit(FIRST, SECOND)
    one.quiet()
    path, before = one.path, one.one.labels.data.copy()
    one.journaling.close()
    with path.open('ab') as file:
        file.write(b'{"n":99,"do":{"ti')
    two = desk(image=stack())
    with notifications() as told:
        two.line.restore.click()
        two.quiet()
    assert any('damaged after' in message for message in told)
    assert np.array_equal(two.one.labels.data, before)


def test_closing_writes_what_was_not_begun(desk: Callable[..., Desk], tmp_path: Path) -> None:
    """The window closes before the image is even identified."""
    one = desk()
    one.journaling.errands.close()  # as if it were busy for ever
    one.commit(FIRST)
    assert one.committed == []
    one.journaling.close()
    (path,) = tmp_path.glob('*.jsonl')
    assert len(restore(path).session) == 1


def test_what_was_undone_altogether_leaves_no_journal(
    desk: Callable[..., Desk], tmp_path: Path
) -> None:
    one = desk()
    one.commit(FIRST)
    one.quiet()
    assert one.path.exists()
    one.one.press('Control-Z')
    one.journaling.close()
    assert list(tmp_path.glob('*.jsonl')) == []

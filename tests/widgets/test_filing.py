"""Sessions and objects between the annotator and files, as the buttons do it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pictures import CENTRES, stack
from prompting import notifications
from qtpy.QtWidgets import QApplication

from napari_mobilesam.exchange import FORMATS, load
from napari_mobilesam.exchange.session_file import load_session
from napari_mobilesam.widgets import files_panel
from napari_mobilesam.widgets.files_panel import FilesPanel
from napari_mobilesam.widgets.filing import Filing
from napari_mobilesam.widgets.journaling import Journaling

Bench = Callable[..., Any]


class Desk:
    """A bench with the files panel, and dialogs that answer at once."""

    def __init__(self, one: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.one, self.folder, self.controller = one, folder, one.controller
        self.journaling = Journaling(one.controller, folder / 'journals')
        self.filing = filing = Filing(one.controller, self.journaling, lambda: None)
        self.panel = panel = FilesPanel()
        one.qtbot.addWidget(panel)
        self.said: list[tuple[str, str]] = []
        filing.status_changed.connect(lambda *words: self.said.append(words))
        filing.busy_changed.connect(panel.show_busy)
        filing.session_changed.connect(panel.show_session)
        filing.question_asked.connect(panel.question.ask)
        panel.save_wanted.connect(filing.save)
        panel.open_wanted.connect(filing.open)
        panel.export_wanted.connect(filing.export)
        panel.import_wanted.connect(filing.bring)
        panel.script_wanted.connect(filing.copy_script)
        panel.image_named.connect(filing.answer)
        panel.same_image_wanted.connect(filing.answer_same)
        panel.show_image('cells', '')
        self.name = ''
        for ask in ('save_name', 'open_name'):
            monkeypatch.setattr(files_panel, ask, lambda *_: self.name)
        self.journaling._follow()
        filing._follow()
        self.quiet()

    def quiet(self) -> None:
        self.one.until(lambda: not self.filing.busy and not self.journaling.pending)
        self.one.quiet()

    def press(self, button: Any, name: str = '') -> None:
        self.name = str(self.folder / name) if name else ''
        button.click()
        self.quiet()

    def commit(self, *centres: tuple[int, int], z: int = 0) -> None:
        for centre in centres:
            self.one.click(z, *centre)
            self.one.press('Enter')

    def close(self) -> None:
        self.filing.close()
        self.journaling.close()


@pytest.fixture
def desk(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made: list[Desk] = []

    def make(**keywords: Any) -> Desk:
        made.append(Desk(bench(**keywords), tmp_path, monkeypatch))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_every_format_and_back(desk: Callable[..., Desk], tmp_path: Path) -> None:
    one = desk()
    one.controller.session.classes = one.controller.session.classes.added('nucleus')
    one.controller.class_id = 1
    one.commit(*CENTRES)
    labels = one.one.labels.data.copy()
    for place, form in enumerate(FORMATS):
        one.panel.format.setCurrentIndex(place)
        name = f'out-{form.name}'  # the ending comes by itself
        one.press(one.panel.export, name)
        path = tmp_path / (name + (form.suffixes[0] if form.suffixes else ''))
        if form.name == 'png':
            assert len(list(tmp_path.glob('out-png*.png'))) == 5, 'a picture per plane'
            continue
        assert path.exists(), one.said[-1]
        if form.reader:
            assert np.array_equal(load(path, form.name, shape=labels.shape).labels, labels)
    one.press(one.panel.bring, 'out-coco.coco.json')
    assert one.one.labels.name == 'out-coco.coco.json'
    assert np.array_equal(one.one.labels.data, labels)
    assert [(r.label, r.class_id) for r in one.controller.objects] == [(1, 1), (2, 1), (3, 1)]
    assert [item.name for item in one.controller.session.classes] == ['nucleus']
    # and they can be edited on, and taken back
    one.controller.actions.merge([1, 2])
    one.one.quiet()
    assert [r.label for r in one.controller.objects] == [1, 3]
    one.controller.undo()
    one.one.quiet()
    assert np.array_equal(one.one.labels.data, labels)


def test_bad_files_are_told_and_harm_nothing(desk: Callable[..., Desk], tmp_path: Path) -> None:
    one = desk()
    one.commit(CENTRES[0])
    before, layer = one.one.labels.data.copy(), one.one.labels
    np.save(tmp_path / 'x.npy', np.zeros(3))
    tifffile.imwrite(tmp_path / 'float.tif', np.zeros((5, 120, 160), np.float32))
    tifffile.imwrite(tmp_path / 'small.tif', np.ones((4, 4), np.uint8))
    for button, name, expected in (
        (one.panel.bring, 'float.tif', 'labels are integers'),
        (one.panel.bring, 'small.tif', 'choose the image that they belong to'),
        (one.panel.open, 'small.tif', 'no UTF-8 text'),
        (one.panel.save, 'no/such/folder', 'does not exist'),
    ):
        with notifications() as told:
            one.press(button, name)
        assert any(expected in words for words in told), (name, told, one.said[-1])
        assert one.one.labels is layer
        assert np.array_equal(layer.data, before)


def test_a_session_goes_to_another_window(desk: Callable[..., Desk], tmp_path: Path) -> None:
    """Saved, kept up to date, and opened with the image elsewhere; undo goes on."""
    path = tmp_path / 'here' / 'picture.tif'
    path.parent.mkdir()
    tifffile.imwrite(path, stack(), photometric='minisblack', metadata={'axes': 'ZYX'})
    one = desk(image=stack())
    one.journaling.identify(one.controller.image, lambda _identity: None)
    one.quiet()
    one.commit(*CENTRES[:2])
    one.press(one.panel.save, 'work')
    assert one.panel.file.text() == 'work.mobilesam.json'
    one.commit(CENTRES[2])
    assert one.filing._timer.isActive()
    one.filing._timer.timeout.emit()
    one.quiet()
    assert len(load_session(tmp_path / 'work.mobilesam.json').session) == 3
    one.controller.actions.set_flag([2], 'reviewed', True)
    labels, objects = one.one.labels.data.copy(), one.controller.objects
    one.close()  # what the file lags behind is written once more

    two = desk(image=stack(3))  # another image
    two.press(two.panel.open, 'work.mobilesam.json')
    assert not two.panel.question.isHidden(), 'nobody knows where the image is'
    assert two.panel.question.take.isHidden()
    two.press(two.panel.question.choose, 'here/picture.tif')
    assert two.panel.question.isHidden()
    assert two.controller.image.name == 'picture'
    assert np.array_equal(two.one.labels.data, labels)
    assert [(r.label, r.reviewed) for r in two.controller.objects] == [
        (r.label, r.reviewed) for r in objects
    ]
    assert all(
        r.plane.source == str(two.controller.image.unique_id) for r in two.controller.objects
    )
    two.controller.undo()  # the flag
    two.controller.undo()
    two.one.quiet()
    assert [r.label for r in two.controller.objects] == [1, 2]
    # found by its pixels among the layers
    three = desk(image=stack())
    three.press(three.panel.open, 'work.mobilesam.json')
    assert np.array_equal(three.one.labels.data, labels)


def test_other_pixels_are_asked_about(desk: Callable[..., Desk], tmp_path: Path) -> None:
    one = desk()
    one.commit(CENTRES[0])
    one.press(one.panel.save, 'work')
    labels = one.one.labels.data.copy()
    one.close()
    changed = stack()
    changed[0, 0, 0] += 1
    tifffile.imwrite(tmp_path / 'new.tif', changed, photometric='minisblack')
    two = desk(image=stack(3))
    two.press(two.panel.open, 'work.mobilesam.json')
    two.press(two.panel.question.choose, 'new.tif')
    assert 'other pixels' in two.panel.question.text.text()
    assert not two.panel.question.take.isHidden()
    two.press(two.panel.question.leave)
    assert two.panel.question.isHidden()
    assert not two.controller.objects
    two.press(two.panel.open, 'work.mobilesam.json')
    two.press(two.panel.question.choose, 'new.tif')
    two.press(two.panel.question.take)
    assert np.array_equal(two.one.labels.data, labels)
    assert two.controller.image.name == 'new'


def test_what_is_written_is_of_one_moment(
    desk: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user works on while a large file is written; and may have enough of it."""
    from napari_mobilesam.exchange.snapshot import Snapshot

    one = desk()
    one.commit(CENTRES[0])
    gate, read = threading.Event(), Snapshot.read

    def slow(self: Any, *arguments: Any) -> None:
        assert gate.wait(10)
        read(self, *arguments)

    before = one.one.labels.data.copy()
    monkeypatch.setattr(Snapshot, 'read', slow)
    one.name = str(tmp_path / 'a.tif')
    one.panel.export.click()
    assert one.filing.busy
    assert not one.panel.bar.isHidden()
    one.commit(CENTRES[1])
    gate.set()
    one.quiet()
    assert np.array_equal(load(tmp_path / 'a.tif').labels, before)
    gate.clear()
    one.name = str(tmp_path / 'b.tif')
    one.panel.export.click()
    one.filing.cancel()
    assert not one.filing.busy
    gate.set()
    one.one.until(lambda: not one.filing.errands.busy)
    assert not (tmp_path / 'b.tif').exists()


def test_a_script_is_copied(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.commit(CENTRES[0])
    one.press(one.panel.script)
    script = QApplication.clipboard().text()
    assert script.startswith('from napari_mobilesam import Session')
    assert 'session.segment(points=[(0, 30.0, 40.0)]' in script

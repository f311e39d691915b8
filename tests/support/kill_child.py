"""An annotation in a real window that the test kills: what it says is safe has to be.

It waits for a line on its input, opens the image, brings back what was there before, undoes and
redoes once, and goes on annotating until it is killed. It says on its output::

    restored DIGEST               what came back, or what there is without anything to bring back
    undone DIGEST                 after Ctrl+Z
    redone DIGEST                 after Ctrl+Shift+Z
    told LINES DIGEST OBJECTS     the annotator said that this is safe, in so many lines
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import partial
from typing import Any

import numpy as np
from fakes import FakeSegmenter
from mouse import Mouse
from pictures import disc

from napari_mobilesam.engine import Session

SHAPE = (3, 240, 240)
PLACES = [(row, column) for row in range(20, 240, 40) for column in range(20, 240, 40)]


def picture() -> np.ndarray:
    image = np.tile(np.linspace(0, 10, SHAPE[2], dtype=np.float32), (*SHAPE[:2], 1))
    for z in range(SHAPE[0]):
        for place in PLACES:
            image[z][disc(SHAPE[1:], place, 9 + z)] = 200
    return image


def digest(labels: Any, session: Session) -> str:
    """Return a digest of all pixels and all that is known of the objects."""
    state = hashlib.sha256(np.ascontiguousarray(labels).tobytes())
    records = [record.of_image('') for record in session]
    state.update(repr((records, session.classes, session.maximum)).encode())
    return state.hexdigest()[:24]


def say(*words: object) -> None:
    # at once, and whole: a process that is killed leaves no half line that looks like a whole one
    os.write(1, (' '.join(map(str, words)) + '\n').encode())


class User:
    def __init__(self, seed: int) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_mobilesam.widgets import AnnotatorWidget

        self.process = QApplication.processEvents
        self.rng = np.random.default_rng(seed)
        self.viewer = napari.Viewer()
        self.viewer.window.resize(600, 450)
        self.process()
        say('ready')
        sys.stdin.readline()
        self.image = self.viewer.add_image(picture(), name='cells')
        self.viewer.dims.set_current_step(0, 0)
        self.widget = AnnotatorWidget(self.viewer, segmenter_factory=FakeSegmenter)
        self.viewer.window.add_dock_widget(self.widget, name='Annotator')
        # What is said while the widget is made comes before this: the answer from the disk, after.
        self.offered: list[bool] = []
        self.widget.journaling.offered.connect(lambda found: self.offered.append(bool(found)))
        self.process()
        self.viewer.reset_view()
        self.controller = self.widget.controller
        self.mouse = Mouse(self.viewer, self.widget)

    def quiet(self) -> None:
        while True:
            self.process()
            busy = self.widget._bridge._worker.busy or self.controller.pending
            if self.widget.model.loaded is not None and not busy:
                break
        self.process()

    def key(self, name: str, control: bool = False, shift: bool = False) -> None:
        from qtpy.QtCore import Qt

        modifiers = Qt.KeyboardModifier.NoModifier
        if control:
            modifiers |= Qt.KeyboardModifier.ControlModifier
        if shift:
            modifiers |= Qt.KeyboardModifier.ShiftModifier
        self.mouse.key(getattr(Qt.Key, f'Key_{name}'), modifiers)
        self.quiet()

    @property
    def digest(self) -> str:
        return digest(self.controller.labels.data, self.controller.session)

    def come_back(self) -> None:
        while self.widget.journaling.pending or not self.offered:
            self.process()
        if self.offered[-1]:
            self.widget.restore_line.restore.click()
            while self.widget.journaling.pending:
                self.process()
        self.quiet()
        say('restored', self.digest)
        if self.controller.session.history.last is not None:
            self.key('Z', control=True)
            say('undone', self.digest)
            self.key('Z', control=True, shift=True)
            say('redone', self.digest)

    def act(self) -> None:
        controller, choice = self.controller, self.rng.random()
        ids = [record.label for record in controller.objects]
        if choice < 0.12 and ids:
            self.key('Z', control=True)
        elif choice < 0.18:
            self.key('Z', control=True, shift=True)
        elif choice < 0.24:
            self.key(str(self.rng.integers(1, 5)))
        elif choice < 0.30 and len(ids) > 4:
            controller.actions.remove([int(self.rng.choice(ids))])
        elif choice < 0.36 and len(ids) > 4:
            controller.actions.merge([int(i) for i in self.rng.choice(ids, 2, replace=False)])
        elif choice < 0.42:
            place = (controller.viewer.dims.current_step[0], *self.rng.integers(10, 230, 2))
            controller.labels.paint(place, int(self.rng.choice([0, *ids])))
        else:
            self.viewer.dims.set_current_step(0, int(self.rng.integers(SHAPE[0])))
            self.quiet()
            z = self.viewer.dims.current_step[0]
            self.mouse.click(self.image, (z, *PLACES[int(self.rng.integers(len(PLACES)))]))
            self.quiet()
            self.key('Return')
        self.quiet()
        session = controller.session
        journal = self.widget.journaling.journal_of(session)
        if journal is not None:
            lines = self.widget.journaling._kept[session].journal.last + 1
            tell = partial(say, 'told', lines, self.digest, len(session))
            self.widget.journaling.afterwards(tell)


def main(seed: int) -> None:
    user = User(seed)
    user.come_back()
    while True:
        user.act()


if __name__ == '__main__':
    main(int(sys.argv[1]))

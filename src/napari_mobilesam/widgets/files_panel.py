"""Session and files: saving, opening, exports, imports, and how far they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_mobilesam.exchange import FORMATS, Format
from napari_mobilesam.exchange.session_file import SUFFIX

from .bars import QuietBar
from .section import Section

_SESSIONS = f'Sessions (*{SUFFIX})'
_IMAGES = 'Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp *.npy);;All files (*)'


def save_name(parent: QWidget, title: str, name: str, filters: str) -> str:
    """Ask for the name of a new file; empty if the user changed their mind."""
    return str(QFileDialog.getSaveFileName(parent, title, name, filters)[0])


def open_name(parent: QWidget, title: str, folder: str, filters: str) -> str:
    """Ask for a file that is there; empty if the user changed their mind."""
    return str(QFileDialog.getOpenFileName(parent, title, folder, filters)[0])


def _button(text: str, hint: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(hint)
    return button


class FilesPanel(Section):
    """Save and open sessions, export and import objects, copy a script.

    Signals
    -------
    save_wanted, open_wanted (str)
        The session file.
    autosave_chosen (bool)
        Whether the session file is kept up to date.
    export_wanted (str, str, dict)
        Path, format, and options of the format.
    import_wanted (str)
    script_wanted
    cancel_clicked
    image_named (str)
        The answer to a question: the image of the session; empty for none.
    same_image_wanted
        The answer to a question: take the image, though its pixels differ.
    """

    save_wanted = Signal(str)
    open_wanted = Signal(str)
    autosave_chosen = Signal(bool)
    export_wanted = Signal(str, str, object)
    import_wanted = Signal(str)
    script_wanted = Signal()
    cancel_clicked = Signal()
    image_named = Signal(str)
    same_image_wanted = Signal()

    def __init__(self) -> None:
        super().__init__('Session and files')
        self._stem = 'labels'
        self._folder = ''
        self.save = _button('Save session…', 'Objects, classes, prompts and undo, to go on later')
        self.open = _button('Open session…', 'Go on with a session; its image is looked for')
        self.file = QLabel()
        self.file.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.file.setTextFormat(Qt.TextFormat.PlainText)
        self.autosave = QCheckBox('Keep it up to date')
        self.autosave.setToolTip('Save half a minute after a change, in the background')
        self.autosave.setChecked(True)
        self.format = QComboBox()
        self.format.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.format.setMinimumWidth(80)
        self.format.setAccessibleName('Format to export')
        for form in FORMATS:
            ending = form.suffixes[0] if form.suffixes else 'folder'
            self.format.addItem(f'{form.title}  ({ending})', form)
            keeps = form.keeps or 'numbers for a spreadsheet'
            self.format.setItemData(self.format.count() - 1, f'Keeps {keeps}', 3)  # the tooltip
        self.format.setToolTip('What to export to')
        self.polygons = QCheckBox('Polygons instead of masks')
        self.per_plane = QCheckBox('A row per object and plane')
        self.export = _button('Export…', 'Write all objects of the current labels')
        self.bring = _button(
            'Import…', 'Labels, COCO, GeoJSON or ImageJ ROIs, as objects in a layer of their own'
        )
        self.script = _button('Copy as Python', 'A script that makes the same objects')
        self.bar = QuietBar()
        self.bar.setRange(0, 0)
        self.cancel = _button('Cancel', 'Stop; nothing is left half-done')
        self.question = ImageQuestion()
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.addWidget(self.save, 0, 0)
        grid.addWidget(self.open, 0, 1)
        grid.addWidget(self.file, 1, 0)
        grid.addWidget(self.autosave, 1, 1)
        grid.addWidget(self.format, 2, 0, 1, 2)
        grid.addWidget(self.polygons, 3, 0, 1, 2)
        grid.addWidget(self.per_plane, 4, 0, 1, 2)
        grid.addWidget(self.export, 5, 0)
        grid.addWidget(self.bring, 5, 1)
        grid.addWidget(self.script, 6, 0, 1, 2)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        self.body.addLayout(grid)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.bar, stretch=1)
        row.addWidget(self.cancel)
        self.body.addLayout(row)
        self.body.addWidget(self.question)
        self.save.clicked.connect(self._ask_save)
        self.open.clicked.connect(self._ask_open)
        self.autosave.toggled.connect(self.autosave_chosen)
        self.format.currentIndexChanged.connect(self._show_options)
        self.export.clicked.connect(self._ask_export)
        self.bring.clicked.connect(self._ask_import)
        self.script.clicked.connect(self.script_wanted)
        self.cancel.clicked.connect(self.cancel_clicked)
        self.question.named.connect(self.image_named)
        self.question.same.connect(self.same_image_wanted)
        self._show_options()
        self.show_busy(False)
        self.show_session(None)
        self.show_image(None, '')

    def show_image(self, name: str | None, path: str) -> None:
        """Say which image the files would be about, and where it is; None for none."""
        self._stem = name or 'labels'
        self._folder = str(Path(path).parent) if path else ''
        for widget in (self.save, self.export, self.bring, self.script):
            widget.setEnabled(name is not None)

    def show_session(self, path: Path | None) -> None:
        """Show which session file there is."""
        self.file.setText('' if path is None else path.name)
        self.file.setToolTip('' if path is None else str(path))
        self.file.setVisible(path is not None)
        self.autosave.setVisible(path is not None)

    def show_busy(self, busy: bool) -> None:
        """Show whether a file is being read or written."""
        self.bar.setVisible(busy)
        self.cancel.setVisible(busy)
        self.bar.setRange(0, 0)
        usable = self.script.isEnabled()
        for widget in (self.save, self.export, self.bring):
            widget.setEnabled(usable and not busy)
        self.open.setEnabled(not busy)

    def show_progress(self, done: int, total: int) -> None:
        """Show how far it is."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _show_options(self) -> None:
        form: Format = self.format.currentData()
        self.polygons.setVisible(form.name == 'coco')
        self.per_plane.setVisible(form.module == 'table')

    def _ask(self, ask: Callable[..., str], title: str, name: str, filters: str) -> str:
        return ask(self, title, str(Path(self._folder) / name), filters)

    def _ask_save(self) -> None:
        name = self._ask(save_name, 'Save session', f'{self._stem}{SUFFIX}', _SESSIONS)
        if name:
            self.save_wanted.emit(name)

    def _ask_open(self) -> None:
        name = self._ask(open_name, 'Open session', '', _SESSIONS)
        if name:
            self.open_wanted.emit(name)

    def _ask_export(self) -> None:
        form: Format = self.format.currentData()
        ending = form.suffixes[0] if form.suffixes else ''
        pattern = ' '.join(f'*{suffix}' for suffix in form.suffixes) or '*'
        name = self._ask(
            save_name, 'Export objects', f'{self._stem}-labels{ending}', f'{form.title} ({pattern})'
        )
        if not name:
            return
        if form.suffixes and not name.lower().endswith(form.suffixes):
            name += ending
        options = {}
        if form.name == 'coco' and self.polygons.isChecked():
            options['polygons'] = True
        if form.module == 'table' and self.per_plane.isChecked():
            options['per_plane'] = True
        self.export_wanted.emit(name, form.name, options)

    def _ask_import(self) -> None:
        endings = [f'*{suffix}' for form in FORMATS if form.reader for suffix in form.suffixes]
        filters = f'Objects ({" ".join(endings)});;All files (*)'
        name = self._ask(open_name, 'Import objects', '', filters)
        if name:
            self.import_wanted.emit(name)


class ImageQuestion(QFrame):
    """Asks which image a session belongs to; nothing is in the way meanwhile.

    Signals
    -------
    named (str)
        The user says which; empty for none.
    same
        The user wants the one that was found, though its pixels differ.
    """

    named = Signal(str)
    same = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.choose = _button('Choose the image…', 'Say where the image of the session is now')
        self.take = _button('Use it all the same', 'Put the objects on this image')
        self.leave = _button('Not now', 'Open nothing')
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        for widget in (self.text, self.choose, self.take, self.leave):
            column.addWidget(widget)
        self.choose.clicked.connect(self._choose)
        self.take.clicked.connect(self.same)
        self.leave.clicked.connect(lambda: self.named.emit(''))
        self.hide()

    def ask(self, words: str, differs: bool) -> None:
        """Ask; `differs` if there is an image, with other pixels. No words: nothing to ask."""
        self.text.setText(words)
        self.take.setVisible(differs)
        self.setVisible(bool(words))

    def _choose(self) -> None:
        name = open_name(self, 'Image of the session', '', _IMAGES)
        if name:
            self.named.emit(name)

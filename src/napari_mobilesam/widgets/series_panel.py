"""An image series in the dock: which image, how many are done, on and back."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_mobilesam.exchange.images import SUFFIXES

from .bars import QuietBar
from .section import Section

_FILTER = f'Images ({" ".join(f"*{suffix}" for suffix in SUFFIXES)});;All files (*)'


def folder_name(parent: QWidget) -> str:
    """Ask for a folder of images; empty if the user changed their mind."""
    return str(QFileDialog.getExistingDirectory(parent, 'Folder of images'))


def file_names(parent: QWidget) -> list[str]:
    """Ask for images; none if the user changed their mind."""
    return list(QFileDialog.getOpenFileNames(parent, 'Images', '', _FILTER)[0])


class SeriesPanel(Section):
    """Go through many images.

    Signals
    -------
    opened (list of str)
        A folder, or images.
    moved (int)
        On or back, by one.
    done_clicked
        The image at hand is done.
    skip_chosen (bool)
        Whether images that are done are passed over.
    """

    opened = Signal(object)
    moved = Signal(int)
    done_clicked = Signal()
    skip_chosen = Signal(bool)

    def __init__(self) -> None:
        super().__init__('Image series')
        self.folder = QPushButton('Open folder…')
        self.folder.setToolTip('All images of a folder, one after the other')
        self.files = QPushButton('Open images…')
        self.files.setToolTip('Images that you choose, one after the other')
        self.name = QLabel()
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.bar = QuietBar()
        self.previous = QPushButton('◂ Previous')
        self.previous.setToolTip('Keep the session beside the image, and go back')
        self.next = QPushButton('Next ▸')
        self.next.setToolTip('Keep the session beside the image, and go on')
        self.done = QPushButton('Done ▸')
        self.done.setToolTip('Write the labels beside the image, and go on to one that is not done')
        self.skip = QCheckBox('Skip images that are done')
        self.skip.setChecked(True)
        for first, second in ((self.folder, self.files), (self.previous, self.next)):
            row = QHBoxLayout()
            row.setSpacing(4)
            row.addWidget(first)
            row.addWidget(second)
            if first is self.previous:
                row.addWidget(self.done)
                self.body.addWidget(self.name)
                self.body.addWidget(self.bar)
            self.body.addLayout(row)
        self.body.addWidget(self.skip)
        self.folder.clicked.connect(self._ask_folder)
        self.files.clicked.connect(self._ask_files)
        self.previous.clicked.connect(lambda: self.moved.emit(-1))
        self.next.clicked.connect(lambda: self.moved.emit(1))
        self.done.clicked.connect(self.done_clicked)
        self.skip.toggled.connect(self.skip_chosen)
        self.show_place('', 0, 0, 0)

    def show_place(self, name: str, position: int, count: int, done: int) -> None:
        """Show which image of how many this is, and how many are done; a count of 0: no series."""
        for widget in (self.name, self.bar, self.previous, self.next, self.done, self.skip):
            widget.setVisible(count > 0)
        self.name.setText(f'{position + 1} of {count}: {name}')
        self.name.setToolTip(name)
        self.bar.setRange(0, max(count, 1))
        self.bar.setValue(done)
        self.bar.setFormat(f'{done} of {count} done')
        self.previous.setEnabled(position > 0)
        self.next.setEnabled(position + 1 < count)

    def show_busy(self, busy: bool) -> None:
        """Let nobody go on while files are read or written."""
        for widget in (self.folder, self.files, self.previous, self.next, self.done):
            widget.setDisabled(busy)

    def _ask_folder(self) -> None:
        name = folder_name(self)
        if name:
            self.opened.emit([name])

    def _ask_files(self) -> None:
        names = file_names(self)
        if names:
            self.opened.emit(names)

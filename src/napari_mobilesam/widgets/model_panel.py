"""Which model answers, where and how fast, and where to get others."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
)

from .bars import QuietBar
from .model_loading import DEVICES, LoadedSegmenter, ModelEntry, megabytes
from .section import Section

_OFFER = 'This is our own checkpoint for microscopy. The official MobileSAM can be fetched.'
_OWN = 'own file…'
_DEVICES = {'auto': 'the fastest there is', 'cpu': 'CPU', 'cuda': 'CUDA', 'mps': 'MPS (Apple)'}
_MIB = 2**20


def _duration(ms: float) -> str:
    return f'{ms:.0f} ms' if ms < 10_000 else f'{ms / 1000:.1f} s'


def _line() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _combo(hint: str) -> QComboBox:
    combo = QComboBox()
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    combo.setMinimumWidth(80)
    combo.setToolTip(hint)
    return combo


class ModelPanel(Section):
    """Choose a model and a device; name the one in use, its times and its memory.

    Signals
    -------
    model_chosen (str)
        Name or path of a checkpoint.
    device_chosen, precision_chosen (str)
    download_clicked, cancel_clicked, retry_clicked
    """

    model_chosen = Signal(str)
    device_chosen = Signal(str)
    precision_chosen = Signal(str)
    download_clicked = Signal()
    cancel_clicked = Signal()
    retry_clicked = Signal()

    def __init__(self) -> None:
        super().__init__('Model')
        self.model = _combo('The checkpoint; nothing is downloaded unasked')
        self.device = _combo('Where the model runs')
        for device in DEVICES:
            self.device.addItem(_DEVICES[device], device)
        self.precision = _combo(
            'In which the encoder computes; bfloat16 is faster and a little less exact'
        )
        self.about = _line()
        self.name = _line()
        self.budget = _line()
        self.notice = _line()
        self.download = QPushButton()
        self.retry = QPushButton('Try again')
        self.progress = QuietBar()
        self.cancel = QPushButton('Cancel')
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow('&Model', self.model)
        form.addRow('Device', self.device)
        form.addRow('Precision', self.precision)
        self._form = form
        self.body.addLayout(form)
        for line in (self.about, self.name, self.budget, self.notice):
            self.body.addWidget(line)
        row = QHBoxLayout()
        for widget in (self.download, self.retry):
            row.addWidget(widget)
        row.addWidget(self.progress, stretch=1)
        row.addWidget(self.cancel)
        self.body.addLayout(row)
        self.model.activated.connect(self._on_model)
        self.device.activated.connect(self._on_device)
        self.precision.activated.connect(
            lambda _index: self.precision_chosen.emit(self.precision.currentText())
        )
        self.download.clicked.connect(self.download_clicked)
        self.cancel.clicked.connect(self.cancel_clicked)
        self.retry.clicked.connect(self.retry_clicked)
        self._entries: dict[str, ModelEntry] = {}
        self._wanted = ''
        self._encode_ms: float | None = None
        self._decode_ms: float | None = None
        self._cache: tuple[int, float] | None = None
        self._running = False
        self.show_models((), '')
        self.show_precision((), '')
        self.show_state(None, '', True)
        self._show_downloading(False)

    def show_models(self, entries: Sequence[ModelEntry], wanted: str) -> None:
        """List the models, with the wanted one chosen; tells nobody."""
        self._entries = {entry.name: entry for entry in entries}
        self._wanted = wanted
        with QSignalBlocker(self.model):
            self.model.clear()
            for entry in entries:
                self.model.addItem(entry.title, entry.name)
                self.model.setItemData(
                    self.model.count() - 1, entry.purpose, Qt.ItemDataRole.ToolTipRole
                )
            self.model.addItem(_OWN, None)
        self._show_wanted()

    def show_device(self, device: str) -> None:
        """Show which device was chosen; tells nobody."""
        with QSignalBlocker(self.device):
            self.device.setCurrentIndex(max(0, self.device.findData(device)))

    def show_precision(self, precisions: Sequence[str], chosen: str) -> None:
        """Offer the precisions worth choosing, where there is more than one; tells nobody."""
        with QSignalBlocker(self.precision):
            self.precision.clear()
            self.precision.addItems(list(precisions))
            self.precision.setCurrentText(chosen)
        self._form.setRowVisible(self.precision, len(precisions) > 1)

    def show_state(self, loaded: LoadedSegmenter | None, error: str, loading: bool) -> None:
        """Show what answers, or why nothing does."""
        if loaded is not None:
            parts = [loaded.title]
            if loaded.device:
                parts.append(f'on {loaded.device}')
            if loaded.backend:
                parts.append(f'({loaded.backend})')
            self.name.setText(' '.join(parts) + (' · another one is loading…' if loading else ''))
        else:
            self.name.setText('Loading…' if loading else 'No model')
        notice = '' if loaded is None else loaded.notice
        offer = _OFFER if loaded is not None and loaded.official_offered else ''
        self.name.setToolTip(notice)
        self.notice.setToolTip(notice)
        self.notice.setText(error or offer or notice)
        self.notice.setVisible(bool(self.notice.text()))
        self.retry.setVisible(bool(error))

    def show_times(self, encode_ms: float | None, decode_ms: float | None) -> None:
        """Show what the encoder and the decoder took last; None leaves a number as it was."""
        self._encode_ms = self._encode_ms if encode_ms is None else encode_ms
        self._decode_ms = self._decode_ms if decode_ms is None else decode_ms
        self._show_budget()

    def show_cache(self, nbytes: int, budget_mib: float) -> None:
        """Show how much memory the embeddings take."""
        self._cache = (nbytes, budget_mib)
        self._show_budget()

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the download is; `total` is 0 where nobody knows."""
        self._show_downloading(True)
        self.progress.setRange(0, 1000 if total else 0)
        if total:
            self.progress.setValue(int(1000 * done / total))
            self.progress.setFormat(f'{done / 1e6:.1f} of {total / 1e6:.1f} MB')

    def show_download_ended(self, problem: str) -> None:
        """The download is over: done, cancelled, or not possible."""
        self._show_downloading(False)
        if problem:
            self.notice.setText(problem)
            self.notice.setVisible(True)

    def ask_for_file(self) -> str:
        """Let the user choose a file; empty if none."""
        path, _ = QFileDialog.getOpenFileName(
            self, 'A checkpoint of MobileSAM or SAM', '', 'Checkpoints (*.pt *.pth);;All files (*)'
        )
        return path

    def _on_model(self, index: int) -> None:
        name = self.model.itemData(index)
        if name is None:
            name = self.ask_for_file()
        if name and name != self._wanted:
            self._wanted = name
            self.model_chosen.emit(name)
        self._show_wanted()

    def _on_device(self, _index: int) -> None:
        self.device_chosen.emit(self.device.currentData())

    def _show_wanted(self) -> None:
        entry = self._entries.get(self._wanted)
        with QSignalBlocker(self.model):
            index = next(
                (i for i in range(self.model.count()) if self.model.itemData(i) == self._wanted), -1
            )
            self.model.setCurrentIndex(index)
        if entry is None:
            self.about.setText('')
        else:
            size = '' if entry.size is None else megabytes(entry.size)
            about = ' · '.join(filter(None, (entry.licence, size)))
            self.about.setText(f'{entry.purpose}\n{about}'.strip())
            self.about.setToolTip(entry.source)
            self.download.setText(f'Download {megabytes(entry.size)}')
            self.download.setToolTip(
                f'Fetch {entry.name} ({entry.licence}) from {entry.source}, check its hash, and '
                'use it from now on'
            )
        self.about.setVisible(bool(self.about.text()))
        self._show_downloading(self._running)

    def _show_budget(self) -> None:
        parts = [
            f'{name} {_duration(value)}'
            for name, value in (('plane', self._encode_ms), ('click', self._decode_ms))
            if value is not None
        ]
        if self._cache is not None:
            nbytes, budget = self._cache
            parts.append(f'cache {nbytes / _MIB:.0f} of {budget:.0f} MiB')
        self.budget.setText(' · '.join(parts))
        self.budget.setVisible(bool(parts))

    def _show_downloading(self, running: bool) -> None:
        self._running = running
        entry = self._entries.get(self._wanted)
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        self.download.setVisible(not running and entry is not None and not entry.ready)

"""Which model answers, how fast, and where to get the official one."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy

from .section import Section

_OFFER = 'Our own checkpoint for microscopy. The official MobileSAM can be fetched:'


def _duration(ms: float) -> str:
    return f'{ms:.0f} ms' if ms < 10_000 else f'{ms / 1000:.1f} s'


def _line() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


class ModelPanel(Section):
    """Name the model and its times; offer the official checkpoint.

    Signals
    -------
    download_clicked, cancel_clicked, retry_clicked
    """

    download_clicked = Signal()
    cancel_clicked = Signal()
    retry_clicked = Signal()

    def __init__(self) -> None:
        super().__init__('Model')
        self.name = _line()
        self.times = _line()
        self.notice = _line()
        self.download = QPushButton('Download (40.7 MB)')
        self.download.setToolTip(
            'Fetch the official MobileSAM checkpoint (Apache-2.0, 40.7 MB) from its repository '
            'on github.com, check its SHA-256, and use it from now on'
        )
        self.retry = QPushButton('Try again')
        self.progress = QProgressBar()
        self.cancel = QPushButton('Cancel')
        self.body.addWidget(self.name)
        self.body.addWidget(self.times)
        self.body.addWidget(self.notice)
        row = QHBoxLayout()
        for widget in (self.download, self.retry):
            row.addWidget(widget)
        row.addWidget(self.progress, stretch=1)
        row.addWidget(self.cancel)
        self.body.addLayout(row)
        self.download.clicked.connect(self.download_clicked)
        self.cancel.clicked.connect(self.cancel_clicked)
        self.retry.clicked.connect(self.retry_clicked)
        self._encode_ms: float | None = None
        self._decode_ms: float | None = None
        self._offered = False
        self.show_loading()
        self._show_downloading(False)

    def show_loading(self) -> None:
        """The model is on its way."""
        self._set('Loading…', '', offered=False, retry=False)
        self.name.setToolTip('')

    def show_ready(self, title: str, device: str, notice: str, offered: bool) -> None:
        """The model answers."""
        text = f'{title} on {device}' if device else title
        hint = _OFFER if offered else ''
        self._set(text, hint, offered=offered, retry=False)
        self.name.setToolTip(notice)
        self.notice.setToolTip(notice)

    def show_error(self, error: str) -> None:
        """There is no model; say why, and what can be done."""
        self._set('No model', error, offered=True, retry=True)

    def show_times(self, encode_ms: float | None, decode_ms: float | None) -> None:
        """Show what the encoder and the decoder took last; None leaves a number as it was."""
        self._encode_ms = self._encode_ms if encode_ms is None else encode_ms
        self._decode_ms = self._decode_ms if decode_ms is None else decode_ms
        parts = [
            f'{name} {_duration(value)}'
            for name, value in (('plane', self._encode_ms), ('click', self._decode_ms))
            if value is not None
        ]
        self.times.setText(' · '.join(parts))
        self.times.setVisible(bool(parts))

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

    def _set(self, name: str, notice: str, *, offered: bool, retry: bool) -> None:
        self.name.setText(name)
        self.notice.setText(notice)
        self.notice.setVisible(bool(notice))
        self._offered = offered
        self.download.setVisible(offered and not self.progress.isVisibleTo(self))
        self.retry.setVisible(retry)
        self.times.setVisible(bool(self.times.text()))

    def _show_downloading(self, running: bool) -> None:
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        self.download.setVisible(self._offered and not running)

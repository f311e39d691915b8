"""Getting a model and keeping it: choosing, loading, downloading, all off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    DiskStore,
    EmbeddingStore,
    Segmenter,
)

from .bridge import WorkerBridge
from .model_loading import LoadedSegmenter, ModelEntry, load_checkpoint, survey

if TYPE_CHECKING:
    from .options import Options

SegmenterFactory = Callable[[], Segmenter]

_LOADED_ANEW = ('checkpoint', 'device', 'precision')


class ModelKeeper(QObject):
    """The model behind the widget.

    A model that is there stays in use until another one is loaded, and if that fails.

    Signals
    -------
    changed
        The state changed: loading, ready or failed, or the model moved to another device.
    noticed (str)
        A sentence for the user: the device's memory does not suffice.
    surveyed (tuple of ModelEntry)
        The models that there are to choose from.
    download_progressed (int, int)
        Bytes done and in all (0 where not known).
    download_ended (str)
        Empty after success and cancel, else what went wrong.
    """

    changed = Signal()
    noticed = Signal(str)
    surveyed = Signal(object)
    download_progressed = Signal(object, object)
    download_ended = Signal(str)

    def __init__(
        self,
        bridge: WorkerBridge,
        options: Options,
        factory: SegmenterFactory | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._options = options
        self._factory = factory
        self._store = EmbeddingStore(options.cache_mib, self._open_disk(options))
        self._downloader: WorkerBridge | None = None
        self._download_token: CancelToken | None = None
        self._loading = False
        self._own = options.checkpoint
        self.annotator: Annotator | None = None
        self.loaded: LoadedSegmenter | None = None
        self.error = ''

    @property
    def loading(self) -> bool:
        """Whether a model is being loaded."""
        return self._loading

    @property
    def wanted(self) -> str:
        """Name or path of the checkpoint that was chosen; another one may stand in for it."""
        return self._options.checkpoint

    def script_name(self) -> str | None:
        """Return the checkpoint that a script has to name; None for the bundled one."""
        from mobile_sam.checkpoints import BUNDLED_NAME

        bundled = self.loaded is not None and self.loaded.title == BUNDLED_NAME
        return None if bundled else self.wanted

    @property
    def device(self) -> str:
        """The device that was chosen; see `loaded` for the one in use."""
        return self._options.device

    @property
    def precision(self) -> str:
        """The precision that was chosen."""
        return self._options.precision

    @property
    def store(self) -> EmbeddingStore:
        """The embeddings, in memory and on disk."""
        return self._store

    def _open_disk(self, options: Options) -> DiskStore | None:
        if not options.disk_gib:
            return None
        folder = Path(options.cache_folder).expanduser() if options.cache_folder else None
        # heard on the worker's thread, shown in the window's
        return DiskStore(
            folder,
            budget_mib=options.disk_gib * 1024,
            on_notice=lambda sentence: self._bridge.report(self._warn, f'{sentence}.'),
        )

    def _warn(self, sentence: str) -> None:
        show_warning(f'MobileSAM: {sentence}')

    # -- choosing and loading

    def choose(self, checkpoint: str) -> None:
        """Use another checkpoint, by name or path; nothing is downloaded."""
        self.apply(replace(self._options, checkpoint=checkpoint))

    def choose_device(self, device: str) -> None:
        """Run on another device."""
        self.apply(replace(self._options, device=device))

    def choose_precision(self, precision: str) -> None:
        """Let the encoder compute in another precision, where the device gains by it."""
        self.apply(replace(self._options, precision=precision))

    def apply(self, options: Options) -> None:
        """Follow other settings; what is there goes on being used until it is replaced."""
        before, self._options = self._options, options
        if options.cache_mib != before.cache_mib:
            self._store.budget_mib = options.cache_mib
            self.changed.emit()
        if any(getattr(options, name) != getattr(before, name) for name in _LOADED_ANEW):
            self._own = options.checkpoint
            self.load()

    def load(self) -> None:
        """Load the chosen model on the worker."""
        self._loading, self.error = True, ''
        factory, options = self._factory, self._options

        def notice(sentence: str) -> None:
            self._bridge.report(self._on_notice, sentence)

        def work(_cancel: CancelToken) -> LoadedSegmenter:
            if factory is None:
                return load_checkpoint(
                    options.checkpoint, options.device, notice, options.precision
                )
            segmenter = factory()
            return LoadedSegmenter(segmenter, title=type(segmenter).__name__)

        self._bridge.submit('load', work, self._on_loaded, self._on_failed)
        self.changed.emit()

    def look_around(self) -> None:
        """Find out which models there are; `surveyed` brings them."""
        own = self._own
        self._bridge.submit(
            'survey', lambda _cancel: survey(own), self._on_surveyed, self._on_survey_failed
        )

    # -- downloading

    def download(self, name: str | None = None) -> None:
        """Fetch a checkpoint of the registry, by default the chosen one, then use it."""
        if self._download_token is not None:
            return
        name = self.wanted if name is None else name
        # A thread of its own: the model goes on answering clicks meanwhile.
        downloader = self._downloader = self._downloader or WorkerBridge(self)
        token = self._download_token = CancelToken()

        def work(cancel: CancelToken) -> object:
            from mobile_sam import checkpoints

            return checkpoints.download(
                checkpoints.REGISTRY[name],
                progress=lambda done, total: downloader.report(self._on_bytes, (done, total)),
                cancelled=lambda: token.cancelled or cancel.cancelled,
            )

        downloader.submit(
            'load', work, partial(self._on_downloaded, name), self._on_download_failed
        )

    def cancel_download(self) -> None:
        """Give the download up."""
        if self._download_token is not None:
            self._download_token.cancel()

    def close(self) -> None:
        """Stop everything, and let go of the model: hundreds of megabytes, with its embeddings.

        Python would find out only some time later that nobody needs a closed widget any more.
        """
        self.cancel_download()
        if self._downloader is not None:
            self._downloader.close()
        self._store.clear()
        self.annotator = self.loaded = None

    # -- answers, in the GUI thread

    def _on_loaded(self, loaded: LoadedSegmenter) -> None:
        self._loading = False
        self.loaded = loaded
        self.annotator = Annotator(loaded.segmenter, self._store)
        self.changed.emit()

    def _on_failed(self, error: BaseException) -> None:
        self._loading = False
        self.error = str(error) or type(error).__name__
        self.changed.emit()

    def _on_notice(self, sentence: str) -> None:
        self._warn(sentence)
        self.changed.emit()
        self.noticed.emit(sentence)

    def _on_surveyed(self, entries: tuple[ModelEntry, ...]) -> None:
        self.surveyed.emit(entries)

    def _on_survey_failed(self, error: BaseException) -> None:
        self._warn(f'The folders of checkpoints cannot be looked at: {error}')

    def _on_bytes(self, progress: tuple[Any, Any]) -> None:
        self.download_progressed.emit(*progress)

    def _on_downloaded(self, name: str, _path: object) -> None:
        self._download_token = None
        self.download_ended.emit('')
        self.look_around()
        if name != self.wanted:
            self.choose(name)
        else:
            self.load()

    def _on_download_failed(self, error: BaseException) -> None:
        from mobile_sam.checkpoints import DownloadCancelled

        self._download_token = None
        quiet = isinstance(error, DownloadCancelled | Cancelled)
        self.download_ended.emit('' if quiet else str(error))

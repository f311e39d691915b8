"""Getting a model and keeping it: loading, naming, downloading, all off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

if TYPE_CHECKING:
    from .options import Options

SegmenterFactory = Callable[[], Segmenter]

OFFICIAL = 'mobile_sam'


@dataclass(frozen=True, slots=True)
class LoadedSegmenter:
    """A segmenter, and what to tell the user about it.

    Attributes
    ----------
    segmenter
        The model.
    title
        Its name, one or two words.
    notice
        What the user has to know: above all that it is not what was asked for.
    official_offered
        Whether the official checkpoint is not here and could be fetched.
    """

    segmenter: Segmenter
    title: str
    notice: str = ''
    official_offered: bool = False

    @property
    def device(self) -> str:
        """Where it runs, as far as it says."""
        return str(getattr(self.segmenter, 'device', ''))


def load_checkpoint(checkpoint: str, device: str) -> LoadedSegmenter:
    """Load a checkpoint that is on this computer, or the bundled one: for the worker.

    Raises
    ------
    mobile_sam.checkpoints.CheckpointError
        If there is none, or it cannot be used.
    """
    from mobile_sam import checkpoints
    from napari_mobilesam.engine import SamSegmenter

    found = checkpoints.find(checkpoint, allow_download=False)
    loaded = checkpoints.load_model(found.path)
    name = found.info.name if found.info is not None else found.path.name
    return LoadedSegmenter(
        segmenter=SamSegmenter(loaded, device=device),
        title=name,
        notice=found.notice or '',
        # Not where the user's own file stands in: they know what they want.
        official_offered=checkpoint == OFFICIAL and name == checkpoints.BUNDLED_NAME,
    )


class ModelKeeper(QObject):
    """The model behind the widget.

    Signals
    -------
    changed
        The state changed: loading, ready or failed.
    download_progressed (int, int)
        Bytes done and in all (0 where not known).
    download_ended (str)
        Empty after success and cancel, else what went wrong.
    """

    changed = Signal()
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
        self.annotator: Annotator | None = None
        self.loaded: LoadedSegmenter | None = None
        self.error = ''

    @property
    def loading(self) -> bool:
        """Whether there is neither a model nor a reason why not."""
        return self.loaded is None and not self.error

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
            on_notice=lambda sentence: self._bridge.report(self._warn, sentence),
        )

    def _warn(self, sentence: str) -> None:
        show_warning(f'MobileSAM: {sentence}.')

    def load(self) -> None:
        """Load the model on the worker."""
        self.loaded, self.annotator, self.error = None, None, ''
        factory, options = self._factory, self._options

        def work(_cancel: CancelToken) -> LoadedSegmenter:
            if factory is None:
                return load_checkpoint(options.checkpoint, options.device)
            segmenter = factory()
            return LoadedSegmenter(segmenter, title=type(segmenter).__name__)

        self._bridge.submit('load', work, self._on_loaded, self._on_failed)
        self.changed.emit()

    def download_official(self) -> None:
        """Fetch the official checkpoint, then load it."""
        if self._download_token is not None:
            return
        # A thread of its own: the model goes on answering clicks meanwhile.
        downloader = self._downloader = self._downloader or WorkerBridge(self)
        token = self._download_token = CancelToken()

        def work(_cancel: CancelToken) -> object:
            from mobile_sam import checkpoints

            return checkpoints.download(
                checkpoints.REGISTRY[OFFICIAL],
                progress=lambda done, total: downloader.report(self._on_bytes, (done, total)),
                cancelled=lambda: token.cancelled or _cancel.cancelled,
            )

        downloader.submit('load', work, self._on_downloaded, self._on_download_failed)

    def cancel_download(self) -> None:
        """Give the download up."""
        if self._download_token is not None:
            self._download_token.cancel()

    def close(self) -> None:
        """Stop everything."""
        self.cancel_download()
        if self._downloader is not None:
            self._downloader.close()
        self._store.clear()

    def _on_loaded(self, loaded: LoadedSegmenter) -> None:
        self.loaded = loaded
        self.annotator = Annotator(loaded.segmenter, self._store)
        self.changed.emit()

    def _on_failed(self, error: BaseException) -> None:
        self.error = str(error) or type(error).__name__
        self.changed.emit()

    def _on_bytes(self, progress: tuple[Any, Any]) -> None:
        self.download_progressed.emit(*progress)

    def _on_downloaded(self, _path: object) -> None:
        self._download_token = None
        self.download_ended.emit('')
        self.load()

    def _on_download_failed(self, error: BaseException) -> None:
        from mobile_sam.checkpoints import DownloadCancelled

        self._download_token = None
        quiet = isinstance(error, DownloadCancelled | Cancelled)
        self.download_ended.emit('' if quiet else str(error))

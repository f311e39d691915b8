"""Going through an image series: one image after the other, results beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import CancelToken, IntensityMapping, PlaneKey, PlaneSource
from napari_mobilesam.exchange.image_series import ImageSeries
from napari_mobilesam.exchange.images import Picture, open_image
from napari_mobilesam.layers import add_picture, middle_index

if TYPE_CHECKING:
    from napari_mobilesam.engine import Annotator

    from .bridge import WorkerBridge
    from .controller import AnnotatorController
    from .filing import Filing
    from .model import ModelKeeper


class GoingThrough(QObject):
    """Opens the images of a series one after the other, and keeps what is done to them.

    While one image is annotated, the next one is read and embedded, when the worker has nothing
    better to do.

    Signals
    -------
    moved (str, int, int, int)
        Name of the image, its position, how many there are, how many are done.
    status_changed (str, str)
        One line for the user, and its kind.
    """

    moved = Signal(str, int, int, int)
    status_changed = Signal(str, str)

    def __init__(
        self,
        controller: AnnotatorController,
        filing: Filing,
        bridge: WorkerBridge,
        model: ModelKeeper,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._filing = filing
        self._bridge = bridge
        self._model = model
        self._layers: list[Any] = []
        self._ahead: tuple[Path, Picture] | None = None
        self.series: ImageSeries | None = None
        self.skip_done = True
        filing.opened.connect(self._on_session)

    def start(self, places: list[str]) -> None:
        """Begin with a folder, or with images; the first one that is not done is opened."""
        if self._filing.busy:
            return

        def begin(found: tuple[ImageSeries, int | None]) -> None:
            series, first = found
            self.series, self._layers = series, []
            self._go(0 if first is None else first)

        def look(_cancel: CancelToken) -> tuple[ImageSeries, int | None]:
            series = ImageSeries.of(*places)
            series.position = -1
            first = series.after(1, skip_done=True)
            series.position = 0
            return series, first

        self._filing.errands.run(look, begin, self._fail)

    def set_skip(self, skip: bool) -> None:
        """Pass over images that are done, or do not."""
        self.skip_done = skip

    def move(self, step: int) -> None:
        """Go on, or back: what was done is kept in a session beside the image."""
        series = self.series
        if series is None or self._filing.busy:
            return
        position = series.after(step, skip_done=self.skip_done)
        if position is None:
            self._tell_end(step)
        else:
            self._keep(partial(self._go, position))

    def done(self) -> None:
        """Write the labels beside the image, and go on to one that is not done."""
        series = self.series
        if series is None or self._filing.busy:
            return

        def go_on() -> None:
            position = series.after(1, skip_done=True)
            if position is None:
                self._tell()
                self._tell_end(1)
            else:
                self._go(position)

        def write() -> None:
            self._filing.export(series.labels_path(), 'tiff', {}, go_on)

        self._filing.save(series.session_path(), write)

    def _keep(self, then: Callable[[], object]) -> None:
        """Save the session, where there is something in it, and go on."""
        assert self.series is not None
        if self._controller.objects or self._filing.path is not None:
            self._filing.save(self.series.session_path(), then)
        else:
            then()

    # -- opening

    def _go(self, position: int) -> None:
        series = self.series
        if series is None:
            return
        series.position = position
        path, session = series.current, series.session_path()
        self._bridge.cancel('ahead')
        self._put_away()
        self._tell()
        if session.exists():
            self._filing.open(session, path)
            return
        self.status_changed.emit(f'Opening {path.name}…', 'busy')
        ahead = self._ahead
        if ahead is not None and ahead[0] == path:
            self._on_picture(path, ahead[1])
        else:
            self._filing.errands.run(
                lambda _cancel: open_image(path), partial(self._on_picture, path), self._fail
            )

    def _on_picture(self, path: Path, picture: Picture) -> None:
        if self.series is None or path != self.series.current:
            return
        layer = add_picture(self._controller.viewer, picture)
        self._controller.set_image(layer)
        self._arrived()

    def _on_session(self, path: Path) -> None:
        if self.series is not None and path == self.series.session_path():
            self._arrived()

    def _arrived(self) -> None:
        controller = self._controller
        self._layers = [layer for layer in (controller.image, controller.labels) if layer]
        self._tell()
        self._look_ahead()

    def _put_away(self) -> None:
        """Take the layers of the image before away: what was done to it is on disk."""
        # the labels that are current by now, too: they may be others than at first
        layers = [*self._layers, self._controller.labels] if self._layers else []
        self._layers = []
        for layer in layers[::-1]:
            if layer is not None and layer in self._controller.viewer.layers:
                self._controller.viewer.layers.remove(layer)

    # -- the next one

    def _look_ahead(self) -> None:
        """Read and embed the next image, when there is nothing else to do."""
        series, annotator = self.series, self._model.annotator
        if series is None or annotator is None:
            return
        position = series.after(1, skip_done=self.skip_done)
        if position is None:
            return
        path, mapping = series.paths[position], self._controller.choice.mapping
        self._bridge.submit(
            'ahead',
            partial(_prepare, annotator, path, mapping),
            partial(self._on_prepared, path),
            lambda _error: None,  # told when it is opened
        )

    def _on_prepared(self, path: Path, picture: Picture) -> None:
        self._ahead = (path, picture)

    # -- words

    def _tell(self) -> None:
        series = self.series
        if series is not None:
            self.moved.emit(series.current.name, series.position, len(series), series.done)

    def _tell_end(self, step: int) -> None:
        where = 'last' if step > 0 else 'first'
        self.status_changed.emit(f'This is the {where} image that is not done.', 'ready')

    def _fail(self, error: Exception) -> None:
        show_error(str(error))
        self.status_changed.emit(str(error), 'warning')


def _prepare(
    annotator: Annotator, path: Path, mapping: IntensityMapping | None, cancel: CancelToken
) -> Picture:
    """Read an image and embed the plane that it will be opened at; for the worker."""
    picture = open_image(path)
    if mapping is not None and mapping.mode in ('percentile', 'full'):
        ndim = len(picture.shape)
        key = PlaneKey('', (ndim - 2, ndim - 1), middle_index(picture.shape))
        spacing = (picture.scale[-2], picture.scale[-1])
        source = PlaneSource(
            key, picture.pixels, replace(mapping, limits=None), picture.rgb, spacing=spacing
        )
        annotator.embed(source, cancel, ahead=True)
    return picture

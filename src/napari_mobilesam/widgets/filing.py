"""Filing: sessions and objects between the annotator and files, in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_mobilesam.engine import CancelToken, Session
from napari_mobilesam.exchange import ExchangeError, PixelsDifferError, Segmentation, export, load
from napari_mobilesam.exchange.images import Picture, open_image
from napari_mobilesam.exchange.session_file import (
    SavedSession,
    find_image,
    load_session,
    save_session,
)
from napari_mobilesam.exchange.snapshot import Snapshot
from napari_mobilesam.exchange.views import segmentation_of, session_of
from napari_mobilesam.layers import add_picture, identifier, image_shape

from .errands import Errands

if TYPE_CHECKING:
    from napari_mobilesam.exchange.identity import ImageIdentity

    from .controller import AnnotatorController
    from .journaling import Journaling

AUTOSAVE_MS = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where the image of a session was found: a layer, a file, or what to ask."""

    saved: SavedSession
    layer: Image | None = None
    picture: Picture | None = None
    question: str = ''
    differs: str = ''


class Filing(QObject):
    """Saves, opens, exports and imports; one thing after the other, on a thread of its own.

    What is written is the session at the moment of the wish: the user goes on meanwhile.

    Parameters
    ----------
    controller
        The annotator.
    journaling
        Knows which image it is.
    weights
        Tells which checkpoint scripts name; None for the bundled one.
    parent
        Qt parent.

    Signals
    -------
    busy_changed (bool)
        Something is under way, or is not any more.
    progressed (int, int)
        Planes or objects done, and how many there are.
    session_changed (Path or None)
        The current labels have another session file.
    opened (Path)
        A session is on display.
    question_asked (str, bool)
        About the image of a session; the second says that there is one, with other pixels. No
        words: nothing is to be asked any more.
    status_changed (str, str)
        One line for the user, and its kind.
    """

    busy_changed = Signal(bool)
    progressed = Signal(int, int)
    session_changed = Signal(object)
    opened = Signal(object)
    question_asked = Signal(str, bool)
    status_changed = Signal(str, str)

    def __init__(
        self,
        controller: AnnotatorController,
        journaling: Journaling,
        weights: Callable[[], str | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._journaling = journaling
        self._weights = weights
        self.errands = Errands(self)
        self._token: CancelToken | None = None
        self._asked: _Place | None = None
        self._paths: dict[Session, Path] = {}
        self._watched: tuple[tuple[Any, Any, Any], Callable[[], None]] | None = None
        self._dirty = False
        self.autosave = True
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AUTOSAVE_MS)
        self._timer.timeout.connect(self._save_again)
        controller.labels_changed.connect(self._follow)

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._token is not None

    @property
    def path(self) -> Path | None:
        """The session file of the current labels."""
        session = self._controller.session
        return None if session is None else self._paths.get(session)

    # -- out

    def save(
        self, path: str | Path, then: Callable[[], object] | None = None, of: Any = None
    ) -> None:
        """Save the session of the current labels, and call `then`.

        Instead of the current ones, `of` may name others: their image, session and layer.
        """
        path = Path(path)

        def write(identity: ImageIdentity, snapshot: Snapshot, _watch: Any) -> Path:
            return save_session(path, identity, snapshot.exact(), snapshot.session())

        def saved(session: Session, written: Path) -> None:
            self._paths[session] = written
            self._show_path()
            self._say(f'The session is saved: {written.name}')
            if then is not None:
                then()

        self._out(write, saved, 'Saving the session…', of)

    def export(
        self,
        path: str | Path,
        format_name: str,
        options: dict[str, Any],
        then: Callable[[], object] | None = None,
    ) -> None:
        """Write the objects of the current labels, and call `then`.

        What is there is replaced: the dialog has asked.
        """
        image = self._controller.image
        if image is None:
            return
        pixels = image.data[0] if image.multiscale else image.data
        shape, rgb, name = image_shape(image), bool(image.rgb), str(image.name)

        def write(identity: ImageIdentity, snapshot: Snapshot, watch: Any) -> tuple[Path, ...]:
            labels = snapshot.exact()
            if labels.shape == shape:
                where = Path(identity.path) if identity.path else None
                picture = Picture(pixels, identity.axes, identity.scale, identity.unit, rgb, where)
                objects = segmentation_of(picture, labels, snapshot.session())
            else:
                objects = Segmentation(labels)
            objects = replace(objects, name=name, watch=watch)
            return export(objects, path, format_name, overwrite=True, **options)

        def written(_session: Session, paths: tuple[Path, ...]) -> None:
            where = paths[0].name if len(paths) == 1 else f'{len(paths)} files in {path}'
            self._say(f'Exported: {where}')
            if then is not None:
                then()

        self._out(write, written, 'Exporting…')

    def _out(
        self,
        write: Callable[[ImageIdentity, Snapshot, Any], Any],
        on_written: Callable[[Session, Any], object],
        words: str,
        of: tuple[Any, Any, Any] | None = None,
    ) -> None:
        image, session, layer = self._current() if of is None else of
        if image is None or session is None or layer is None or self.busy:
            return
        data = layer.data[0] if layer.multiscale else layer.data
        snapshot = Snapshot(session)
        self.status_changed.emit(words, 'busy')

        def failed(error: Exception) -> None:
            snapshot.finish()
            self._fail(error)

        def identified(identity: ImageIdentity | str) -> None:
            if isinstance(identity, str):
                failed(ExchangeError(identity))
            else:
                self._run(
                    lambda cancel: snapshot.read(data, cancel), partial(copied, identity), failed
                )

        def copied(identity: ImageIdentity, _result: None) -> None:
            snapshot.finish()

            def work(cancel: CancelToken) -> Any:
                return write(identity, snapshot, self._watch(cancel))

            self._run(work, lambda result: done(result), self._fail)

        def done(result: Any) -> None:
            self._end()
            on_written(session, result)

        self._begin()
        self._journaling.identify(image, identified)

    def _current(self) -> tuple[Any, Any, Any]:
        controller = self._controller
        return controller.image, controller.session, controller.labels

    # -- in

    def bring(self, path: str | Path) -> None:
        """Import objects into a layer of their own, ids and classes kept."""
        image = self._controller.image
        if image is None or self.busy:
            return
        path, shape = Path(path), image_shape(image)
        axes = {2: 'yx', 3: 'zyx', 4: 'tzyx', 5: 'tczyx'}.get(len(shape), '')
        self.status_changed.emit('Importing…', 'busy')

        def read(cancel: CancelToken) -> tuple[Segmentation, Any, Session]:
            found = load(path, shape=shape, axes=axes)
            return found, found.labels.astype('int32'), session_of(found, cancel)

        def arrived(result: tuple[Segmentation, Any, Session]) -> None:
            self._end()
            found, labels, session = result
            if self._take(image, labels, session, path.name):
                for notice in found.notices:
                    show_info(notice)
                self._say(f'{len(session)} objects are imported, in a layer of their own.')

        self._begin()
        self._run(read, arrived, self._fail)

    def open(self, path: str | Path, image: str | Path | None = None) -> None:
        """Go on with a session: find its image, open it where it is not, take its objects.

        Parameters
        ----------
        path
            The session file.
        image
            Where its image is, if the user has said so.
        """
        if self.busy:
            return
        self._ask_nothing()
        layers = [layer for layer in self._controller.viewer.layers if isinstance(layer, Image)]
        layers.sort(key=lambda layer: layer is not self._controller.image)
        readers = [(layer, image_shape(layer), identifier(layer)) for layer in layers]
        self.status_changed.emit('Opening the session…', 'busy')

        def look(cancel: CancelToken) -> _Place:
            saved = load_session(Path(path))
            if image is None:
                for layer, shape, read in readers:
                    cancel.check()
                    alike = shape == saved.identity.shape
                    if alike and read().fingerprint == saved.identity.fingerprint:
                        return _Place(saved, layer=layer)
            try:
                return _Place(saved, picture=find_image(saved, image))
            except PixelsDifferError as error:
                return _Place(
                    saved,
                    question=f'"{Path(error.path).name}" has other pixels than the image that was '
                    'annotated: it was changed, or is another one.',
                    differs=error.path,
                )
            except ExchangeError as error:
                return _Place(saved, question=f'{error}.')

        self._begin()
        self._run(look, self._on_place, self._fail)

    def answer(self, image: str) -> None:
        """Say where the image of the session is that was asked about; empty for nowhere."""
        asked = self._asked
        self._ask_nothing()
        if asked is not None and image:
            self.open(asked.saved.path, image)

    def answer_same(self) -> None:
        """Put the objects on the image that was found, though its pixels differ."""
        asked = self._asked
        self._ask_nothing()
        if asked is None or self.busy:
            return

        def read(_cancel: CancelToken) -> _Place:
            return _Place(asked.saved, picture=open_image(asked.differs))

        self._begin()
        self._run(read, self._on_place, self._fail)

    def _on_place(self, place: _Place) -> None:
        self._end()
        if place.question:
            self._asked = place
            self.question_asked.emit(place.question, bool(place.differs))
            self.status_changed.emit('Which image does the session belong to?', 'warning')
            return
        layer = place.layer
        if layer is None:
            assert place.picture is not None
            layer = add_picture(self._controller.viewer, place.picture)
        session = place.saved.session_of_image(str(layer.unique_id))
        if self._take(layer, place.saved.labels, session, ''):
            self._paths[session] = place.saved.path
            self._show_path()
            self._say(f'{len(session)} objects are back; undo works as before.')
            self.opened.emit(place.saved.path)

    def _take(self, image: Image, labels: Any, session: Session, name: str) -> bool:
        if image not in self._controller.viewer.layers:
            return False
        self._controller.set_image(image)
        try:
            self._controller.committer.take(labels, session, name)
        except ValueError as error:
            self._fail(error)
            return False
        return True

    # -- a script

    def copy_script(self) -> None:
        """Put a script that makes the same objects on the clipboard."""
        from napari_mobilesam.as_python import as_python

        image, session = self._controller.image, self._controller.session
        if image is None or session is None:
            return

        def copy(identity: ImageIdentity | str) -> None:
            clipboard = QApplication.clipboard()
            if isinstance(identity, str) or clipboard is None:
                self._fail(ExchangeError(str(identity)))
                return
            clipboard.setText(as_python(session, identity, self._weights()))
            self._say('A script that makes these objects is on the clipboard.')

        self._journaling.identify(image, copy)

    # -- keeping the file up to date

    def _follow(self) -> None:
        current = self._current()
        former = self._watched
        if former is not None and former[0][1] is current[1]:
            return
        if former is not None:
            former[1]()
            path = self._paths.get(former[0][1])
            if path is not None and self._timer.isActive() and not self.busy:
                self.save(path, of=former[0])
        session = current[1]
        self._watched = None if session is None else (current, session.subscribe(self._on_change))
        self._show_path()

    def _show_path(self) -> None:
        self._timer.stop()
        self._dirty = False
        self.session_changed.emit(self.path)

    def _on_change(self, _labels: Any) -> None:
        self._dirty = True
        if self.path is not None and self.autosave and not self._timer.isActive():
            self._timer.start()

    def _save_again(self) -> None:
        path = self.path
        if path is None or not self.autosave:
            return
        if self.busy:
            self._timer.start()
        else:
            self.save(path)

    def set_autosave(self, on: bool) -> None:
        """Keep the session file up to date, or do not."""
        self.autosave = on
        if on and self._dirty:
            self._on_change(None)

    # -- inner

    def cancel(self) -> None:
        """Stop what is under way; nothing is left half-done."""
        if self._token is not None:
            self._token.cancel()
            self._end()
            self._say('Cancelled; nothing was changed.')

    def _begin(self) -> None:
        self._token = CancelToken()
        self.busy_changed.emit(True)

    def _end(self) -> None:
        self._token = None
        self.busy_changed.emit(False)

    def _run(
        self,
        work: Callable[[CancelToken], Any],
        on_result: Callable[[Any], object],
        on_error: Callable[[Exception], object],
    ) -> None:
        if self._token is not None:  # else it was cancelled on its way
            self._token = self.errands.run(work, on_result, on_error)

    def _watch(self, cancel: CancelToken) -> Callable[[int, int], None]:
        def watch(done: int, total: int) -> None:
            cancel.check()
            self.errands.report(lambda value: self.progressed.emit(*value), (done, total))

        return watch

    def _say(self, words: str) -> None:
        self.status_changed.emit(words, 'ready')

    def _fail(self, error: Exception) -> None:
        self._end()
        show_error(str(error))
        self.status_changed.emit(str(error), 'warning')

    def _ask_nothing(self) -> None:
        self._asked = None
        self.question_asked.emit('', False)

    def close(self) -> None:
        """Write the session file once more where it lags behind; then stop."""
        lagging = self._timer.isActive()
        self.stop()
        self._timer.stop()
        if self._watched is None:
            return
        (image, session, layer), end = self._watched
        self._watched = None
        end()
        path, identity = self._paths.get(session), self._journaling.identity_of(image)
        if lagging and path is not None and identity is not None:
            try:
                save_session(path, identity, np.asarray(layer.data), session)
            except ExchangeError as error:
                show_error(str(error))

    def stop(self) -> None:
        """Let no thread go on; nothing of Qt's or napari's windows is touched."""
        self.errands.close()

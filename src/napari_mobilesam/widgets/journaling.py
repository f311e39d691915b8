"""Journals of the annotator: nothing that was committed is lost, and what was lost comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import CancelToken, Session
from napari_mobilesam.exchange.found_journals import FoundJournal, compact, find_journals
from napari_mobilesam.exchange.journal import Journal
from napari_mobilesam.exchange.restore import Restored, restore
from napari_mobilesam.layers import identifier, unwrap

from .connections import Connections
from .errands import Errands
from .kept import Kept

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image

    from napari_mobilesam.exchange.identity import ImageIdentity

    from .controller import AnnotatorController


@dataclass(slots=True, eq=False)
class _Known:
    """What is known of an image, and who waits for it."""

    identity: ImageIdentity | str = ''
    waiting: list[Callable[[ImageIdentity | str], object]] = field(default_factory=list)


class Journaling(QObject):
    """Keeps a journal for the session of each Labels layer, and offers those of earlier times.

    Parameters
    ----------
    controller
        The annotator.
    folder
        Where journals are kept; by default the user's data folder.
    parent
        Qt parent.

    Signals
    -------
    offered (tuple of FoundJournal)
        What can be restored for the image; none: there is nothing to offer any more.
    status_changed (str, str)
        One line for the user, and its kind.
    identified (ImageIdentity)
        It is known now what the current image is.
    """

    offered = Signal(object)
    status_changed = Signal(str, str)
    identified = Signal(object)

    def __init__(
        self,
        controller: AnnotatorController,
        folder: Path | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._folder = folder
        self.errands = Errands(self)
        self._connections = Connections()
        self._kept: dict[Session, Kept] = {}
        self._known: WeakKeyDictionary[Image, _Known] = WeakKeyDictionary()
        self._image: Image | None = None
        controller.committer.safely = self.afterwards
        controller.image_changed.connect(self._follow)
        controller.labels_changed.connect(self._follow)
        self._connections.connect(controller.viewer.layers.events.removed, self._on_removed)

    # -- what is safe

    def afterwards(self, callback: Callable[[], object]) -> None:
        """Call back as soon as all that happened to the current session is on disk."""
        session = self._controller.session
        kept = None if session is None else self._kept.get(session)
        if kept is None:
            callback()
        else:
            kept.afterwards(callback)

    @property
    def pending(self) -> bool:
        """Whether something is under way, or waits for the disk."""
        return self.errands.busy or any(kept.pending for kept in self._kept.values())

    def journal_of(self, session: Session) -> Path | None:
        """Return the journal of a session; None where there is none (yet)."""
        kept = self._kept.get(session)
        return None if kept is None or kept.journal is None else kept.journal.path

    # -- following the annotator

    def _follow(self) -> None:
        controller = self._controller
        image, session, layer = controller.image, controller.session, controller.labels
        if image is not self._image:
            self._image = image
            self.offered.emit(())
            if image is not None:
                self.identify(image, partial(self._on_identity, image))
        if image is None or session is None or layer is None or session in self._kept:
            return
        self._keep(session, layer, image, controller.committer.labels_are_empty)

    def _keep(self, session: Session, layer: Any, image: Image, empty: bool) -> Kept:
        kept = self._kept[session] = Kept(
            session,
            layer,
            empty,
            self.errands,
            partial(self.identify, image),
            self._folder,
            self._on_failed,
        )
        return kept

    def _on_removed(self, event: Any) -> None:
        layer = unwrap(event.value)
        for session, kept in list(self._kept.items()):
            if kept.layer is layer:
                del self._kept[session]
                kept.close()

    def _on_failed(self, why: str) -> None:
        show_warning(why)
        self.status_changed.emit(why, 'warning')

    # -- which image it is

    def identify(self, image: Image, callback: Callable[[ImageIdentity | str], object]) -> None:
        """Call back with what an image is: now, where that is known; else after some reading."""
        known = self._known.get(image)
        if known is not None and known.identity:
            callback(known.identity)
            return
        if known is not None:
            known.waiting.append(callback)
            return
        known = self._known[image] = _Known(waiting=[callback])
        read = identifier(image)

        def done(found: ImageIdentity | Exception) -> None:
            known.identity = (
                f'What you do is not kept on disk: {found}'
                if isinstance(found, Exception)
                else found
            )
            waiting, known.waiting = known.waiting, []
            for one in waiting:
                one(known.identity)

        self.errands.run(lambda _cancel: read(), done, done)

    def identity_of(self, image: Image | None) -> ImageIdentity | None:
        """Return what an image is, as far as that is known by now."""
        known = None if image is None else self._known.get(image)
        identity = None if known is None else known.identity
        return None if isinstance(identity, str) else identity

    def _on_identity(self, image: Image, identity: ImageIdentity | str) -> None:
        if image is not self._controller.image or isinstance(identity, str):
            return
        self.identified.emit(identity)

        def found(journals: list[FoundJournal]) -> None:
            if image is self._controller.image:
                self.offered.emit(tuple(journals))

        self.errands.run(
            lambda _cancel: find_journals(identity, self._folder),
            found,
            lambda error: show_warning(f'Earlier sessions could not be looked for: {error}'),
        )

    # -- restoring

    def restore(self, found: FoundJournal) -> None:
        """Bring back what a journal of the current image says, in a Labels layer of its own."""
        image = self._controller.image
        if image is None:
            return
        self.status_changed.emit('Restoring…', 'busy')
        source = str(image.unique_id)
        calls: list[tuple[Callable[[int], object], Callable[[str], object]]] = []
        report = self.errands.report

        def read(_cancel: CancelToken) -> tuple[Restored, Journal]:
            restored = restore(found.path, source)
            notices = restored.notices
            restored = compact(found.path, restored, source)
            restored.notices = notices
            journal = Journal(
                found.path,
                restored.identity,
                restored.labels.shape,
                restored.labels.dtype,
                resume_at=restored,
                on_durable=lambda n: report(lambda at: calls[0][0](at), n),
                on_failed=lambda why: report(lambda words: calls[0][1](words), why),
            )
            return restored, journal

        def come_back(result: tuple[Restored, Journal]) -> None:
            restored, journal = result
            if image is not self._controller.image:
                journal.close()
                return
            try:
                layer = self._controller.committer.take(restored.labels, restored.session)
            except ValueError as error:
                journal.close()
                self._on_failed(f'The labels could not be shown: {error}')
                return
            # `take` has told of the new labels, and that began to keep them anew
            started = self._kept.pop(restored.session, None)
            if started is not None:
                started.close()
            kept = self._keep(restored.session, layer, image, empty=False)
            kept.resume(journal, restored.identity)
            calls.append((kept.on_durable, kept.fail))
            for notice in restored.notices:
                show_warning(notice)
            self.offered.emit(())
            count = len(restored.session)
            self.status_changed.emit(
                f'{count} object{"s are" if count != 1 else " is"} back; undo works as before.',
                'ready',
            )

        self.errands.run(
            read, come_back, lambda error: self._on_failed(f'That could not be restored: {error}')
        )

    # -- the end

    def close(self) -> None:
        """Write what is left, and let go of viewer and files."""
        self._connections.close()
        self.stop()

    def stop(self) -> None:
        """Write what is left; nothing of Qt's or napari's windows is touched."""
        self.errands.close()
        kept, self._kept = self._kept, {}
        for one in kept.values():
            image = self._image
            one.close(None if image is None else identifier(image))

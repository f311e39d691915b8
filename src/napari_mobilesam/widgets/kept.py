"""One session kept on disk: its journal, from before the first step on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_mobilesam.engine import CancelToken, Classes, SegmentedObject, Session, Step
from napari_mobilesam.exchange import ExchangeError
from napari_mobilesam.exchange.journal import Journal, new_path
from napari_mobilesam.exchange.snapshot import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Labels

    from napari_mobilesam.exchange.identity import ImageIdentity

    from .errands import Errands


class Kept:
    """Keeps a session in a journal, which is begun with the first thing to keep.

    Until the image is identified, and labels that were there before are read, what happens is
    remembered here; nobody is told that it is safe.

    Parameters
    ----------
    session
        The records. This is one of its recorders.
    layer
        Its labels.
    empty
        Whether they have no pixels yet.
    errands
        For reading them, and for answers of the journal's thread.
    identify
        Calls back, now or later, with what the image is; or with a sentence why that is not known.
    folder
        Where journals are kept; by default the user's data folder.
    on_failed
        Called with a sentence when nothing can be kept any more.
    """

    def __init__(
        self,
        session: Session,
        layer: Labels,
        empty: bool,
        errands: Errands,
        identify: Callable[[Callable[[ImageIdentity | str], object]], object],
        folder: Path | None,
        on_failed: Callable[[str], object],
    ) -> None:
        self.session = session
        self.layer = layer
        self.journal: Journal | None = None
        self.failure = ''
        self._errands = errands
        self._identify = identify
        self._folder = folder
        self._on_failed = on_failed
        self._empty = empty
        self._events: list[tuple[str, tuple[Any, ...]]] = []
        self._waiting: list[tuple[int, Callable[[], object]]] = []
        self._identity: ImageIdentity | None = None
        self._begun = False
        self._former: Journal | None = None
        self._replaced_at = 0
        self._closed = False
        self._snapshot = Snapshot(session)
        self._stop = session.record_with(self)

    def resume(self, journal: Journal, identity: ImageIdentity) -> None:
        """Go on with the journal that the session was restored from."""
        self._snapshot.finish()
        self._begun, self._identity, self.journal = True, identity, journal

    # -- the recorder

    def done(self, step: Step) -> None:
        """Keep a step."""
        if step.edits or step.changes:
            self._keep('done', step)

    def undone(self, step: Step) -> None:
        """Keep that a step was taken back."""
        if step.edits or step.changes:
            self._keep('undone', step)

    def redone(self, step: Step) -> None:
        """Keep that a step was done again."""
        if step.edits or step.changes:
            self._keep('redone', step)

    def classes(self, classes: Classes) -> None:
        """Keep the classes."""
        self._keep('classes', classes)

    def known(self, records: Iterable[SegmentedObject], gone: Iterable[int] = ()) -> None:
        """Keep what is known of objects that were there: no reason to begin a journal."""
        if self._begun:
            self._keep('known', tuple(records), tuple(gone))
        else:
            self._begin_anew()

    def lost(self) -> None:
        """Begin another journal: pixels changed that no step tells of."""
        begun, self._empty = self._begun, False
        if self.journal is not None:
            self._former = self.journal
        self._begin_anew()
        if begun:
            self._begin()

    def _begin_anew(self) -> None:
        self._snapshot.finish()
        self._snapshot = Snapshot(self.session)
        self._events, self.journal, self._begun = [], None, False

    def _keep(self, verb: str, *values: Any) -> None:
        if self._closed or self.failure:
            return
        if self.journal is not None:
            getattr(self.journal, verb)(*values)
            return
        self._events.append((verb, values))
        self._begin()

    # -- what is safe

    def afterwards(self, callback: Callable[[], object]) -> None:
        """Call back as soon as all that happened so far is on disk: now, where it is already."""
        journal = self.journal
        if self.failure or not self._begun:
            callback()
        elif journal is None:
            self._waiting.append((-1, callback))
        else:
            number = journal.last
            if not self._waiting and (journal.durable >= number or journal.failure):
                callback()
            else:
                self._waiting.append((number, callback))

    @property
    def pending(self) -> bool:
        """Whether somebody waits for the disk."""
        return bool(self._waiting)

    def on_durable(self, number: int) -> None:
        """Take note that the journal is on disk up to a line."""
        if self._former is not None and number >= self._replaced_at:
            self._discard(self._former)
            self._former = None
        ready = [callback for at, callback in self._waiting if at <= number]
        self._waiting = [(at, callback) for at, callback in self._waiting if at > number]
        for callback in ready:
            callback()

    def fail(self, why: str) -> None:
        """Take note that nothing can be kept any more, and let nobody wait."""
        if self.failure:
            return
        self.failure = why
        self._snapshot.finish()
        self._on_failed(why)
        waiting, self._waiting = self._waiting, []
        for _, callback in waiting:
            callback()

    # -- beginning

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._identify(self._on_identified)

    def _on_identified(self, identity: ImageIdentity | str) -> None:
        if self._closed:
            return
        if isinstance(identity, str):
            self.fail(identity)
            return
        self._identity, snapshot = identity, self._snapshot
        if self._empty:
            self._open(identity)
            return

        def read(cancel: CancelToken) -> None:
            snapshot.read(self.layer.data, cancel)

        def opened(journal: Journal) -> None:
            if self._closed or snapshot is not self._snapshot:
                journal.close()
                journal.path.unlink(missing_ok=True)
            else:
                self._opened(journal)

        def finish(_result: None) -> None:
            if self._closed or snapshot is not self._snapshot:
                return
            snapshot.finish()
            self._errands.run(lambda _cancel: self._journal(identity, snapshot), opened, failed)

        def failed(error: Exception) -> None:
            self.fail(f'What you do is not kept on disk: {error}')

        self._errands.run(read, finish, failed)

    def _open(self, identity: ImageIdentity) -> None:
        self._snapshot.finish()
        try:
            self._opened(self._journal(identity, None))
        except ExchangeError as error:
            self.fail(f'What you do is not kept on disk: {error}')

    def _journal(self, identity: ImageIdentity, base: Snapshot | None) -> Journal:
        data = self.layer.data
        journal: list[Journal] = []
        report = self._errands.report
        journal.append(
            Journal(
                new_path(identity, self._folder),
                identity,
                tuple(int(n) for n in data.shape),
                data.dtype,
                base=None if base is None else base.exact(),
                on_durable=lambda n: report(partial(self._told, journal), n),
                on_failed=lambda why: report(self.fail, why),
            )
        )
        return journal[0]

    def _told(self, journal: list[Journal], number: int) -> None:
        if self.journal is not None and journal[0] is self.journal:
            self.on_durable(number)

    def _opened(self, journal: Journal) -> None:
        self._fill(journal)
        self.journal = journal
        number = self._replaced_at = journal.last
        self._waiting = [(number, callback) for _, callback in self._waiting]

    def _fill(self, journal: Journal) -> None:
        if self._snapshot.kinds:
            journal.classes(self._snapshot.kinds)
        if self._snapshot.objects:
            journal.known(self._snapshot.objects)
        events, self._events = self._events, []
        for verb, values in events:
            getattr(journal, verb)(*values)

    # -- the end

    def close(self, identify: Callable[[], ImageIdentity] | None = None) -> None:
        """Write what is left, now, and let go of the file. A journal without objects goes.

        Parameters
        ----------
        identify
            Tells what the image is, where that is not known yet.
        """
        if self._closed:
            return
        self._closed = True
        self._stop()
        self._snapshot.finish()
        journal = self.journal
        if journal is None and self._events and not self.failure:
            try:
                identity = self._identity or (None if identify is None else identify())
                if identity is not None:
                    if not self._empty:
                        self._snapshot.read(self.layer.data)
                    journal = self._journal(identity, None if self._empty else self._snapshot)
                    self._fill(journal)
            except (ExchangeError, OSError) as error:
                self.failure = str(error)
        if journal is not None:
            if len(self.session):
                journal.close()
            else:
                self._discard(journal)
        if self._former is not None:
            if journal is None:
                self._former.close()
            else:
                self._discard(self._former)

    @staticmethod
    def _discard(journal: Journal) -> None:
        journal.close()
        journal.path.unlink(missing_ok=True)

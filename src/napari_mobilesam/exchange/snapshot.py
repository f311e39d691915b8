"""Snapshots: labels and records as they were at one moment, read while the user goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import CancelToken, Classes, SegmentedObject, Session, Step

from . import codec


class Snapshot:
    """A session at one moment.

    Copying labels takes long where they are large, and their owner writes to them meanwhile, on
    another thread. So whatever is done after the moment is taken down, and taken back in the copy.

    Call order: make one in the owner's thread; `read` in a worker; `finish` in the owner's thread;
    `exact` anywhere.

    Parameters
    ----------
    session : Session
        The records.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._events: list[Step] = []
        self._content: NDArray[Any] | None = None
        self._take_records()
        self._stop = session.record_with(self)

    def _take_records(self) -> None:
        session = self._session
        self.objects: tuple[SegmentedObject, ...] = session.objects
        self.kinds: Classes = session.classes
        self.maximum = session.maximum
        self.steps: tuple[Step, ...] = session.history.done

    def read(self, labels: Any, cancel: CancelToken | None = None) -> None:
        """Copy the labels, one slab after the other.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        """
        content = np.zeros(tuple(int(n) for n in labels.shape), labels.dtype)
        if content.ndim <= 2:
            content[...] = np.asarray(labels)
        else:
            for index in range(content.shape[0]):
                if cancel is not None:
                    cancel.check()
                content[index] = np.asarray(labels[index])
        self._content = content

    def finish(self) -> None:
        """Take nothing down any more: all has been read."""
        self._stop()

    def exact(self) -> NDArray[Any]:
        """Return the labels of the moment."""
        assert self._content is not None, 'read first'
        while self._events:
            codec.write_edits(self._events.pop().edits, self._content)
        return self._content

    def session(self) -> Session:
        """Return a session of its own with the records of the moment, for writing files."""
        session = Session(self.maximum)
        session.classes = self.kinds
        for step in self.steps:
            session.history.push(step)
        session.learn(self.objects)
        return session

    # -- a recorder: events are kept as the steps that take them back

    def done(self, step: Step) -> None:
        """Take down a step."""
        self._events.append(step.inverse())

    def undone(self, step: Step) -> None:
        """Take down that a step was taken back."""
        self._events.append(step)

    def redone(self, step: Step) -> None:
        """Take down that a step was done again."""
        self._events.append(step.inverse())

    def classes(self, classes: Classes) -> None:
        """Ignore them: those of the moment are kept."""

    def known(self, records: Iterable[SegmentedObject], gone: Iterable[int] = ()) -> None:
        """Ignore them likewise."""

    def lost(self) -> None:
        """Ignore it: there is nothing to take back."""

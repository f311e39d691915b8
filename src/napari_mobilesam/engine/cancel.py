"""Cancelling work that runs on another thread."""

from __future__ import annotations

from threading import Event


class Cancelled(Exception):
    """The work was given up because its result is no longer wanted."""


class CancelToken:
    """A flag that one thread raises and another one polls between its stages."""

    __slots__ = ('_event',)

    def __init__(self) -> None:
        self._event = Event()

    def cancel(self) -> None:
        """Ask the work to stop at its next stage. May be called from any thread, repeatedly."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if `cancel` was called."""
        if self._event.is_set():
            raise Cancelled

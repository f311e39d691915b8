"""One registry of everything that has to be taken back when the widget closes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Connections:
    """Callbacks connected to napari, and how to disconnect them, in one place.

    Closing undoes in reverse order. Closing twice does nothing the second time.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def __len__(self) -> int:
        return len(self._undo)

    def connect(self, emitter: Any, callback: Callable[..., object]) -> None:
        """Connect `callback` to a napari or psygnal emitter until `close`."""
        emitter.connect(callback)
        self._undo.append(lambda: emitter.disconnect(callback))

    def on_close(self, function: Callable[[], object]) -> None:
        """Call `function` at `close`."""
        self._undo.append(function)

    def close(self) -> None:
        """Take everything back."""
        while self._undo:
            # Qt objects may have been deleted together with their window: nothing to undo then.
            with suppress(RuntimeError):
                self._undo.pop()()

"""What the mouse does in the prompt layers beyond napari's own modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_mobilesam.layers import NEGATIVE, POSITIVE, NotAnnotatable

if TYPE_CHECKING:
    from .prompt_layers import PromptLayers


class Gestures:
    """Shift for the other polarity, Ctrl-drag for a box, clicks on labels, a mouse that only moves.

    napari's modes stay what they are: these callbacks come before the mode's own.

    Parameters
    ----------
    prompts
        The layers.
    on_mouse
        Called with the world position of the mouse as it moves, ready to click points, and with
        None when it is pressed.
    on_pick
        Called when a label is clicked with the tool for that.
    """

    def __init__(
        self,
        prompts: PromptLayers,
        on_mouse: Callable[[Any], object],
        on_pick: Callable[[], object],
    ) -> None:
        self._prompts = prompts
        self._on_mouse = on_mouse
        self._on_pick = on_pick

    def listen(self, layer: Any) -> Callable[[], None]:
        """Listen to a layer; return what takes that back."""
        added = (
            (layer.mouse_drag_callbacks, self._drag),
            (layer.mouse_move_callbacks, self._move),
        )
        for callbacks, callback in added:
            callbacks.insert(0, callback)

        def stop() -> None:
            for callbacks, callback in added:
                callbacks.remove(callback)

        return stop

    def _move(self, layer: Any, event: Any) -> None:
        if layer.mode == 'add':
            self._on_mouse(event.position)

    def _drag(self, layer: Any, event: Any) -> Iterator[None]:
        self._on_mouse(None)
        if layer.mode == 'add' and 'Control' in event.modifiers:
            yield from self._box(event)
        elif self._prompts.tool == 'label':
            yield from self._pick(event)
        elif layer.mode in ('add', 'add_path') and 'Shift' in event.modifiers:
            yield from self._other_polarity(event)

    def _pick(self, event: Any) -> Iterator[None]:
        """Take a click, and leave a drag to the camera."""
        yield
        moved = False
        while event.type == 'mouse_move':
            moved = True
            yield
        if not moved:
            self._on_pick()

    def _other_polarity(self, event: Any) -> Iterator[None]:
        """With Shift held, make a point or stroke of the other polarity."""
        before = self._prompts.polarity
        self._prompts.polarity = NEGATIVE if before == POSITIVE else POSITIVE
        yield
        while event.type == 'mouse_move':
            yield
        # The mode's own callback makes it after this one: put the polarity back when that is done.
        QTimer.singleShot(0, partial(self._put_back, before))

    def _put_back(self, polarity: str) -> None:
        if self._prompts.points is not None:  # it may be gone by now, and is not made anew for this
            self._prompts.polarity = polarity

    def _box(self, event: Any) -> Iterator[None]:
        """With Ctrl held, drag a box without leaving the points tool."""
        start, stop = event.position, None
        yield
        try:
            while event.type == 'mouse_move':
                event.handled = True  # the camera stays where it is
                stop = event.position
                self._prompts.show_band((start, stop))
                yield
            self._prompts.show_band(None)
            if stop is not None:
                self._prompts.add_box(start, event.position)
        except NotAnnotatable:
            self._prompts.show_band(None)

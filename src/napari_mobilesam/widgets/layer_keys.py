"""The keys of the table on layers of ours: on these alone, so that napari keeps its own keymaps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .shortcuts import Keymap


class LayerKeys:
    """Binds all actions of a keymap on layers, and binds them anew when the user changes keys.

    Parameters
    ----------
    keymap
        The table with the user's keys.
    on_action
        Called with the name of the action.
    """

    def __init__(self, keymap: Keymap, on_action: Callable[[str], object]) -> None:
        self._keymap = keymap
        self._on_action = on_action
        self._layers: dict[str, Any] = {}
        keymap.changed.connect(self._rebind)

    def bind(self, layer: Any) -> None:
        """Bind the keys on a layer that we made."""
        self._layers[layer.unique_id] = layer
        for shortcut in self._keymap.shortcuts:
            for key in shortcut.keys:
                layer.bind_key(key, self._handler(shortcut.action), overwrite=True)

    def release(self, layer: Any) -> None:
        """Take them off again."""
        if self._layers.pop(layer.unique_id, None) is not None:
            layer.keymap.clear()

    def close(self) -> None:
        """Take all off, and follow the keymap no more."""
        for layer in list(self._layers.values()):
            self.release(layer)
        self._keymap.changed.disconnect(self._rebind)

    def _rebind(self) -> None:
        for layer in list(self._layers.values()):
            self.release(layer)
            self.bind(layer)

    def _handler(self, action: str) -> Callable[[Any], None]:
        # napari looks at the handler's signature: a function of the layer alone.
        on_action = partial(self._on_action, action)

        def pressed(_layer: Any) -> None:
            on_action()

        return pressed

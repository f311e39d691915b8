"""A list of layers to choose from, by what they are and not by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget


class LayerCombo(QComboBox):
    """Choose a layer, or something else of which there may be none.

    Parameters
    ----------
    empty
        The entry that stands for none.
    parent
        Qt parent.

    Signals
    -------
    chosen (Layer or None)
        The user chose; not sent when the list changes under them.
    """

    chosen = Signal(object)

    def __init__(self, empty: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._empty = empty
        # Long layer names are cut, they do not widen the dock.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(80)
        self.activated.connect(self._on_activated)

    def show_layers(self, layers: Sequence[Layer], current: Layer | None) -> None:
        """List `layers`, with `current` chosen; tells nobody."""
        self.show_entries([(layer.name, layer) for layer in layers], current)

    def show_entries(self, entries: Sequence[tuple[str, Any]], current: Any) -> None:
        """List titles and values, with the value `current` chosen; tells nobody."""
        with QSignalBlocker(self):
            self.clear()
            self.addItem(self._empty, None)
            for title, value in entries:
                self.addItem(title, value)
                # Not Qt's findData, which compares in a way of its own.
                if current is not None and (value is current or value == current):
                    self.setCurrentIndex(self.count() - 1)
        self.setToolTip(self.currentText())

    def _on_activated(self, index: int) -> None:
        value: Any = self.itemData(index)
        self.chosen.emit(value)

"""A list of layers to choose from, by what they are and not by their names."""

from __future__ import annotations

from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget


class LayerCombo(QComboBox):
    """Choose a layer.

    Parameters
    ----------
    empty
        The entry that stands for no layer.
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

    def show_layers(self, layers: list[Layer], current: Layer | None) -> None:
        """List `layers`, with `current` chosen; tells nobody."""
        with QSignalBlocker(self):
            self.clear()
            self.addItem(self._empty, None)
            for layer in layers:
                self.addItem(layer.name, layer)
                if layer is current:
                    self.setCurrentIndex(self.count() - 1)
        self.setToolTip(self.currentText())

    def _on_activated(self, index: int) -> None:
        layer: Any = self.itemData(index)
        self.chosen.emit(layer)

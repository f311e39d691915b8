"""Objects coloured by their class, in the colormap of their Labels layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_mobilesam.engine import Session

REST_MS = 60
"""Many objects in a row are coloured together."""

# Neither the candidate's colour nor one that a class gets by itself.
NO_CLASS = '#c8c8c8'
# Lengths of colour tables that napari looks up in 8 and in 16 bits; first comes the background.
_TABLES = (2**8 - 1, 2**16 - 1)
# Of ids beyond, in how many tables a place is looked for.
_TRIES = 40


class LabelColours(QObject):
    """Gives a Labels layer the colours of the classes, and its own colours back.

    The layer's colormap is replaced as a whole, never written to. Whoever chooses another one in
    napari meanwhile has it, and this is off.

    Parameters
    ----------
    by_class
        Whether it is on from the start.
    parent
        Qt parent.

    Signals
    -------
    changed (bool)
        It is on or off now.
    """

    changed = Signal(bool)

    def __init__(self, by_class: bool = False, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._on = by_class
        self._layer: Labels | None = None
        self._session: Session | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._before: Any = None
        self._ours: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self.flush)

    @property
    def by_class(self) -> bool:
        """Whether objects have the colours of their classes."""
        return self._on

    @by_class.setter
    def by_class(self, value: bool) -> None:
        if value == self._on:
            return
        self._on = value
        if value:
            self.flush()
        else:
            self._give_back()
        self.changed.emit(value)

    def follow(self, layer: Labels | None, session: Session | None) -> None:
        """Colour another layer from now on; the old one gets its own colours back."""
        if layer is self._layer and session is self._session:
            return
        self._timer.stop()
        self._give_back()
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._unsubscribe = None if session is None else session.subscribe(self._on_records)
        self._layer, self._session = layer, session
        self.flush()

    def flush(self) -> None:
        """Colour now."""
        self._timer.stop()
        layer, session = self._layer, self._session
        if not self._on or layer is None or session is None:
            return
        if self._ours is None:
            self._before = layer.colormap
        elif layer.colormap is not self._ours:
            self._ours = self._before = None  # the user's choice by now
            self._on = False
            self.changed.emit(False)
            return
        colormap = class_colormap(session)
        colormap.background_value = self._before.background_value
        if self._ours is None or not _same(colormap, self._ours):
            self._put(colormap)

    def _on_records(self, _labels: tuple[int, ...] | None) -> None:
        if self._on:
            self._timer.start()

    def _give_back(self) -> None:
        layer, before, ours = self._layer, self._before, self._ours
        self._ours = self._before = None
        if layer is not None and ours is not None and layer.colormap is ours:
            self._layer_gets(layer, before)

    def _put(self, colormap: Any) -> None:
        assert self._layer is not None
        self._layer_gets(self._layer, colormap)
        self._ours = self._layer.colormap

    @staticmethod
    def _layer_gets(layer: Labels, colormap: Any) -> None:
        # What "show selected" says is kept in the colormap.
        colormap.use_selection = layer.show_selected_label
        colormap.selection = layer.selected_label
        layer.colormap = colormap


def class_colormap(session: Session) -> CyclicLabelColormap | DirectLabelColormap:
    """Return a colormap in which each object has the colour of its class.

    napari looks colours up in a table by id, quickly; from its end on, ids begin again at 1. A
    table is taken in which objects that share a place share their class. Where there is none, a
    dictionary is, which takes napari a multiple of the time, and numba.
    """
    records = session.objects
    labels = np.array([record.label for record in records], np.int64)
    classes = np.array([record.class_id for record in records], np.int64)
    for size in _sizes(session.maximum):
        places = (labels - 1) % (size - 1) + 1
        table = np.zeros(size, np.int64)
        table[places] = classes
        if np.array_equal(table[places], classes):
            return CyclicLabelColormap(colors=_colours(session, table))
    colours = {int(one): _colour(session, int(one)) for one in np.unique(classes)}
    known: dict[int | None, Any] = {
        record.label: colours[record.class_id] for record in records if record.class_id
    }
    return DirectLabelColormap(color_dict={None: NO_CLASS, 0: 'transparent', **known})


def _sizes(maximum: int) -> Sequence[int]:
    """Return lengths of tables, the best first: one that has a place for every id, if any has."""
    enough = [size for size in _TABLES if maximum < size]
    return enough[:1] or range(_TABLES[-1], _TABLES[-1] - _TRIES, -1)


def _colours(session: Session, classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the colours of a table of classes, float32 (n, 4): red, green, blue, opacity."""
    found, which = np.unique(classes, return_inverse=True)
    colours = np.array([_rgba(_colour(session, int(class_id))) for class_id in found])[which]
    colours[0] = 0
    return colours


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, CyclicLabelColormap) or not isinstance(other, CyclicLabelColormap):
        return False
    return np.array_equal(one.colors, other.colors)


def _colour(session: Session, class_id: int) -> str:
    found = session.classes.get(class_id)
    return NO_CLASS if found is None else found.colour


def _rgba(colour: str) -> NDArray[np.float32]:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return np.array([*channels, 1.0], np.float32)

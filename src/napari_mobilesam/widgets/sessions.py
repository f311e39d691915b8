"""The sessions of Labels layers: kept as long as the layers are, whichever image is annotated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet, ref

from napari_mobilesam.engine import LabelEdit, Session, Step

if TYPE_CHECKING:
    from napari.layers import Image, Labels


@dataclass(slots=True, eq=False)
class Book:
    """What is known about one Labels layer.

    Attributes
    ----------
    session
        Its objects.
    counted
        Whether its largest id is known, so that a free one can be given.
    complete
        Whether every object in it has a record.
    beyond
        Steps that napari's own history of the layer does not reach any more.
    abridged
        First edits of steps of which that history has their first pixel only.
    """

    session: Session = field(default_factory=Session)
    counted: bool = False
    complete: bool = False
    beyond: set[Step] = field(default_factory=set)
    abridged: WeakSet[LabelEdit] = field(default_factory=WeakSet)


class Sessions:
    """Books of layers, and the labels last used for an image."""

    def __init__(self) -> None:
        self._books: WeakKeyDictionary[Labels, Book] = WeakKeyDictionary()
        self._last: WeakKeyDictionary[Image, ref[Labels]] = WeakKeyDictionary()

    def book(self, layer: Labels) -> Book:
        """Return the book of a layer, opened where there is none."""
        return self._books.setdefault(layer, Book())

    def enter(self, layer: Labels, book: Book) -> None:
        """Take in the book of a layer that comes with one."""
        self._books[layer] = book

    def remember(self, image: Image, layer: Labels) -> None:
        """Take note that the objects of `image` go to `layer`."""
        self._last[image] = ref(layer)

    def last(self, image: Image) -> Labels | None:
        """Return where the objects of `image` went, if that layer is still alive."""
        known = self._last.get(image)
        return None if known is None else known()

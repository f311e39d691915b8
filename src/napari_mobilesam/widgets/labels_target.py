"""The Labels layer that objects are committed to: choosing, making, writing, keeping count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_mobilesam.engine import (
    Edit,
    OverlapRule,
    PlaneKey,
    Prompts,
    SegmentedObject,
    Session,
    plan_commit,
)
from napari_mobilesam.layers import (
    LabelsPlane,
    image_shape,
    labels_plane,
    largest_label,
    new_labels_array,
    spatial_keywords,
)

from .connections import Connections

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from .bridge import WorkerBridge


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """One object in the labels, and where it was written."""

    layer: Labels
    place: LabelsPlane
    edit: Edit
    record: SegmentedObject

    @property
    def present(self) -> bool:
        """Whether any of its pixels is still there: reads its bounding box only."""
        labels = self.place.read(self.layer, self.edit.rows, self.edit.columns)
        return bool((labels[self.edit.mask] == self.edit.label).any())


@dataclass(slots=True, eq=False)
class _Book:
    """What is known about one Labels layer."""

    session: Session
    done: list[Commit]
    undone: list[Commit]
    counted: bool


class LabelsTarget:
    """The Labels layer of one image.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    image
        The image.
    bridge
        For reading the ids of a layer of the user's, which may be large.
    selection_kept
        Context in which adding a layer leaves the active layer alone.
    on_edited
        Called when the labels changed otherwise than by `commit`.
    on_counted
        Called when the ids of a chosen layer are known, or could not be read (with the reason).
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        bridge: WorkerBridge,
        selection_kept: Callable[[], AbstractContextManager[None]],
        on_edited: Callable[[], object],
        on_counted: Callable[[str], object],
    ) -> None:
        self._viewer = viewer
        self._image = image
        self._bridge = bridge
        self._selection_kept = selection_kept
        self._on_edited = on_edited
        self._on_counted = on_counted
        self._connections = Connections()
        self._books: dict[Any, _Book] = {}
        self._made: Labels | None = None
        self._touched = False
        self._writing = False
        self.layer: Labels | None = None

    @property
    def session(self) -> Session | None:
        """The objects of the current layer."""
        return None if self.layer is None else self._book(self.layer).session

    @property
    def ready(self) -> bool:
        """Whether the ids of the current layer are known, so that a free one can be given."""
        return self.layer is None or self._book(self.layer).counted

    # -- choosing

    def ensure(self) -> Labels:
        """Return the layer, made by us where none was chosen.

        Raises
        ------
        NotAnnotatable
            If labels of the image's size cannot be had.
        """
        if self.layer is None:
            layer = Labels(
                new_labels_array(image_shape(self._image)),
                name=f'{self._image.name} objects',
                **spatial_keywords(self._image),
            )
            with self._selection_kept():
                self._viewer.add_layer(layer)
                self._put_above_image(layer)
            self._made, self._touched = layer, False
            self._books[layer.unique_id] = _Book(Session(), [], [], counted=True)
            self._adopt(layer)
        assert self.layer is not None
        return self.layer

    def choose(self, layer: Labels | None) -> None:
        """Write into `layer` from now on; None for a new one."""
        if layer is self.layer and layer is not None:
            return
        self._connections.close()
        self.layer = None
        if layer is None:
            self.ensure()
            return
        self._adopt(layer)
        if not self._book(layer).counted:
            self._count(layer)

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that the user removed; say whether it was the current one."""
        if layer is self._made:
            self._made = None
        self._books.pop(getattr(layer, 'unique_id', None), None)
        if layer is None or layer is not self.layer:
            return False
        self._connections.close()
        self.layer = None
        return True

    def close(self) -> None:
        """Let go. The labels stay, unless we made them and nobody ever wrote to them."""
        self._connections.close()
        made, self.layer, self._made = self._made, None, None
        if made is not None and not self._touched and made in self._viewer.layers:
            self._viewer.layers.remove(made)

    # -- writing

    def commit(
        self,
        mask: NDArray[np.bool_],
        key: PlaneKey,
        prompts: Prompts,
        score: float,
        digest: str,
        rule: OverlapRule,
    ) -> Commit | None:
        """Write a mask of the image plane as a new object: one undo step, bounding box only.

        Returns
        -------
        Commit or None
            None where every pixel belongs to other objects, and stays theirs.

        Raises
        ------
        NotAnnotatable
            If the labels have other pixels than the image, or are not writable.
        LabelOverflowError
            If their type has no room for another id.
        """
        layer = self.ensure()
        book = self._book(layer)
        place = labels_plane(layer, self._image, key, self._viewer.dims)
        if layer.preserve_labels:
            rule = OverlapRule.KEEP
        label = book.session.next_label(layer.data.dtype)
        # Everything is computed before the history block: an exception inside of it would leave
        # atoms behind that become part of the user's next stroke.
        edit = plan_commit(place.place(mask), place.read(layer), label, rule)
        if not edit:
            return None
        indices = place.indices(*edit.pixels())
        self._writing = True
        try:
            with layer.block_history():
                layer.data_setitem(indices, label)
        finally:
            self._writing = False
        self._touched = self._touched or layer is self._made
        record = SegmentedObject(label, key, prompts, score, digest)
        book.session.add(record)
        commit = Commit(layer, place, edit, record)
        book.done.append(commit)
        book.undone.clear()
        return commit

    def reconcile(self) -> tuple[list[Commit], list[Commit]]:
        """Bring the session in step with the labels after an undo or redo by whomever.

        napari tells that its labels were drawn anew, not what was undone: the last commit is
        looked for in the pixels. Costs one bounding box where nothing happened.

        Returns
        -------
        undone, redone : list of Commit
        """
        undone: list[Commit] = []
        redone: list[Commit] = []
        if self.layer is None:
            return undone, redone
        book = self._book(self.layer)
        while book.undone and book.undone[-1].present:
            redone.append(book.undone.pop())
            book.done.append(redone[-1])
            book.session.redo()
        while book.done and not book.done[-1].present:
            undone.append(book.done.pop())
            book.undone.append(undone[-1])
            book.session.undo()
        return undone, redone

    # -- inner

    def _book(self, layer: Labels) -> _Book:
        return self._books.setdefault(layer.unique_id, _Book(Session(), [], [], counted=False))

    def _adopt(self, layer: Labels) -> None:
        self.layer = layer
        self._connections.connect(layer.events.paint, self._on_paint)
        self._connections.connect(layer.events.set_data, self._on_set_data)
        self._connections.connect(layer.events.data, self._on_data)

    def _count(self, layer: Labels) -> None:
        data = layer.data[0] if layer.multiscale else layer.data
        book = self._book(layer)

        def counted(maximum: int) -> None:
            book.session.observe(maximum)
            book.counted = True
            self._on_counted('')

        self._bridge.submit(
            'scan',
            lambda cancel: largest_label(data, cancel),
            counted,
            lambda error: self._on_counted(f'"{layer.name}" could not be read: {error}'),
        )

    def _put_above_image(self, layer: Labels) -> None:
        layers = self._viewer.layers
        layers.move(layers.index(layer), layers.index(self._image) + 1)

    def _on_paint(self, _event: Any = None) -> None:
        if self._writing or self.layer is None:
            return
        self._touched = True
        # Whatever was painted by hand: its id is taken.
        book = self._book(self.layer)
        book.session.observe(int(self.layer.selected_label))
        book.undone.clear()  # as napari's own redo

    def _on_set_data(self, _event: Any = None) -> None:
        if not self._writing:
            self._on_edited()

    def _on_data(self, _event: Any = None) -> None:
        """The whole array was replaced: what was committed may be gone, ids are to be read anew."""
        if self.layer is not None:
            self._touched = True
            self._books.pop(self.layer.unique_id, None)
            self._count(self.layer)

"""The Labels layer that objects are committed to: choosing, making, writing, keeping count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_mobilesam.engine import LabelEdit, PlaneKey, Session, Step, Survey
from napari_mobilesam.layers import (
    LabelsPlane,
    NotAnnotatable,
    image_shape,
    labels_plane,
    largest_label,
    new_labels_array,
    spatial_keywords,
)

from .connections import Connections
from .painting import painted_edits
from .sessions import Book, Sessions

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from .bridge import WorkerBridge


# Pixels of a step: so many take `data_setitem` a tenth of a second, in which the window waits.
MOST_IN_NAPARI = 1_000_000


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
    sessions
        What is known about Labels layers.
    selection_kept
        Context in which adding a layer leaves the active layer alone.
    on_painted
        Called with the edits of a stroke of the user's own, after it.
    on_redrawn
        Called when napari drew the labels anew, so that something may have been undone. Within
        napari's drawing: not a place to change layers.
    on_counted
        Called when the ids of a chosen layer are known, or could not be read (with the reason).
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        bridge: WorkerBridge,
        sessions: Sessions,
        selection_kept: Callable[[], AbstractContextManager[None]],
        on_painted: Callable[[tuple[LabelEdit, ...]], object],
        on_redrawn: Callable[[], object],
        on_counted: Callable[[str], object],
    ) -> None:
        self._viewer = viewer
        self._image = image
        self._bridge = bridge
        self._sessions = sessions
        self._selection_kept = selection_kept
        self._on_painted = on_painted
        self._on_redrawn = on_redrawn
        self._on_counted = on_counted
        self._connections = Connections()
        self._none = Book()  # while there is no layer
        self._made: Labels | None = None
        self._touched = False
        self._writing = False
        self._redrawn = False
        self._stale = False  # what napari draws was changed meanwhile
        self.layer: Labels | None = None

    @property
    def image(self) -> Image:
        """The image that the objects are of."""
        return self._image

    @property
    def book(self) -> Book:
        """What is known about the current layer."""
        return self._none if self.layer is None else self._sessions.book(self.layer)

    @property
    def session(self) -> Session:
        """The objects of the current layer; one without objects while there is none."""
        return self.book.session

    @property
    def ready(self) -> bool:
        """Whether the ids of the current layer are known, so that a free one can be given."""
        return self.layer is None or self.book.counted

    # -- choosing

    def ensure(self) -> Labels:
        """Return the layer: the one last used for this image, or else one made by us.

        Raises
        ------
        NotAnnotatable
            If labels of the image's size cannot be had.
        """
        if self.layer is None:
            last = self._sessions.last(self._image)
            if last is not None and last in self._viewer.layers:
                self._adopt(last)
            else:
                self._make()
        assert self.layer is not None
        return self.layer

    def choose(self, layer: Labels | None) -> None:
        """Write into `layer` from now on; None for a new one.

        Raises
        ------
        NotAnnotatable
            If labels of the image's size cannot be had.
        """
        if layer is self.layer and layer is not None:
            return
        self._let_go()
        if layer is None:
            self._make()
        else:
            self._adopt(layer)

    def take(self, data: Any, session: Session, name: str = '') -> Labels:
        """Write into a new layer from now on, of labels whose objects are known.

        An empty one that we made before makes room for it.

        Raises
        ------
        NotAnnotatable
            If the labels have other axes than the image.
        """
        shape = tuple(int(side) for side in data.shape)
        if shape != image_shape(self._image):
            raise NotAnnotatable(
                f'The labels have the shape {shape}, "{self._image.name}" has '
                f'{image_shape(self._image)}: choose the image that they belong to.'
            )
        made, untouched = self._made, not self._touched
        self._let_go()
        self._made, self._touched = None, True
        if made is not None and untouched and made in self._viewer.layers:
            with self._selection_kept():
                self._viewer.layers.remove(made)
        layer = self._add(data, session, name)
        self._adopt(layer)
        return layer

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that the user removed; say whether it was the current one."""
        if layer is self._made:
            self._made = None
        if layer is None or layer is not self.layer:
            return False
        self._let_go()
        return True

    def close(self) -> None:
        """Let go. The labels stay, unless we made them and nobody ever wrote to them."""
        made, self._made = self._made, None
        self._let_go()
        if made is not None and not self._touched and made in self._viewer.layers:
            self._viewer.layers.remove(made)

    def place(self, key: PlaneKey) -> LabelsPlane:
        """Find the plane of the layer that lies on a plane of the image.

        Raises
        ------
        NotAnnotatable
            If the labels have other pixels than the image, or are not writable.
        """
        return labels_plane(self.ensure(), self._image, key, self._viewer.dims)

    # -- writing

    def write(self, step: Step) -> None:
        """Write the pixels of a step: one step of napari's own undo.

        Of a large step the first pixel is written there, and the others directly; they go and come
        back when that pixel does.

        Raises
        ------
        NotAnnotatable
            If the layer refuses.
        """
        layer = self.layer
        if layer is None or not step.edits:
            return
        # Everything is computed before the history block: an exception inside of it would leave
        # atoms behind that become part of the user's next stroke.
        large = step.n_pixels > MOST_IN_NAPARI
        edits = (step.edits[0].first_pixel(),) if large else step.edits
        parts = [edit.indices() for edit in edits]
        indices = tuple(np.concatenate(axis) for axis in zip(*parts, strict=True))
        values: Any = np.concatenate([edit.values() for edit in edits])
        if (values == values[0]).all():
            values = int(values[0])
        self._writing = True
        try:
            with layer.block_history():
                layer.data_setitem(indices, values)
            if large:
                self._write_directly(step, layer)
        except Exception as error:
            with layer.block_history():
                pass  # ends the step that was begun
            raise NotAnnotatable(f'"{layer.name}" could not be written to: {error}') from error
        finally:
            self._writing = False
        self._touched = self._touched or layer is self._made

    def _write_directly(self, step: Step, layer: Labels) -> None:
        try:
            step.apply(layer.data)
        except Exception:
            step.revert(layer.data)
            layer.undo()
            raise
        finally:
            layer.refresh()
        self.book.abridged.add(step.edits[0])

    def _complete(self) -> None:
        """Let a large step follow its first pixel, which was undone or redone."""
        layer, history = self.layer, self.session.history
        if layer is None:
            return
        for step, moved, follow in (
            (history.last_written, LabelEdit.is_reverted, Step.revert),
            (history.next_written, LabelEdit.is_applied, Step.apply),
        ):
            if step is None or step.edits[0] not in self.book.abridged:
                continue
            if moved(step.edits[0].first_pixel(), layer.data):
                follow(step, layer.data)
                self._stale = True
                return

    def undo(self, step: Step | None = None) -> None:
        """Undo in the layer; where its history does not reach that far back, take `step` back."""
        self._go(step, 'undo')

    def redo(self, step: Step | None = None) -> None:
        """Redo in the layer, or `step` itself where the layer has forgotten it."""
        self._go(step, 'redo')

    def redraw(self) -> None:
        """Show what changed while napari was drawing."""
        stale, self._stale = self._stale, False
        if stale and self.layer is not None:
            self.layer.refresh()

    def _go(self, step: Step | None, which: str) -> None:
        layer = self.layer
        if layer is None:
            return
        known = self.book.beyond
        if step not in known:
            self._redrawn = False
            getattr(layer, which)()
            if self._redrawn or step is None:
                return
            # napari keeps 100 steps, we more: it did nothing, and never will for this one.
            known.add(step)
        if step is not None:
            (step.revert if which == 'undo' else step.apply)(layer.data)
            layer.refresh()

    # -- inner

    def _make(self) -> None:
        layer = self._add(new_labels_array(image_shape(self._image)), Session(), '')
        self._made, self._touched = layer, False
        self._adopt(layer)

    def _add(self, data: Any, session: Session, name: str) -> Labels:
        layer = Labels(
            data, name=name or f'{self._image.name} objects', **spatial_keywords(self._image)
        )
        self._sessions.enter(layer, Book(session, counted=True, complete=True))
        with self._selection_kept():
            self._viewer.add_layer(layer)
            self._put_above_image(layer)
        return layer

    def _adopt(self, layer: Labels) -> None:
        self.layer = layer
        self._sessions.remember(self._image, layer)
        self._connections.connect(layer.events.paint, self._on_paint)
        self._connections.connect(layer.events.set_data, self._on_set_data)
        self._connections.connect(layer.events.data, self._on_data)
        if not self.book.complete:
            self._count(layer)

    def _let_go(self) -> None:
        self._connections.close()
        self._bridge.cancel('scan')
        if self.layer is not None:
            self.session.history.drop_prompts()
        self.layer = None

    def _count(self, layer: Labels) -> None:
        """Read the largest id, then look for all objects, while the user works on."""
        data = layer.data[0] if layer.multiscale else layer.data
        book = self._sessions.book(layer)
        known = book.session.objects

        def counted(maximum: int) -> None:
            book.session.observe(maximum)
            book.counted = True
            self._survey(book, Survey(data), known)
            self._on_counted('')

        self._bridge.submit(
            'scan',
            lambda cancel: largest_label(data, cancel),
            counted,
            lambda error: self._on_counted(f'"{layer.name}" could not be read: {error}'),
        )

    def _survey(self, book: Book, survey: Survey, known: Any) -> None:
        def advanced(finished: bool) -> None:
            if finished:
                book.session.match(survey.found, known)
                book.complete = True
                self._on_counted('')
            else:
                # In portions: a click goes in between.
                self._survey(book, survey, known)

        self._bridge.submit(
            'scan',
            survey.advance,
            advanced,
            lambda error: self._on_counted(f'the objects could not be listed: {error}'),
        )

    def _put_above_image(self, layer: Labels) -> None:
        layers = self._viewer.layers
        layers.move(layers.index(layer), layers.index(self._image) + 1)

    def _on_paint(self, event: Any) -> None:
        if self._writing or self.layer is None:
            return
        self._touched = True
        edits = painted_edits(event.value, self.layer.data.shape)
        if edits is None:
            self.session.observe(int(self.layer.selected_label))
            self.session.lose_track()
        else:
            self._on_painted(edits)

    def _on_set_data(self, _event: Any = None) -> None:
        self._redrawn = True
        if not self._writing:
            self._complete()
            self._on_redrawn()

    def _on_data(self, _event: Any = None) -> None:
        """The whole array was replaced: what is known of it is to be compared with it."""
        if self.layer is None:
            return
        self._touched = True
        book = self.book
        book.session.history.clear()
        book.beyond.clear()
        book.abridged.clear()
        book.counted = book.complete = False
        book.session.lose_track()
        self._count(self.layer)

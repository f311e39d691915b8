"""Many objects at once, from layers to labels: what the batch is asked, and where it goes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import OverlapRule, PlaneSource
from napari_mobilesam.engine.batch import Answer, Wish, wishes_of_labels
from napari_mobilesam.engine.patch import Patch
from napari_mobilesam.layers import NotAnnotatable, labels_plane, objects_on_plane

from .batching import Batch
from .commit_plans import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_mobilesam.engine import SegmentedObject

    from .bridge import WorkerBridge
    from .committing import Committer
    from .inference import Inference
    from .model import ModelKeeper
    from .prompt_layers import PromptLayers


class Many(QObject):
    """Takes each prompt, each thing of a layer, or each coarse label as an object of its own.

    Signals
    -------
    status_changed (str, str)
        One line for the user, and its kind.
    """

    status_changed = Signal(str, str)

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        model: ModelKeeper,
        inference: Inference,
        committer: Committer,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._model = model
        self._inference = inference
        self._committer = committer
        self.batch = Batch(bridge, model, inference, self)
        self.batch.failed.connect(lambda why: self.status_changed.emit(why, 'warning'))
        self.batch.done.connect(self._on_done)
        self._mode = ''
        self._layer: Layer | None = None
        # What was found before the objects of the labels that were refined were all known.
        self._waiting: tuple[PlaneSource, Sequence[Answer]] | None = None
        committer.labels_changed.connect(self._on_labels)

    def layers(
        self, image: Image | None, prompts: PromptLayers | None, ours: Callable[[Any], bool]
    ) -> list[Layer]:
        """Return the user's layers that objects can be taken from."""
        if image is None or prompts is None:
            return []
        return [
            layer
            for layer in self._viewer.layers
            if (isinstance(layer, Labels) and not ours(layer))
            or (
                isinstance(layer, Points | Shapes)
                and layer not in prompts.layers
                and layer.ndim == image.ndim
            )
        ]

    def run(
        self, image: Image | None, prompts: PromptLayers | None, layer: Layer | None, mode: str
    ) -> None:
        """Segment all objects of the plane on display.

        Parameters
        ----------
        image
            The image.
        prompts
            The prompt layers, which objects are taken from without `layer`.
        layer
            A Points, Shapes or Labels layer of the user's.
        mode
            What refining a Labels layer does: with `'replace'` each object gets its new outline,
            with `'keep'` it only grows, into pixels that are free; with `'compare'` the outlines
            go to another layer, else to their own.
        """
        source = self._inference.source
        if image is None or prompts is None or source is None or self.batch.running:
            return
        self._mode, self._layer, self._waiting = mode, layer, None
        try:
            if isinstance(layer, Labels):
                place = labels_plane(
                    layer, image, source.key, self._viewer.dims, writable=mode != 'compare'
                )
                if mode != 'compare':
                    self._committer.choose(layer)
                values = partial(place.values, layer.data, source.shape)
                self.batch.start(source, lambda: wishes_of_labels(values()))
                return
        except NotAnnotatable as reason:
            self.status_changed.emit(str(reason), 'warning')
            return
        layers = prompts.layers if layer is None else (layer,)
        wishes = [
            Wish(objects) for one in layers for objects in objects_on_plane(one, image, source.key)
        ]
        self.batch.start(source, lambda: wishes)

    def _on_done(self, source: PlaneSource, found: Sequence[Answer]) -> None:
        if not isinstance(self._layer, Labels):
            self._commit(source, [_found(answer) for answer in found], clear_plane=True)
        elif self._mode == 'compare':
            self._committer.choose(None)
            self._commit(source, [_found(answer) for answer in found])
        elif self._layer not in self._viewer.layers:
            self.status_changed.emit(
                'The labels were removed meanwhile: nothing was written.', 'warning'
            )
        else:
            self._committer.choose(self._layer)
            self._waiting = source, found
            self._on_labels()

    def _on_labels(self) -> None:
        """Write what refining found, as soon as it is known whose pixels are whose."""
        target, current = self._committer.target, self._committer.labels
        if self._waiting is None or target is None or not target.book.complete:
            return
        if current is None or current != self._layer:
            return
        (source, found), self._waiting = self._waiting, None
        records = {record.label: record for record in target.session.objects}
        grow = self._mode == 'keep'
        coarse = target.place(source.key).values(current.data, source.shape) if grow else None
        objects = [
            _found(answer if coarse is None else _grown(answer, coarse), record)
            for answer in found
            if (record := records.get(answer.wish.label)) is not None and answer.patch.n_pixels
        ]
        self._commit(source, objects, OverlapRule.KEEP if grow else OverlapRule.REPLACE)

    def _commit(
        self,
        source: PlaneSource,
        objects: Sequence[Found],
        rule: OverlapRule | None = None,
        *,
        clear_plane: bool = False,
    ) -> None:
        annotator = self._model.annotator
        if annotator is None:
            return
        step = self._committer.commit_all(
            source,
            annotator.segmenter.digest,
            [one for one in objects if one.patch.any()],
            rule=rule,
            clear_plane=clear_plane,
        )
        if step is not None:
            count = sum(change.after is not None for change in step.changes)
            self.status_changed.emit(f'{count} objects are in the labels.', 'ready')


def _found(answer: Answer, record: SegmentedObject | None = None) -> Found:
    patch = answer.patch
    return Found(patch.rows, patch.columns, patch.mask, answer.wish.prompts, answer.score, record)


def _grown(answer: Answer, coarse: NDArray[np.integer]) -> Answer:
    """Add the pixels that an object has in the labels of the plane, (H, W), to its mask."""
    patch, box = answer.patch, answer.wish.prompts.box
    if box is None:
        return answer
    rows, columns = (
        slice(min(part.start, int(first)), max(part.stop, int(last) + 1))
        for part, first, last in zip((patch.rows, patch.columns), box[:2], box[2:], strict=True)
    )
    mask = coarse[rows, columns] == answer.wish.label
    mask[
        patch.rows.start - rows.start : patch.rows.stop - rows.start,
        patch.columns.start - columns.start : patch.columns.stop - columns.start,
    ] |= patch.mask
    return replace(answer, patch=Patch(rows, columns, mask, patch.shape))

"""Many objects at once, from layers to labels: what the batch is asked, and where it goes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import OverlapRule, PlaneSource
from napari_mobilesam.engine.batch import Answer, Wish, wishes_of_labels
from napari_mobilesam.layers import NotAnnotatable, labels_plane, objects_on_plane

from .batching import Batch
from .commit_plans import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image, Layer

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
            What refining a Labels layer does: `'replace'`, `'keep'` or `'compare'`.
        """
        source = self._inference.source
        if image is None or prompts is None or source is None or self.batch.running:
            return
        self._mode, self._layer = mode, layer
        try:
            if isinstance(layer, Labels):
                place = labels_plane(layer, image, source.key, self._viewer.dims, writable=False)
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
        annotator = self._model.annotator
        if annotator is None:
            return
        refining = isinstance(self._layer, Labels)
        rule = None
        records = {}
        if refining and self._mode == 'compare':
            self._committer.choose(None)
        elif refining:
            rule = OverlapRule.REPLACE if self._mode == 'replace' else OverlapRule.KEEP
            session = self._committer.session
            if self._mode == 'replace' and self._layer is self._committer.labels and session:
                records = {record.label: record for record in session.objects}
        objects = [
            Found(
                answer.patch.rows,
                answer.patch.columns,
                answer.patch.mask,
                answer.wish.prompts,
                answer.score,
                records.get(answer.wish.label),
            )
            for answer in found
            if answer.patch.n_pixels
        ]
        step = self._committer.commit_all(
            source,
            annotator.segmenter.digest,
            objects,
            rule=rule,
            clear_plane=self._layer is None,
        )
        if step is not None:
            count = sum(change.after is not None for change in step.changes)
            self.status_changed.emit(f'{count} objects are in the labels.', 'ready')

"""An object that is in some labels already, as a prompt: pick it under the mouse, refine it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import CancelToken, PlaneKey, embed_points
from napari_mobilesam.engine.strokes import trace_outline
from napari_mobilesam.layers import NotAnnotatable, image_shape, labels_plane

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

    from .bridge import WorkerBridge
    from .committing import Committer
    from .prompt_layers import PromptLayers


def label_under(viewer: Any, ours: Callable[[Any], bool]) -> tuple[Labels, int] | None:
    """Return the topmost label under the mouse, previews of ours apart."""
    position = viewer.cursor.position
    for layer in reversed(viewer.layers):
        if isinstance(layer, Labels) and layer.visible and not ours(layer):
            value = layer.get_value(position, world=True)
            value = value[-1] if isinstance(value, tuple) else value  # multiscale: level, value
            if value:
                return layer, int(value)
    return None


class LabelPicker(QObject):
    """Traces a label on the worker and puts its outline where the user draws regions.

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
        committer: Committer,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._bridge = bridge
        self._committer = committer

    def pick(
        self, image: Image, prompts: PromptLayers, key: PlaneKey, ours: Callable[[Any], bool]
    ) -> None:
        """Make the label under the mouse a prompt of the plane.

        Where it is an object of the chosen labels, the next commit changes it in place.
        """
        found = label_under(self._viewer, ours)
        if found is None:
            self.status_changed.emit('There is no label under the mouse.', 'warning')
            return
        layer, label = found
        try:
            place = labels_plane(layer, image, key, self._viewer.dims, writable=False)
        except NotAnnotatable as reason:
            self.status_changed.emit(str(reason), 'warning')
            return
        data, sides = layer.data, image_shape(image)
        shape = (sides[key.displayed[0]], sides[key.displayed[1]])

        def trace(_cancel: CancelToken) -> NDArray[Any]:
            return embed_points(trace_outline(place.values(data, shape) == label), key)

        self._bridge.submit(
            'pick',
            trace,
            partial(self._on_traced, layer, label, prompts),
            lambda error: self.status_changed.emit(
                f'Label {label} could not be used as a prompt: {error}', 'warning'
            ),
        )

    def _on_traced(
        self, layer: Labels, label: int, prompts: PromptLayers, outline: NDArray[Any]
    ) -> None:
        session = self._committer.session
        if layer is self._committer.labels and session is not None:
            self._committer.reopen(session.get(label))
        prompts.add_shape(outline)

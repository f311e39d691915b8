"""Which plane of the image the viewer shows: left at once, entered when the slider rests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine import IntensityMapping, PlaneSource
from napari_mobilesam.layers import NotAnnotatable, mapping_as_displayed, plane_key, plane_source

from .connections import Connections

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

# A slider that is dragged passes planes that nobody wants: wait until it rests.
DIMS_REST_MS = 60
CONTRAST_REST_MS = 200


class PlaneFollower(QObject):
    """Follow the viewer's dims and one image, and say which plane the model is to look at.

    Parameters
    ----------
    dims
        The viewer's.
    mapping
        How pixel values become the picture that the model sees; None for as displayed.
    parent
        Qt parent.

    Signals
    -------
    entered (PlaneSource)
        Another plane, or the same with other pixels or intensities.
    left
        The plane is not on display any more.
    refused (str)
        What the viewer shows cannot be annotated, and why.
    moved
        The image lies elsewhere in the world.
    """

    entered = Signal(object)
    left = Signal()
    refused = Signal(str)
    moved = Signal()

    def __init__(
        self, dims: Dims, mapping: IntensityMapping | None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._dims = dims
        self.as_displayed = mapping is None
        self.mapping = IntensityMapping() if mapping is None else mapping
        self.image: Image | None = None
        self.source: PlaneSource | None = None
        self._stale = False
        self._connections = Connections()
        self._image_connections = Connections()
        self._timers = tuple(QTimer(self) for _ in range(2))
        self._plane_timer, self._contrast_timer = self._timers
        for timer, interval in zip(self._timers, (DIMS_REST_MS, CONTRAST_REST_MS), strict=True):
            timer.setSingleShot(True)
            timer.setInterval(interval)
            timer.timeout.connect(self.refresh)

    def start(self) -> None:
        """Listen to the dims."""
        for name in ('current_step', 'order', 'ndisplay'):
            self._connections.connect(getattr(self._dims.events, name), self._on_dims)

    def close(self) -> None:
        """Listen to nothing any more."""
        self._connections.close()
        self.set_image(None)
        for timer in self._timers:
            timer.stop()

    @property
    def pending(self) -> bool:
        """Whether it is about to look again."""
        return any(timer.isActive() for timer in self._timers)

    def set_image(self, image: Image | None) -> None:
        """Follow another image, or none. Leaves the plane; `refresh` enters the new one."""
        self._image_connections.close()
        self._leave()
        self.image = image
        if image is None:
            return
        connect = self._image_connections.connect
        for name in ('scale', 'translate', 'rotate', 'shear', 'affine', 'units'):
            connect(getattr(image.events, name), self._on_moved)
        connect(image.events.data, self._on_data)
        connect(image.events.contrast_limits, self._on_contrast)
        connect(image.events.gamma, self._on_contrast)

    def set_mapping(self, mapping: IntensityMapping | None) -> None:
        """Show the model other intensities; None for those that the layer is displayed with."""
        self.as_displayed = mapping is None
        if mapping is not None:
            self.mapping = mapping
        self.refresh()

    def refresh(self) -> None:
        """Look which plane it is now."""
        self._plane_timer.stop()
        image = self.image
        if image is None:
            return
        try:
            mapping = mapping_as_displayed(image) if self.as_displayed else self.mapping
            key = plane_key(image, self._dims)
            here = None if self._stale else self.source
            if here is not None and (here.key, here.mapping) == (key, mapping):
                return
            source = plane_source(image, self._dims, mapping)
        except ValueError as reason:  # NotAnnotatable among them
            self._leave()
            self.refused.emit(str(reason))
            return
        self._stale = False
        self.source = source
        self.entered.emit(source)

    def _leave(self) -> None:
        self.source = None
        self.left.emit()

    def _on_dims(self, _event: Any = None) -> None:
        """Leave the old plane at once; go to the new one when the slider rests."""
        if self.image is None:
            return
        try:
            key = plane_key(self.image, self._dims)
        except NotAnnotatable:
            key = None
        if self.source is not None and self.source.key != key:
            self._leave()
        self._plane_timer.start()

    def _on_moved(self, _event: Any = None) -> None:
        self.moved.emit()
        self._plane_timer.start()

    def _on_data(self, _event: Any = None) -> None:
        self._stale = True
        self._leave()
        self._plane_timer.start()

    def _on_contrast(self, _event: Any = None) -> None:
        if self.as_displayed:
            self._contrast_timer.start()

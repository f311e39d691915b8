"""Which plane of the image the viewer shows: left at once, entered when the slider rests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine import Frame, PlaneSource
from napari_mobilesam.layers import (
    NotAnnotatable,
    PictureChoice,
    Samples,
    picture_source,
    plane_key,
    unwrap,
)

from .connections import Connections

if TYPE_CHECKING:
    from napari.viewer import Viewer

# A slider that is dragged passes planes that nobody wants: wait until it rests.
DIMS_REST_MS = 60
CONTRAST_REST_MS = 200

_PLACE = ('scale', 'translate', 'rotate', 'shear', 'affine', 'units')
_DISPLAY = ('contrast_limits', 'gamma', 'colormap', 'opacity', 'blending', 'visible')


class PlaneFollower(QObject):
    """Follow the viewer's dims and images, and say which picture the model is to look at.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    choice
        How the picture that the model sees is made.
    parent
        Qt parent.

    Signals
    -------
    entered (PlaneSource)
        Another plane or frame, or the same with other pixels or intensities.
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
        self, viewer: Viewer, choice: PictureChoice, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._choice = choice
        self._samples = Samples()
        self._frame: Frame | None = None
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
        """Listen to the dims, and to layers that come and go."""
        for name in ('current_step', 'order', 'ndisplay'):
            self._connections.connect(getattr(self._viewer.dims.events, name), self._on_dims)
        for name in ('inserted', 'removed', 'reordered'):
            self._connections.connect(getattr(self._viewer.layers.events, name), self._on_layers)

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

    @property
    def choice(self) -> PictureChoice:
        """How the picture that the model sees is made."""
        return self._choice

    def set_choice(self, choice: PictureChoice) -> None:
        """Show the model another picture of the plane."""
        self._choice = choice
        self._watch()
        self.refresh()

    def set_image(self, image: Image | None) -> None:
        """Follow another image, or none. Leaves the plane; `refresh` enters the new one."""
        self._image_connections.close()
        self._leave()
        self._frame = None
        self._samples.forget()
        self.image = image
        self._watch()

    @property
    def frame(self) -> Frame | None:
        """The region of planes that is encoded; None for whole planes."""
        return self._frame

    def set_frame(self, frame: Frame | None) -> None:
        """Encode another region of the plane; the next planes follow suit."""
        self._frame = frame
        self.refresh()

    def refresh(self) -> None:
        """Look which plane it is now."""
        for timer in self._timers:
            timer.stop()
        image = self.image
        if image is None:
            return
        try:
            images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
            source = picture_source(image, self._viewer.dims, self._choice, images, self._samples)
            here = None if self._stale else self.source
            if here is not None and source.same_picture(here.whole):
                # The very same source, whose pixels are known by now.
                source = here.whole
            source = source.framed(self._fitting(source))
            if here is not None and here.same_picture(source):
                return
        except ValueError as reason:  # NotAnnotatable among them
            self._leave()
            self.refused.emit(str(reason))
            return
        self._stale = False
        self.source = source
        self.entered.emit(source)

    def _fitting(self, source: PlaneSource) -> Frame | None:
        """Return the frame, unless this plane is too small for it."""
        frame = self._frame
        if frame is not None and (
            frame.rows.stop > source.shape[0] or frame.columns.stop > source.shape[1]
        ):
            self._frame = None
        return self._frame

    def _watch(self) -> None:
        """Listen to what the picture is made of."""
        self._image_connections.close()
        if self.image is None:
            return
        connect = self._image_connections.connect
        for name in _PLACE:
            connect(getattr(self.image.events, name), self._on_moved)
        others = {
            'layer': [],
            'visible': [layer for layer in self._viewer.layers if isinstance(layer, Image)],
            'rgb': [part.layer for part in self._choice.rgb if part is not None],
        }[self._choice.content]
        for layer in {self.image, *others}:
            connect(layer.events.data, self._on_data)
            for name in (*_PLACE, *_DISPLAY):
                connect(getattr(layer.events, name), self._on_display)

    def _leave(self) -> None:
        self.source = None
        self.left.emit()

    def _on_dims(self, _event: Any = None) -> None:
        """Leave the old plane at once; go to the new one when the slider rests."""
        if self.image is None:
            return
        try:
            key = plane_key(self.image, self._viewer.dims)
        except NotAnnotatable:
            key = None
        if self.source is not None and self.source.key != key:
            if key is None or key.displayed != self.source.key.displayed:
                self._frame = None  # rows and columns are others now
            self._leave()
        self._plane_timer.start()

    def _on_moved(self, _event: Any = None) -> None:
        self.moved.emit()
        self._plane_timer.start()

    def _on_data(self, _event: Any = None) -> None:
        self._stale = True
        self._samples.forget()
        self._leave()
        self._plane_timer.start()

    def _on_display(self, _event: Any = None) -> None:
        self._contrast_timer.start()

    def _on_layers(self, event: Any) -> None:
        layer = unwrap(getattr(event, 'value', None))
        if self.image is None or not (layer is None or isinstance(layer, Image)):
            return
        if event.type == 'removed' and any(
            part is not None and part.layer is layer for part in self._choice.rgb
        ):
            red, green, blue = (
                None if part is None or part.layer is layer else part for part in self._choice.rgb
            )
            self._choice = PictureChoice(
                self._choice.mapping, self._choice.content, (red, green, blue)
            )
        self._watch()
        self._contrast_timer.start()

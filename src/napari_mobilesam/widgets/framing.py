"""The scale guard and the frame: objects too small for the model are looked at more closely."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import Frame
from napari_mobilesam.layers import NotAnnotatable, visible_frame

from .frame_layer import FrameLayer

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_mobilesam.engine import PlaneSource
    from napari_mobilesam.engine.drawing import Drawing

    from .plane_follower import PlaneFollower

# An object that is shorter than this in pixels of the model loses its shape.
SMALLEST = 16
# What was said of one is taken back at one larger than this: the line does not flicker as the mouse
# goes from object to object.
_LARGE_ENOUGH = 20
# So long is it in a frame that is made for it: of 1024.
_WANTED = 64
# Of the frame's area; what shows more than that is no closer look.
_CLOSER = 0.8
# Below this a frame is a handful of pixels, blown up.
_SMALLEST_FRAME = 32


class Framing(QObject):
    """Watches how large objects are for the model, and sets the frame.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    follower
        Which knows the plane, and gets the frame.
    parent
        Qt parent.

    Signals
    -------
    guard_changed (str, bool)
        A line for the user, empty where there is nothing to say; whether a frame is in use.
    refused (str)
        Why there is no closer look.
    """

    guard_changed = Signal(str, bool)
    refused = Signal(str)

    def __init__(
        self, viewer: Viewer, follower: PlaneFollower, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._follower = follower
        self._layer: FrameLayer | None = None
        self._object: tuple[float, float, float, float] | None = None
        self._said: tuple[str, bool] = ('', False)
        self._warned = False

    # -- life

    def enter(
        self, image: Image, selection_kept: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Show frames on an image from now on."""
        self._layer = FrameLayer(self._viewer, image, selection_kept)

    def leave(self) -> None:
        """Remove what is shown."""
        if self._layer is not None:
            self._layer.close()
        self._layer = self._object = None
        self._say('', False)

    def forget(self, layer: Any) -> None:
        """Take the removal of the rectangle for what it means: the whole plane again."""
        if self._layer is not None and self._layer.forget(layer):
            self.use_plane()

    def follow_image(self) -> None:
        """Go where the image went."""
        if self._layer is not None:
            self._layer.follow_image()

    # -- what is on display

    def show_source(self, source: PlaneSource | None) -> None:
        """Draw the frame of what the model is to look at."""
        self._object = None
        if self._layer is not None:
            self._layer.show(source)
        self._guard()

    def show_object(self, drawing: Drawing | None) -> None:
        """Look how large the object under the mouse, or the candidate, is for the model."""
        self._object = None if drawing is None else drawing.extent
        self._guard()

    # -- what the user does

    def look_closer(self) -> None:
        """Encode what the canvas shows; if that is no closer look, the object's neighbourhood."""
        image, source = self._follower.image, self._follower.source
        if image is None or source is None:
            return
        try:
            frame = visible_frame(self._viewer, image, source.key)
        except NotAnnotatable as reason:
            self.refused.emit(str(reason))
            return
        area = source.region.height * source.region.width
        if frame.height * frame.width > _CLOSER * area or min(frame.shape) < _SMALLEST_FRAME:
            around = self._around_object(source)
            if around is None:
                self.refused.emit('Zoom in first: then what is shown is encoded, in more detail.')
                return
            frame = around
        self._follower.set_frame(frame)

    def use_plane(self) -> None:
        """Encode whole planes again."""
        self._follower.set_frame(None)

    def _around_object(self, source: PlaneSource) -> Frame | None:
        if self._object is None or not self._small(source):
            return None
        top, left, bottom, right = self._object
        half = max(_SMALLEST_FRAME, max(bottom - top, right - left) * 1024 / _WANTED) / 2
        row, column = (top + bottom) / 2, (left + right) / 2
        return Frame.around(row - half, column - half, row + half, column + half, source.shape)

    # -- the guard

    def _small(self, source: PlaneSource) -> bool:
        if self._object is None:
            return False
        top, left, bottom, right = self._object
        limit = _LARGE_ENOUGH if self._warned else SMALLEST
        return max(bottom - top, right - left) / source.model_pixel < limit

    def _guard(self) -> None:
        source = self._follower.source
        framed = source is not None and source.frame is not None
        self._warned = source is not None and self._small(source)
        if source is None:
            self._say('', False)
        elif self._warned:
            self._say(f'Small for the model: {scale_text(source.model_pixel)}.', framed)
        elif framed:
            self._say(f'Only the frame is encoded: {scale_text(source.model_pixel)}.', framed)
        else:
            self._say('', False)

    def _say(self, text: str, framed: bool) -> None:
        if (text, framed) != self._said:
            self._said = (text, framed)
            self.guard_changed.emit(text, framed)


def scale_text(model_pixel: float) -> str:
    """Say how a pixel of the model compares with one of the plane."""
    if model_pixel >= 1:
        return f'1 model pixel = {model_pixel:.3g} of yours'
    return f'{1 / model_pixel:.3g} model pixels = 1 of yours'

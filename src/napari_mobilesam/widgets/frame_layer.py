"""The layer that shows where the frame is: a thin rectangle that nobody can edit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from napari.layers import Shapes

from napari_mobilesam import engine
from napari_mobilesam.layers import copy_transform, spatial_keywords

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_mobilesam.engine import PlaneSource

COLOUR = '#b07cff'
# As thick as a thin line is on a window that the frame fills.
_PER_WIDTH = 500


class FrameLayer:
    """A Shapes layer of our own with one rectangle, made when there is a frame to show.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    image
        The image whose frames are shown.
    selection_kept
        Context in which adding a layer leaves the active layer alone.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        selection_kept: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._viewer = viewer
        self._image = image
        self._selection_kept = selection_kept
        self.layer: Shapes | None = None

    def show(self, source: PlaneSource | None) -> None:
        """Draw the frame of a source on its plane, or remove the layer where there is none."""
        if source is None or source.frame is None:
            self.close()
            return
        frame = source.frame
        edges = (
            frame.row - 0.5,
            frame.column - 0.5,
            frame.rows.stop - 0.5,
            frame.columns.stop - 0.5,
        )
        top, left, bottom, right = edges
        corners = engine.embed_points(
            [(top, left), (top, right), (bottom, right), (bottom, left)], source.key
        )
        width = max(frame.shape) / _PER_WIDTH
        if self.layer is None:
            self.layer = self._make()
        else:
            self.layer.selected_data = set()
            self.layer.data = []
        self.layer.add_rectangles([corners], edge_width=width, edge_color=COLOUR)
        self.layer.editable = False

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that the user removed; say whether it was this one."""
        if layer is None or layer is not self.layer:
            return False
        self.layer = None
        return True

    def follow_image(self) -> None:
        """Go where the image went."""
        if self.layer is not None:
            copy_transform(self._image, self.layer)

    def close(self) -> None:
        """Remove the layer."""
        layer = self.layer
        if layer is not None:
            self.layer = None
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _make(self) -> Shapes:
        layer = Shapes(
            ndim=self._image.ndim,
            name='Frame',
            face_color='transparent',
            edge_color=COLOUR,
            **spatial_keywords(self._image),
        )
        with self._selection_kept():
            self._viewer.add_layer(layer)
            # Over the image and under everything that the user points at.
            above = self._viewer.layers.index(self._image) + 1
            self._viewer.layers.move(len(self._viewer.layers) - 1, above)
        return layer

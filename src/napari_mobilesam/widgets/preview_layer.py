"""The layer that shows the candidate: contour and tint, one plane thin, never undoable."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_mobilesam.engine.outline import CONTOUR, TINT
from napari_mobilesam.layers import (
    copy_transform,
    preview_geometry,
    spatial_keywords,
    write_preview,
)

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_mobilesam.engine import PlaneKey

_COLOURS: dict[int | None, Any] = {
    None: 'transparent',
    0: 'transparent',
    TINT: (0.10, 0.85, 1.0, 0.28),
    CONTOUR: (0.10, 0.85, 1.0, 1.0),
}


class PreviewLayer:
    """A Labels layer of our own that covers one plane of the image.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    image
        The image whose planes are shown.
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
        self._key: PlaneKey | None = None
        self.layer: Labels | None = None

    def show(self, key: PlaneKey, plane: NDArray[np.uint8]) -> None:
        """Draw a plane of `TINT` and `CONTOUR` values, (H, W)."""
        layer = self._at(key)
        write_preview(layer, key, plane)

    def wipe(self) -> None:
        """Show nothing."""
        if self.layer is not None and self._key is not None:
            write_preview(self.layer, self._key, None)

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that the user removed; say whether it was this one."""
        if layer is None or layer is not self.layer:
            return False
        self.layer = None
        return True

    def follow_image(self) -> None:
        """Go where the image went."""
        if self.layer is not None and self._key is not None:
            copy_transform(self._image, self.layer)
            self.layer.translate = preview_geometry(self._image, self._key)[1]

    def close(self) -> None:
        """Remove the layer."""
        layer = self.layer
        if layer is not None:
            self.layer = None
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _at(self, key: PlaneKey) -> Labels:
        """Return the layer, at its place on the plane."""
        if self.layer is not None and self._key == key:
            return self.layer
        shape, translate = preview_geometry(self._image, key)
        if self.layer is None:
            self.layer = self._make(shape, translate)
        else:
            if self.layer.data.shape != shape:
                self.layer.data = np.zeros(shape, dtype=np.uint8)
            else:
                self.layer.data[...] = 0
            self.layer.translate = translate
        self._key = key
        return self.layer

    def _make(self, shape: tuple[int, ...], translate: NDArray[np.float64]) -> Labels:
        layer = Labels(
            np.zeros(shape, dtype=np.uint8),
            name='Candidate',
            opacity=1.0,
            colormap=DirectLabelColormap(color_dict=_COLOURS),
            **{**spatial_keywords(self._image), 'translate': translate},
        )
        layer.editable = False
        with self._selection_kept():
            self._viewer.add_layer(layer)
            # Under the prompts, over everything else.
            end = len(self._viewer.layers)
            self._viewer.layers.move(end - 1, max(0, end - 3))
        return layer

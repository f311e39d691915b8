"""Layers that show masks which are not in the labels: contour and tint, one plane thin.

The candidate, drawn to the pixel; what a click under the mouse would give, drawn dimmer and on a
coarse grid, so that it can follow the mouse; and what is found on the slices of a stack before it
is in the labels. None of them can be undone or edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_mobilesam.engine.outline import CONTOUR, TINT
from napari_mobilesam.layers import (
    copy_transform,
    draw_overlay,
    overlay_geometry,
    spatial_keywords,
)

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_mobilesam.engine import Frame, PlaneKey, PlaneSource
    from napari_mobilesam.engine.drawing import Drawing

    from .predicting import Hovered, Shown
    from .prompt_layers import PromptLayers


@dataclass(frozen=True, slots=True)
class Look:
    """Name and colours (red, green, blue, opacity) of a preview."""

    name: str
    tint: tuple[float, float, float, float]
    contour: tuple[float, float, float, float]


CANDIDATE = Look('Candidate', (0.10, 0.85, 1.0, 0.28), (0.10, 0.85, 1.0, 1.0))
STACK = Look('Found in the stack', (1.0, 0.62, 0.10, 0.28), (1.0, 0.62, 0.10, 1.0))
HOVER = Look('Under the mouse', (1.0, 1.0, 1.0, 0.10), (1.0, 1.0, 1.0, 0.60))


@dataclass(frozen=True, slots=True)
class _Place:
    key: PlaneKey
    frame: Frame
    grid: tuple[int, int]


class PreviewLayer:
    """A Labels layer of our own that covers one plane of the image, or a frame of it.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    image
        The image whose planes are shown.
    look
        Name and colours.
    prompts
        The layers that belong above this one.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        look: Look,
        prompts: PromptLayers,
    ) -> None:
        self._viewer = viewer
        self._image = image
        self._look = look
        self._prompts = prompts
        self._place: _Place | None = None
        self._drawn: Drawing | None = None
        self.layer: Labels | None = None

    def show(self, key: PlaneKey, drawing: Drawing) -> None:
        """Draw one mask, and nothing else."""
        layer = self._at(_Place(key, drawing.frame, drawing.grid))
        self._erase(layer)
        draw_overlay(layer, key, drawing.corner, drawing.values)
        self._drawn = drawing
        _redraw(layer)

    def wipe(self) -> None:
        """Show nothing."""
        if self.layer is not None and self._drawn is not None:
            self._erase(self.layer)
            _redraw(self.layer)

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that the user removed; say whether it was this one."""
        if layer is None or layer is not self.layer:
            return False
        self.layer = self._place = self._drawn = None
        return True

    def follow_image(self) -> None:
        """Go where the image went."""
        if self.layer is not None and self._place is not None:
            copy_transform(self._image, self.layer)
            _, self.layer.scale, self.layer.translate = self._geometry(self._place)

    def close(self) -> None:
        """Remove the layer."""
        layer = self.layer
        if layer is not None:
            self.forget(layer)
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _geometry(self, place: _Place) -> tuple[tuple[int, ...], Any, Any]:
        return overlay_geometry(self._image, place.key, place.frame, place.grid)

    def _erase(self, layer: Labels) -> None:
        drawn, place = self._drawn, self._place
        self._drawn = None
        if drawn is not None and place is not None:
            draw_overlay(layer, place.key, drawn.corner, np.zeros_like(drawn.values))

    def _at(self, place: _Place) -> Labels:
        """Return the layer, at its place on the plane."""
        if self.layer is not None and self._place == place:
            return self.layer
        shape, scale, translate = self._geometry(place)
        if self.layer is None:
            self.layer = self._make(shape, scale, translate)
        else:
            self._erase(self.layer)
            if self.layer.data.shape != shape:
                self.layer.data = np.zeros(shape, dtype=np.uint8)
            self.layer.scale, self.layer.translate = scale, translate
        self._place = place
        return self.layer

    def _make(self, shape: tuple[int, ...], scale: Any, translate: Any) -> Labels:
        colours: dict[int | None, Any] = {
            None: 'transparent',
            0: 'transparent',
            TINT: self._look.tint,
            CONTOUR: self._look.contour,
        }
        layer = Labels(
            np.zeros(shape, dtype=np.uint8),
            name=self._look.name,
            opacity=1.0,
            colormap=DirectLabelColormap(color_dict=colours),
            **{**spatial_keywords(self._image), 'scale': scale, 'translate': translate},
        )
        layer.editable = False
        layers = self._viewer.layers
        with self._prompts.selection_kept():
            self._viewer.add_layer(layer)
            above = [layers.index(one) for one in self._prompts.layers if one in layers]
            layers.move(len(layers) - 1, min(above, default=len(layers)))
        return layer


def _redraw(layer: Labels) -> None:
    # It stays where it is: neither the world's extent nor its thumbnail has to be made anew.
    layer.refresh(thumbnail=False, highlight=False, extent=False)


class Previews:
    """Those of one image: the candidate, what a click would give, and what a stack's run found."""

    def __init__(self, viewer: Viewer, image: Image, prompts: PromptLayers) -> None:
        self.candidate = PreviewLayer(viewer, image, CANDIDATE, prompts)
        self.hover = PreviewLayer(viewer, image, HOVER, prompts)
        self.stack = PreviewLayer(viewer, image, STACK, prompts)
        self._all = (self.candidate, self.hover, self.stack)

    def own(self, layer: Any) -> bool:
        """Whether a layer is one of them."""
        return any(layer is preview.layer for preview in self._all)

    def forget(self, layer: Any) -> None:
        """Let go of a layer that the user removed."""
        for preview in self._all:
            preview.forget(layer)

    def follow_image(self) -> None:
        """Go where the image went."""
        for preview in self._all:
            preview.follow_image()

    def close(self) -> None:
        """Remove the layers."""
        for preview in self._all:
            preview.close()

    def show_candidate(self, shown: Shown | None) -> None:
        """Draw the candidate, or none."""
        if shown is None:
            self.candidate.wipe()
        else:
            self.candidate.show(shown.source.key, shown.drawing)

    def show_stack(self, source: PlaneSource | None, drawing: Drawing | None) -> None:
        """Draw what was found on the plane and is not in the labels yet, or nothing."""
        if source is None or drawing is None:
            self.stack.wipe()
        else:
            self.stack.show(source.key, drawing)

    def show_hover(self, hovered: Hovered | None) -> None:
        """Draw what a click would give, or nothing."""
        if hovered is None:
            self.hover.wipe()
        else:
            self.hover.show(hovered.source.key, hovered.drawing)

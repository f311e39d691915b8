"""The two layers that the user points in, made by us, removed by us."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Points, Shapes
from napari.layers.base import ActionType
from qtpy.QtCore import QTimer

from napari_mobilesam.engine import embed_points
from napari_mobilesam.layers import (
    NEGATIVE,
    POLARITY,
    POSITIVE,
    boxes_on_plane,
    copy_transform,
    image_shape,
    points_on_plane,
    prompts_on_plane,
    spatial_keywords,
)

from .connections import Connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_mobilesam.engine import PlaneKey, Prompts

    from .layer_keys import LayerKeys

# Told apart by people who do not see red and green apart, and on grey, pink and black pictures.
POSITIVE_COLOUR, NEGATIVE_COLOUR = '#17b978', '#e8368f'
BOX_COLOUR = '#f5b301'

_DONE = (ActionType.ADDED, ActionType.REMOVED, ActionType.CHANGED)


@dataclass(frozen=True, slots=True, eq=False)
class PromptState:
    """All prompts of both layers, in data coordinates of the layers, on every plane."""

    points: NDArray[np.float64]
    polarity: tuple[str, ...]
    boxes: tuple[NDArray[np.float64], ...]

    def same(self, other: PromptState) -> bool:
        """Whether the two hold the same prompts."""
        return (
            np.array_equal(self.points, other.points)
            and self.polarity == other.polarity
            and len(self.boxes) == len(other.boxes)
            and all(map(np.array_equal, self.boxes, other.boxes))
        )


def _polarity_column(values: tuple[str, ...] = ()) -> Any:
    # Categorical, so that colours do not depend on which polarity happens to be clicked first.
    return pd.Categorical(list(values), categories=[POSITIVE, NEGATIVE])


class PromptLayers:
    """A points layer and a boxes layer over one image.

    Either may be deleted by the user at any time; it is made anew when it is next needed.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    image
        The image to prompt on; the layers lie where it lies.
    on_change
        Called once or several times after prompts changed (never while a shape is being drawn).
    keys
        Binds the keys on the layers.
    on_polarity
        Called when the polarity of the next point changed.
    on_mouse
        Called with the world position of the mouse as it moves over the image, ready to click
        points, and with None when it is pressed.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        on_change: Callable[[], object],
        keys: LayerKeys,
        on_polarity: Callable[[], object],
        on_mouse: Callable[[Any], object],
    ) -> None:
        self._viewer = viewer
        self._image = image
        self._on_change = on_change
        self._keys = keys
        self._on_polarity = on_polarity
        self._on_mouse = on_mouse
        self._connections: dict[str, Connections] = {}
        self._writing = False
        self._known: tuple[str, ...] = ()
        self.points: Points | None = None
        self.boxes: Shapes | None = None
        self.ensure()

    # -- life

    def ensure(self) -> None:
        """Make the layers that are not there."""
        with self.selection_kept():
            if self.boxes is None:
                self.boxes = self._make_boxes()
            if self.points is None:
                self.points = self._make_points()

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that the user removed; say whether it was one of ours."""
        if layer is self.points and layer is not None:
            self.points = None
        elif layer is self.boxes and layer is not None:
            self.boxes = None
        else:
            return False
        self._connections.pop(layer.unique_id).close()
        return True

    def close(self) -> None:
        """Remove both layers."""
        for layer in (self.points, self.boxes):
            if layer is not None:
                self.forget(layer)
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)

    def follow_image(self) -> None:
        """Go where the image went."""
        for layer in (self.points, self.boxes):
            if layer is not None:
                copy_transform(self._image, layer)

    @contextmanager
    def selection_kept(self) -> Iterator[None]:
        """Add layers without changing which one is active."""
        selection = self._viewer.layers.selection
        active = selection.active
        yield
        if active is not None and active in self._viewer.layers:
            selection.active = active

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers that there are."""
        return tuple(layer for layer in (self.points, self.boxes) if layer is not None)

    # -- tools

    @property
    def tool(self) -> str | None:
        """`'points'` or `'boxes'`, by the active layer, else None."""
        active = self._viewer.layers.selection.active
        if active is None:
            return None
        return {id(self.points): 'points', id(self.boxes): 'boxes'}.get(id(active))

    def use(self, tool: str) -> None:
        """Make the layer of a tool the active one, ready to draw."""
        self.ensure()
        if self.points is None or self.boxes is None:
            return
        if tool == 'points':
            self._viewer.layers.selection.active = self.points
            self.points.mode = 'add'
        else:
            self._viewer.layers.selection.active = self.boxes
            self.boxes.mode = 'add_rectangle'

    def rest(self) -> None:
        """Draw nothing for now: in 3D, or where there is no plane."""
        for layer in (self.points, self.boxes):
            if layer is not None:
                layer.mode = 'pan_zoom'

    @property
    def polarity(self) -> str:
        """The polarity of the next point."""
        if self.points is None:
            return POSITIVE
        return str(self.points.feature_defaults[POLARITY].iloc[0])

    @polarity.setter
    def polarity(self, polarity: str) -> None:
        self.ensure()
        if self.points is not None and polarity != self.polarity:
            self.points.feature_defaults = {POLARITY: [polarity]}

    # -- prompts

    def prompts(self, key: PlaneKey) -> Prompts:
        """Read the prompts of one plane; of several boxes the last one counts."""
        return prompts_on_plane(self.points, self.boxes, self._image, key)

    @property
    def number(self) -> tuple[int, int]:
        """How many points and boxes there are, on all planes."""
        return (
            0 if self.points is None else len(self.points.data),
            0 if self.boxes is None else len(self.boxes.data),
        )

    def keep_last_box(self, key: PlaneKey) -> None:
        """Remove all boxes of a plane but the last: a new box replaces the old one."""
        if self.boxes is None or len(self.boxes.data) < 2:
            return
        here = boxes_on_plane(self.boxes, self._image, key)
        if len(here) > 1:
            with self._quietly():
                self.boxes.selected_data = {int(number) for number in here[:-1]}
                self.boxes.remove_selected()

    def clear(self, key: PlaneKey) -> None:
        """Remove the prompts of one plane."""
        with self._quietly():
            if self.points is not None and len(self.points.data):
                here = points_on_plane(self.points, self._image, key)
                if len(here):
                    self.points.selected_data = {int(number) for number in here}
                    self.points.remove_selected()
            if self.boxes is not None and len(self.boxes.data):
                here = boxes_on_plane(self.boxes, self._image, key)
                if len(here):
                    self.boxes.selected_data = {int(number) for number in here}
                    self.boxes.remove_selected()

    def put(self, key: PlaneKey, prompts: Prompts) -> None:
        """Place these prompts on a plane, instead of those that are there."""
        self.ensure()
        if self.points is None or self.boxes is None:
            return
        self.clear(key)
        before = self.polarity
        with self._quietly():
            self.points.selected_data = set()
            for place, positive in zip(prompts.points, prompts.positive, strict=True):
                self.polarity = POSITIVE if positive else NEGATIVE
                self.points.add(self._from_plane(self.points, key, [place])[0])
            self.points.selected_data = set()
            if prompts.box is not None:
                row0, column0, row1, column1 = prompts.box
                corners = [(row0, column0), (row0, column1), (row1, column1), (row1, column0)]
                self.boxes.add([self._from_plane(self.boxes, key, corners)], shape_type='rectangle')
        self.polarity = before
        self._on_change()

    def _from_plane(self, layer: Any, key: PlaneKey, places: Any) -> NDArray[np.float64]:
        """Turn (row, column) of a plane into data coordinates of a prompt layer."""
        return np.array(
            [
                layer.world_to_data(self._image.data_to_world(position))
                for position in embed_points(places, key)
            ],
            dtype=float,
        )

    def state(self) -> PromptState:
        """Take down all prompts, for undo."""
        points, boxes = self.points, self.boxes
        self._known = self._polarities()
        ndim = self._image.ndim
        return PromptState(
            points=np.empty((0, ndim)) if points is None else np.array(points.data, dtype=float),
            polarity=self._known,
            boxes=() if boxes is None else tuple(np.array(box, dtype=float) for box in boxes.data),
        )

    def restore(self, state: PromptState) -> None:
        """Put all prompts back to what they were."""
        self.ensure()
        if self.points is None or self.boxes is None:
            return
        with self._quietly():
            self.points.selected_data = set()
            self.points.data = state.points
            self.points.features = pd.DataFrame({POLARITY: _polarity_column(state.polarity)})
            self.points.refresh_colors()
            self.boxes.selected_data = set()
            # Empty first: napari compares old and new numbers of shapes on assignment.
            self.boxes.data = []
            if state.boxes:
                self.boxes.add(list(state.boxes), shape_type='rectangle')

    def add_point(self, position: Any, positive: bool = True) -> None:
        """Add a point at data coordinates of the image, as a click would."""
        self.ensure()
        if self.points is None:
            return
        before = self.polarity
        self.polarity = POSITIVE if positive else NEGATIVE
        world = self._image.data_to_world(position)
        self.points.add(np.asarray(self.points.world_to_data(world), dtype=float))
        self.polarity = before

    # -- making layers

    def _make_points(self) -> Points:
        largest = max(image_shape(self._image)[-2:])
        layer = Points(
            np.empty((0, self._image.ndim)),
            ndim=self._image.ndim,
            name='Prompts',
            features=pd.DataFrame({POLARITY: _polarity_column()}),
            feature_defaults={POLARITY: [POSITIVE]},
            face_color=POLARITY,
            face_color_cycle=[POSITIVE_COLOUR, NEGATIVE_COLOUR],
            border_color='white',
            border_width=0.15,
            size=max(1.0, largest / 50),
            # A prompt is a mark on the screen: as large at every zoom.
            canvas_size_limits=(9, 13),
            **spatial_keywords(self._image),
        )
        connections = self._adopt(layer)
        connections.connect(layer.events.features, self._on_features)
        connections.connect(layer.events.set_data, self._on_features)
        connections.connect(layer.events.feature_defaults, self._on_feature_defaults)
        for callbacks, callback in (
            (layer.mouse_drag_callbacks, self._flip_with_shift),
            (layer.mouse_drag_callbacks, self._on_press),
            (layer.mouse_move_callbacks, self._on_move),
        ):
            callbacks.insert(0, callback)
            connections.on_close(partial(callbacks.remove, callback))
        return layer

    def _make_boxes(self) -> Shapes:
        layer = Shapes(
            ndim=self._image.ndim,
            name='Boxes',
            face_color='transparent',
            edge_color=BOX_COLOUR,
            edge_width=max(1.0, max(image_shape(self._image)[-2:]) / 300),
            **spatial_keywords(self._image),
        )
        self._adopt(layer)
        return layer

    def _adopt(self, layer: Any) -> Connections:
        self._viewer.add_layer(layer)
        connections = Connections()
        connections.connect(layer.events.data, self._on_data)
        self._keys.bind(layer)
        connections.on_close(partial(self._keys.release, layer))
        self._connections[layer.unique_id] = connections
        return connections

    # -- what happens in them

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Write prompts of our own without hearing of it."""
        before, self._writing = self._writing, True
        try:
            yield
        finally:
            self._writing = before

    def _on_data(self, event: Any) -> None:
        # Present-tense actions come first, and during a drag: the past tense alone counts.
        if not self._writing and event.action in _DONE:
            self._on_change()

    def _on_features(self, _event: Any = None) -> None:
        # Comes with every step of a drag, too: only what features say is looked at, not places.
        # Also called on redrawing: napari tells in no other way of points that were pasted.
        if not self._writing and self._polarities() != self._known:
            self._on_change()

    def _polarities(self) -> tuple[str, ...]:
        return () if self.points is None else tuple(map(str, self.points.features[POLARITY]))

    def _on_feature_defaults(self, _event: Any = None) -> None:
        if self.points is None:
            return
        defaults = self.points.feature_defaults[POLARITY]
        if not isinstance(defaults.dtype, pd.CategoricalDtype):
            # Selecting a point, and adding one selects it, makes text of the default. The next
            # point would make text of the whole column, with colours in order of appearance.
            self.points.feature_defaults = pd.DataFrame(
                {POLARITY: _polarity_column((str(defaults.iloc[0]),))}
            )
            return  # which comes here again
        self._on_polarity()

    def _on_move(self, layer: Any, event: Any) -> None:
        if layer.mode == 'add':
            self._on_mouse(event.position)

    def _on_press(self, _layer: Any, _event: Any) -> None:
        self._on_mouse(None)

    def _flip_with_shift(self, layer: Any, event: Any) -> Iterator[None]:
        """With Shift held, a click makes a point of the other polarity."""
        if layer.mode != 'add' or 'Shift' not in event.modifiers:
            return
        before = self.polarity
        self.polarity = NEGATIVE if before == POSITIVE else POSITIVE
        yield
        while event.type == 'mouse_move':
            yield
        # The mode's own callback adds the point after this one: put it back when that is done.
        QTimer.singleShot(0, partial(self._put_back, before))

    def _put_back(self, polarity: str) -> None:
        if self.points is not None:  # it may be gone by now, and is not made anew for this
            self.polarity = polarity

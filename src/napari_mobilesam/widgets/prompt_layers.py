"""The two layers that the user points in, made by us, removed by us."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Points, Shapes
from napari.layers.base import ActionType

from napari_mobilesam.engine import embed_points
from napari_mobilesam.engine.strokes import unmade
from napari_mobilesam.layers import (
    AREAS,
    NEGATIVE,
    POLARITY,
    POSITIVE,
    STROKES,
    copy_transform,
    image_shape,
    plane_key,
    plane_position,
    points_on_plane,
    prompts_on_plane,
    shapes_on_plane,
    spatial_keywords,
)

from .connections import Connections
from .prompt_gestures import Gestures
from .prompt_state import PromptState

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


# Tools that draw in the shapes layer, by napari's names of its modes.
SHAPE_MODES = {
    'boxes': 'add_rectangle',
    'ellipse': 'add_ellipse',
    'polygon': 'add_polygon',
    'lasso': 'add_polygon_lasso',
    'scribble': 'add_path',
}
_SHAPE_TOOLS = {mode: tool for tool, mode in SHAPE_MODES.items()}

# What the polarity of an area says: nothing, as it encloses the object.
AREA = 'area'
_POLARITIES = (POSITIVE, NEGATIVE)
_MARKS = (POSITIVE, NEGATIVE, AREA)


def _features(values: tuple[str, ...], categories: tuple[str, ...]) -> pd.DataFrame:
    # Categorical, so that colours do not depend on which polarity happens to be clicked first.
    return pd.DataFrame({POLARITY: pd.Categorical(list(values), categories=list(categories))})


class PromptLayers:
    """A points layer and a shapes layer (boxes, regions, strokes) over one image.

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
    on_pick
        Called when a label is clicked with the tool for that.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        on_change: Callable[[], object],
        keys: LayerKeys,
        on_polarity: Callable[[], object],
        on_mouse: Callable[[Any], object],
        on_pick: Callable[[], object],
    ) -> None:
        self._viewer = viewer
        self._image = image
        self._on_change = on_change
        self._keys = keys
        self._on_polarity = on_polarity
        self._gestures = Gestures(self, on_mouse, on_pick)
        self._connections: dict[str, Connections] = {}
        self._writing = False
        self._known: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._polarity = POSITIVE
        self._picking = False
        self.drawing = False
        self._band: int | None = None
        self.points: Points | None = None
        self.shapes: Shapes | None = None
        self.ensure()

    # -- life

    def ensure(self) -> None:
        """Make the layers that are not there."""
        with self.selection_kept():
            if self.shapes is None:
                self.shapes = self._make_shapes()
            if self.points is None:
                self.points = self._make_points()

    def forget(self, layer: Any) -> bool:
        """Let go of a layer that the user removed; say whether it was one of ours."""
        if layer is self.points and layer is not None:
            self.points = None
        elif layer is self.shapes and layer is not None:
            self.shapes = None
        else:
            return False
        self._connections.pop(layer.unique_id).close()
        return True

    def close(self) -> None:
        """Remove both layers."""
        for layer in (self.points, self.shapes):
            if layer is not None:
                self.forget(layer)
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)

    def follow_image(self) -> None:
        """Go where the image went."""
        for layer in (self.points, self.shapes):
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
        return tuple(layer for layer in (self.points, self.shapes) if layer is not None)

    # -- tools

    @property
    def tool(self) -> str | None:
        """The tool in use, by the active layer and its mode; None with a layer of the user's.

        `'points'`, `'select'`, `'label'` to pick labels, or one of `SHAPE_MODES`.
        """
        active = self._viewer.layers.selection.active
        if active is None or active not in self.layers:
            return None
        mode = str(active.mode)
        if mode in ('select', 'direct'):
            return 'select'
        if self._picking and active is self.points and mode == 'pan_zoom':
            return 'label'
        return 'points' if active is self.points else _SHAPE_TOOLS.get(mode, 'boxes')

    def use(self, tool: str) -> None:
        """Make the layer of a tool the active one, ready to draw."""
        self.ensure()
        if self.points is None or self.shapes is None:
            return
        selection = self._viewer.layers.selection
        self._picking = tool == 'label'
        if tool == 'select':
            # In the layer that is active, else in the one that holds something.
            if selection.active not in self.layers:
                selection.active = self.points if len(self.points.data) else self.shapes
            selection.active.mode = 'select'
        elif tool == 'points':
            selection.active = self.points
            self.points.mode = 'add'
        elif tool == 'label':
            # The mode in which napari does nothing with a click.
            selection.active = self.points
            self.points.mode = 'pan_zoom'
            self.points.cursor = 'pointing'
        else:
            selection.active = self.shapes
            self.shapes.mode = SHAPE_MODES[tool]
            self._mark_next()

    def rest(self) -> None:
        """Draw nothing for now: in 3D, or where there is no plane."""
        for layer in (self.points, self.shapes):
            if layer is not None:
                layer.mode = 'pan_zoom'

    @property
    def polarity(self) -> str:
        """The polarity of the next point or stroke."""
        return self._polarity

    @polarity.setter
    def polarity(self, polarity: str) -> None:
        self.ensure()
        if polarity == self._polarity or self.points is None:
            return
        self._polarity = polarity
        self.points.feature_defaults = {POLARITY: [polarity]}
        self._mark_next()
        self._on_polarity()

    def _mark_next(self) -> None:
        """Colour the next shape as what it will be."""
        if self.shapes is not None:
            mark = self._polarity if str(self.shapes.mode) == 'add_path' else AREA
            self.shapes.feature_defaults = _features((mark,), _MARKS)

    def finish_drawing(self) -> bool:
        """End a polygon that is being drawn; say whether there was one."""
        if not self.drawing or self.shapes is None:
            return False
        mode = self.shapes.mode
        self.shapes.mode = 'pan_zoom'  # napari finishes what it draws when the mode changes
        self.shapes.mode = mode
        self.drawing = False
        return True

    def flip_selected(self) -> bool:
        """Exchange positive and negative of the selected points and strokes; say if any."""
        flipped = False
        for layer in self.layers:
            marks = [str(mark) for mark in layer.features[POLARITY]]
            chosen = [n for n in layer.selected_data if marks[n] in _POLARITIES]
            if isinstance(layer, Shapes):
                chosen = [n for n in chosen if str(layer.shape_type[n]) in STROKES]
            for number in chosen:
                marks[number] = NEGATIVE if marks[number] == POSITIVE else POSITIVE
            if chosen:
                flipped = True
                self._set_marks(layer, tuple(marks))
        if flipped:
            self._on_change()
        return flipped

    def _set_marks(self, layer: Any, marks: tuple[str, ...]) -> None:
        with self._quietly():
            layer.features = _features(marks, _POLARITIES if layer is self.points else _MARKS)
            layer.refresh_colors()

    # -- prompts

    def prompts(self, key: PlaneKey) -> Prompts:
        """Read the prompts of one plane; of several boxes the last one counts."""
        return prompts_on_plane(self.points, self.shapes, self._image, key)

    @property
    def number(self) -> tuple[int, int]:
        """How many points and shapes there are, on all planes."""
        return (
            0 if self.points is None else len(self.points.data),
            0 if self.shapes is None else len(self.shapes.data),
        )

    def keep_last_area(self, key: PlaneKey) -> None:
        """Remove all boxes and regions of a plane but the last: a new one replaces the old."""
        if self.shapes is None or self.drawing or len(self.shapes.data) < 2:
            return
        here = shapes_on_plane(self.shapes, self._image, key)
        areas = [number for number in here if str(self.shapes.shape_type[number]) in AREAS]
        self._remove(self.shapes, areas[:-1])

    def clear(self, key: PlaneKey) -> None:
        """Remove the prompts of one plane."""
        self.finish_drawing()
        if self.points is not None and len(self.points.data):
            self._remove(self.points, points_on_plane(self.points, self._image, key))
        if self.shapes is not None and len(self.shapes.data):
            self._remove(self.shapes, shapes_on_plane(self.shapes, self._image, key))

    def _remove(self, layer: Any, numbers: Any) -> None:
        if len(numbers):
            with self._quietly():
                # Not by way of the selection, with which napari takes 6 ms more.
                layer.remove([int(number) for number in numbers])

    def put(self, key: PlaneKey, prompts: Prompts) -> None:
        """Place these prompts on a plane, as they were drawn, instead of those that are there."""
        self.ensure()
        if self.points is None or self.shapes is None:
            return
        self.clear(key)
        before = self.polarity
        clicked, shapes = unmade(prompts)
        with self._quietly():
            self.points.selected_data = set()
            for place, positive in clicked:
                self.polarity = POSITIVE if positive else NEGATIVE
                self.points.add(self._from_plane(self.points, key, [place])[0])
            self.points.selected_data = set()
            for shape in shapes:
                sign = POSITIVE if shape.positive else NEGATIVE
                mark = sign if shape.kind in STROKES else AREA
                self.add_shape(embed_points(shape.vertices, key), shape.kind, mark)
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
        points, shapes = self.points, self.shapes
        self._known = self._polarities()
        return PromptState(
            points=np.empty((0, self._image.ndim))
            if points is None
            else np.array(points.data, dtype=float),
            polarity=self._known[0],
            shapes=()
            if shapes is None
            else tuple(np.array(shape, dtype=float) for shape in shapes.data),
            kinds=() if shapes is None else tuple(map(str, shapes.shape_type)),
            marks=self._known[1],
        )

    def restore(self, state: PromptState) -> None:
        """Put all prompts back to what they were."""
        self.ensure()
        if self.points is None or self.shapes is None:
            return
        self.finish_drawing()
        with self._quietly():
            self.points.selected_data = set()
            self.points.data = state.points
            self._set_marks(self.points, state.polarity)
            self.shapes.selected_data = set()
            # Empty first: napari compares old and new numbers of shapes on assignment.
            self.shapes.data = []
            if state.shapes:
                self.shapes.add(list(state.shapes), shape_type=list(state.kinds))
                self._set_marks(self.shapes, state.marks)

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

    def show_band(self, corners: tuple[Any, Any] | None) -> None:
        """Draw the box between two world positions that is being dragged, or take it away."""
        if self.shapes is None:
            return
        if self._band is not None:
            self._remove(self.shapes, [self._band])
            self._band = None
        if corners is not None:
            with self._quietly():
                self.add_shape(self._rectangle(*corners), 'rectangle')
            self._band = len(self.shapes.data) - 1

    def add_box(self, start: Any, stop: Any) -> None:
        """Add the box between two world positions, along rows and columns of the image."""
        self.add_shape(self._rectangle(start, stop), 'rectangle')

    def _rectangle(self, start: Any, stop: Any) -> NDArray[np.float64]:
        key = plane_key(self._image, self._viewer.dims)
        (row0, column0), (row1, column1) = (
            plane_position(self._image, key, world) for world in (start, stop)
        )
        corners = ((row0, column0), (row0, column1), (row1, column1), (row1, column0))
        return embed_points(corners, key)

    def add_shape(self, vertices: Any, kind: str = 'polygon', mark: str = AREA) -> None:
        """Add a shape, (N, ndim) data coordinates of the image, as drawing it would.

        Parameters
        ----------
        vertices
            Its vertices.
        kind
            napari's name of its type.
        mark
            The polarity of a stroke; `AREA` for a box or region.
        """
        self.ensure()
        if self.shapes is None:
            return
        worlds = [self._image.data_to_world(position) for position in vertices]
        self.shapes.feature_defaults = _features((mark,), _MARKS)
        places = np.array([self.shapes.world_to_data(world) for world in worlds], dtype=float)
        self.shapes.add([places], shape_type=kind)
        self._mark_next()

    # -- making layers

    def _make_points(self) -> Points:
        largest = max(image_shape(self._image)[-2:])
        layer = Points(
            np.empty((0, self._image.ndim)),
            ndim=self._image.ndim,
            name='Prompts',
            features=_features((), _POLARITIES),
            feature_defaults={POLARITY: [self._polarity]},
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
        connections.on_close(self._gestures.listen(layer))
        return layer

    def _make_shapes(self) -> Shapes:
        layer = Shapes(
            ndim=self._image.ndim,
            name='Boxes and strokes',
            features=_features((), _MARKS),
            feature_defaults=_features((AREA,), _MARKS),
            face_color='transparent',
            edge_color=POLARITY,
            edge_color_cycle=[POSITIVE_COLOUR, NEGATIVE_COLOUR, BOX_COLOUR],
            edge_width=max(1.0, max(image_shape(self._image)[-2:]) / 300),
            **spatial_keywords(self._image),
        )
        connections = self._adopt(layer)
        connections.connect(layer.events.mode, self._on_shape_mode)
        connections.on_close(self._gestures.listen(layer))
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
        if event.source is self.shapes:
            # A polygon is being drawn from its first to its last click.
            self.drawing = event.action == ActionType.ADDING and not self._writing
        # Present-tense actions come first, and during a drag: the past tense alone counts.
        if not self._writing and event.action in _DONE:
            self._on_change()

    def _on_shape_mode(self, _event: Any = None) -> None:
        # Also chosen with napari's own buttons.
        self._mark_next()
        self._on_polarity()

    def _on_features(self, _event: Any = None) -> None:
        # Comes with every step of a drag, too: only what features say is looked at, not places.
        # Also called on redrawing: napari tells in no other way of points that were pasted.
        if not self._writing and self._polarities()[0] != self._known[0]:
            self._on_change()

    def _polarities(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        points, shapes = (
            () if layer is None else tuple(map(str, layer.features[POLARITY]))
            for layer in (self.points, self.shapes)
        )
        return points, shapes

    def _on_feature_defaults(self, _event: Any = None) -> None:
        if self.points is None:
            return
        defaults = self.points.feature_defaults[POLARITY]
        if not isinstance(defaults.dtype, pd.CategoricalDtype):
            # Selecting a point, and adding one selects it, makes text of the default. The next
            # point would make text of the whole column, with colours in order of appearance.
            self.points.feature_defaults = _features((str(defaults.iloc[0]),), _POLARITIES)
            return  # which comes here again
        polarity = str(defaults.iloc[0])
        if polarity != self._polarity:
            self._polarity = polarity
            self._on_polarity()

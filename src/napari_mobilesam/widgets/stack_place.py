"""Which stack the user is in: the slider that was moved last, and the planes along it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine.stacks import PlaneSeries
from napari_mobilesam.layers import (
    NotAnnotatable,
    add_tracks,
    go_to_slice,
    label_slices,
    slice_distance,
    slider_axes,
    track_grid,
)

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer, Tracks

    from napari_mobilesam.engine import PlaneKey, PlaneSource
    from napari_mobilesam.engine.stacks.slicing import LabelSlices
    from napari_mobilesam.engine.stacks.tracking import Tracking
    from napari_mobilesam.exchange.track_graph import TrackGrid


class StackPlace(QObject):
    """The planes along one slider of the image, and where the user is among them.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    parent
        Qt parent.

    Signals
    -------
    changed
        Another stack, or none: another image, slider, picture, or place on the other sliders.
    moved (int)
        The user is on another slice.
    """

    changed = Signal()
    moved = Signal(int)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image: Image | None = None
        self._key: PlaneKey | None = None
        self.axes: list[tuple[int, str, int]] = []
        self.axis: int | None = None
        self.series: PlaneSeries | None = None
        self.problem = ''
        self.position = 0

    def set_image(self, image: Image | None) -> None:
        """Go to another image, or to none."""
        self._image, self._key = image, None
        self.axes, self.axis = [], None
        self._set(None)

    def enter(self, source: PlaneSource) -> None:
        """Follow the user to a plane."""
        if self._image is None:
            return
        before, self._key = self._key, source.key
        self.axes = slider_axes(self._image, source.key)
        axis = self._slider(before, source.key)
        if axis is None:
            self.axis = None
            self._set(None)
            return
        if axis == self.axis and self.series is not None:
            position = self.series.place_of(source)
            if position is not None:
                self._move(position)
                return
        self.axis = axis
        self._begin(source)

    def choose(self, axis: int, source: PlaneSource | None) -> None:
        """Go along another slider."""
        if axis != self.axis and source is not None:
            self.axis = axis
            self._begin(source)

    def go_to(self, position: int) -> None:
        """Show another slice, in 2D."""
        if self._image is not None and self._key is not None and self.axis is not None:
            go_to_slice(self._viewer, self._image, self._key, self.axis, position)

    def slices(self, labels: Labels, *, writable: bool = True) -> LabelSlices:
        """Return the slices of labels that lie on these planes, to be written to or only read.

        Raises
        ------
        NotAnnotatable
            If there are none; says why.
        """
        if self._image is None or self._key is None or self.axis is None:
            raise NotAnnotatable('There is no stack here: open an image with a slider.')
        # The plane that the stack was entered by: in a 3D view there is none.
        return label_slices(
            labels, self._image, self._key, self.axis, self._viewer.dims, writable=writable
        )

    def shows(self, layer: Layer) -> bool:
        """Whether a layer is in the viewer still."""
        return layer in self._viewer.layers

    @property
    def key(self) -> PlaneKey | None:
        """The plane that the user saw last, also while the viewer shows a volume."""
        return self._key

    @property
    def depth(self) -> float:
        """How far apart two slices are, in the unit of the planes' spacing."""
        if self._image is None or self.axis is None:
            return 1.0
        return slice_distance(self._image, self.axis)

    @property
    def through_time(self) -> bool:
        """Whether the slider is one of time, as far as its name says that."""
        names = {number: name for number, name, _ in self.axes}
        return self.axis is not None and names.get(self.axis, '').lower() in ('t', 'time', 'frame')

    def track_grid(self) -> TrackGrid | None:
        """Say on what tracks along the slider lie."""
        if self._image is None or self._key is None or self.axis is None:
            return None
        return track_grid(self._image, self._key, self.axis)

    def show_tracks(self, tracking: Tracking) -> Tracks | None:
        """Add a layer of tracks, and return it; None where napari has none that lie so."""
        if self._image is None or self._key is None or self.axis is None:
            return None
        selection = self._viewer.layers.selection
        active = selection.active
        layer = add_tracks(self._viewer, self._image, self._key, self.axis, tracking)
        selection.active = active  # the annotator's keys go by it
        return layer

    def _slider(self, before: PlaneKey | None, now: PlaneKey) -> int | None:
        """Return the axis that was moved along last, or else the longest."""
        lengths = {axis: count for axis, _, count in self.axes}
        if before is not None and before.displayed == now.displayed:
            places = zip(now.indexed, before.index, now.index, strict=True)
            moved = [axis for axis, old, new in places if old != new and axis in lengths]
            if len(moved) == 1:
                return moved[0]
        if self.axis in lengths:
            return self.axis
        return max(lengths, key=lambda axis: (lengths[axis], axis), default=None)

    def _begin(self, source: PlaneSource) -> None:
        assert self.axis is not None
        try:
            series = PlaneSeries(source, self.axis)
        except ValueError as reason:
            self._set(None, str(reason))
            return
        self._set(series)
        self._move(series.position)

    def _set(self, series: PlaneSeries | None, problem: str = '') -> None:
        self.series, self.problem = series, problem
        self.changed.emit()

    def _move(self, position: int) -> None:
        self.position = position
        self.moved.emit(position)

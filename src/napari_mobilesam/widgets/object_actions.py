"""What can be done to objects that are in the labels: each of it is one step of undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_mobilesam.engine import (
    LabelOverflowError,
    PlaneKey,
    PromptedPlane,
    Prompts,
    SegmentedObject,
    Session,
    Step,
    plan_merge,
    plan_records,
    plan_removal,
    plan_split,
)
from napari_mobilesam.engine.regions import Region, intersection, slices
from napari_mobilesam.layers import NotAnnotatable, go_to, plane_key

from .splitting import Parts, divide

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_mobilesam.layers import LabelsPlane

    from .bridge import WorkerBridge
    from .committing import Committer
    from .inference import Inference
    from .model import ModelKeeper
    from .prompt_layers import PromptLayers


@dataclass(frozen=True, slots=True, eq=False)
class _Here:
    """An object on the plane on display."""

    record: SegmentedObject
    key: PlaneKey
    place: LabelsPlane
    layer: Labels
    region: Region

    def mask(self) -> Any:
        """Read it: its bounding box on this plane."""
        return np.asarray(self.layer.data[slices(self.region)]) == self.record.label


class ObjectActions(QObject):
    """Remove, merge, split and reopen objects, and note things about them.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    bridge
        For what takes long.
    model
        Asked how an object is to be split.
    committer
        Writes to the labels.
    inference
        Knows the plane on display.
    parent
        Qt parent.
    """

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        model: ModelKeeper,
        committer: Committer,
        inference: Inference,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._bridge = bridge
        self._model = model
        self._committer = committer
        self._inference = inference
        self._image: Image | None = None
        self._prompts: PromptLayers | None = None
        self._splitting = False

    def enter(self, image: Image, prompts: PromptLayers) -> None:
        """Work on the objects of an image."""
        self._image, self._prompts = image, prompts

    def leave(self) -> None:
        """Let go of the image."""
        self._bridge.cancel('edit')
        self._splitting = False
        self._image = self._prompts = None

    # -- looking

    def go_to(self, label: int) -> None:
        """Show an object: sliders and camera go there."""
        record, layer = self._record(label), self._committer.labels
        if record is not None and layer is not None:
            go_to(self._viewer, layer, record)

    # -- changing

    def remove(self, labels: Iterable[int]) -> bool:
        """Delete objects from the labels."""
        return self._do(lambda session, data: plan_removal(session, data, tuple(labels)))

    def merge(self, labels: Sequence[int]) -> bool:
        """Make one object of several; the first one's id stays."""
        return self._do(lambda session, data: plan_merge(session, data, labels))

    def set_class(self, labels: Iterable[int], class_id: int) -> bool:
        """Give objects a class; 0 for none."""
        return self._note(labels, f'class {class_id}', class_id=class_id)

    def set_flag(self, labels: Iterable[int], name: str, value: bool) -> bool:
        """Note that objects are `'unclear'` or `'reviewed'`, or not."""
        return self._note(labels, name, **{name: value})

    def reopen(self, label: int) -> None:
        """Put the prompts of an object back, so that the next commit changes it in place.

        Objects that were painted by hand get a box and a point.
        """
        record, layer = self._record(label), self._committer.labels
        if record is None or layer is None or self._image is None or self._prompts is None:
            return
        prompted = self._prompted_here(record)
        if prompted is not None:
            self._go_to_plane(prompted.plane)
        else:
            go_to(self._viewer, layer, record)
        try:
            here = self._here(record)
            if prompted is None:
                prompted = PromptedPlane(here.key, _prompts_for(here))
        except ValueError as reason:  # NotAnnotatable among them
            self._committer.tell(str(reason))
            return
        self._committer.reopen(None)
        self._prompts.put(prompted.plane, prompted.prompts)
        self._committer.reopen(record)
        self._prompts.use('points')
        self._committer.status_changed.emit(
            f'Object {label} is open: change its prompts, then commit. '
            'Without prompts it stays as it is.',
            'ready',
        )

    # -- splitting

    def split(self, label: int) -> None:
        """Split an object between the positive points on it, on the plane on display."""
        record = self._record(label)
        if record is None or self._prompts is None:
            return
        try:
            here = self._here(record)
        except ValueError as reason:
            self._committer.tell(str(reason))
            return
        prompts = self._prompts.prompts(here.key)
        points = [
            point
            for point, positive in zip(prompts.points, prompts.positive, strict=True)
            if positive and self._label_at(here.place, point) == label
        ]
        if len(points) < 2:
            self._committer.tell(
                f'Place a positive point on each part of object {label} first; '
                f'{len(points)} so far.'
            )
            return
        self._split(here, points, lambda: None)

    def split_by_click(self, prompts: Prompts, otherwise: Callable[[], object]) -> bool:
        """Split off what a single negative point is on, if that is in an object.

        Parameters
        ----------
        prompts
            All that there are on the plane on display.
        otherwise
            Called where nothing comes of it.

        Returns
        -------
        bool
            Whether it is being tried: the prompts are to be left alone until then.
        """
        source, target = self._inference.source, self._committer.target
        if self._splitting:
            return True
        if source is None or self._prompts is None:
            return False
        # A first click: not a point that is left, or that was here before.
        clicked = self._committer.recorded == (self._prompts.number[0] - 1, self._prompts.number[1])
        alone = prompts.positive == (False,) and prompts.box is None and prompts.mask is None
        if not (clicked and alone) or self._committer.reopened is not None:
            return False
        if target is None or target.layer is None:
            return False
        try:
            record = self._record(self._label_at(target.place(source.key), prompts.points[0]))
            if record is None:
                return False
            here = self._here(record)
        except ValueError:
            return False
        self._split(here, [prompts.points[0]], otherwise)
        return True

    def _split(
        self, here: _Here, points: list[tuple[float, float]], otherwise: Callable[[], object]
    ) -> None:
        source = self._inference.source
        annotator = None if source is None else self._model.annotator
        self._splitting = True
        work = partial(divide, annotator, source, here.mask(), here.place, here.region, points)
        self._bridge.submit(
            'edit',
            work,
            partial(self._on_parts, here, otherwise),
            partial(self._on_split_failed, otherwise),
        )

    def _on_parts(self, here: _Here, otherwise: Callable[[], object], parts: Parts) -> None:
        self._splitting = False
        prompted = tuple((PromptedPlane(here.key, prompts),) for prompts in parts.prompts)
        start = [first for first, _ in here.region]
        done = self._do(
            lambda session, data: plan_split(
                session, data, here.record.label, start, parts.numbers, prompted
            ),
            clear_plane=True,
        )
        if not done:
            otherwise()

    def _on_split_failed(self, otherwise: Callable[[], object], error: BaseException) -> None:
        self._splitting = False
        self._committer.tell(f'That could not be split: {error}')
        otherwise()

    # -- inner

    def _record(self, label: int) -> SegmentedObject | None:
        session = self._committer.session
        return None if session is None else session.get(label)

    def _do(self, plan: Callable[[Session, Any], Step], *, clear_plane: bool = False) -> bool:
        session, layer = self._committer.session, self._committer.labels
        if session is None or layer is None:
            return False
        if self._committer.target is not None and not self._committer.target.ready:
            self._committer.tell('The labels are being read: try again in a moment.')
            return False
        try:
            step = plan(session, layer.data)
        except (KeyError, ValueError, LabelOverflowError) as reason:
            self._committer.tell(str(reason.args[0] if reason.args else reason))
            return False
        if not self._committer.perform(step, clear_plane=clear_plane):
            return False
        self._committer.status_changed.emit(f'Done: {step.title}. Ctrl+Z takes it back.', 'ready')
        return True

    def _note(self, labels: Iterable[int], title: str, **values: Any) -> bool:
        session = self._committer.session
        if session is None:
            return False
        records = [replace(r, **values) for r in map(session.get, labels) if r is not None]
        step = plan_records(session, records, title)
        return step is not None and self._committer.perform(step)

    def _here(self, record: SegmentedObject) -> _Here:
        """Find an object on the plane on display."""
        target = self._committer.target
        if target is None or target.layer is None or self._image is None:
            raise NotAnnotatable('There are no labels.')
        key = plane_key(self._image, self._viewer.dims)
        place = target.place(key)
        region = intersection(record.bounds, place.region) if record.bounds else None
        if region is None:
            raise NotAnnotatable(f'Object {record.label} is not on this plane.')
        return _Here(record, key, place, target.layer, region)

    def _label_at(self, place: LabelsPlane, point: tuple[float, float]) -> int:
        layer, pixel = self._committer.labels, place.pixel(*point)
        return 0 if layer is None or pixel is None else int(np.asarray(layer.data[pixel]))

    def _prompted_here(self, record: SegmentedObject) -> PromptedPlane | None:
        """Return the prompts that can be shown again: on the plane on display, or the first."""
        if self._image is None:
            return None
        missing = self._viewer.dims.ndim - self._image.ndim
        shown = tuple(int(axis) - missing for axis in self._viewer.dims.displayed)
        usable = [
            part
            for part in record.prompted
            if part.plane.source == str(self._image.unique_id)
            and part.plane.displayed == shown
            and part.prompts
        ]
        source = self._inference.source
        here = [part for part in usable if source is not None and part.plane == source.key]
        return next(iter((*here, *usable)), None)

    def _go_to_plane(self, key: PlaneKey) -> None:
        dims, image = self._viewer.dims, self._image
        if image is None:
            return
        position = np.zeros(image.ndim)
        for axis, place in zip(key.indexed, key.index, strict=True):
            position[axis] = place
        world = image.data_to_world(position)
        missing = dims.ndim - image.ndim
        for axis in key.indexed:
            dims.set_point(axis + missing, world[axis])


def _prompts_for(here: _Here) -> Prompts:
    """Make prompts for an object that has none: a box round it and a point deep inside."""
    from scipy import ndimage

    mask = here.mask()
    axes = here.place.axes
    flat = mask.any(axis=tuple(axis for axis in range(mask.ndim) if axis not in axes))
    if axes[0] > axes[1]:
        flat = flat.T
    if not flat.any():
        raise NotAnnotatable(f'Object {here.record.label} is not on this plane.')
    # A deep place, not the deepest: on the GUI thread a few thousand pixels are enough.
    step = max(1, max(flat.shape) // 128)
    coarse = flat[::step, ::step] if flat[::step, ::step].any() else flat
    step = 1 if coarse is flat else step
    depth = ndimage.distance_transform_edt(np.pad(coarse, 1))[1:-1, 1:-1]
    deepest = step * np.array(np.unravel_index(int(depth.argmax()), depth.shape))
    corner = [
        here.region[axis][0] - offset for axis, offset in zip(axes, here.place.offset, strict=True)
    ]
    rows, columns = (np.flatnonzero(flat.any(axis=axis)) for axis in (1, 0))
    box = (
        float(corner[0] + rows[0]),
        float(corner[1] + columns[0]),
        float(corner[0] + rows[-1]),
        float(corner[1] + columns[-1]),
    )
    point = (float(corner[0] + deepest[0]), float(corner[1] + deepest[1]))
    return Prompts((point,), (True,), box)

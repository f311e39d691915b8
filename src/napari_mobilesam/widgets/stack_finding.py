"""Find everything: a slice, some, or all of them; thresholds are applied again without decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import SegmentedObject
from napari_mobilesam.engine.stacks.detectors import Detector, detector
from napari_mobilesam.engine.stacks.linking import Linked, LinkOptions, SliceObject, link
from napari_mobilesam.engine.stacks.patch import MaskPatch
from napari_mobilesam.engine.stacks.tracking import Tracking, TrackOptions, track
from napari_mobilesam.engine.stacks.volume import VolumeSegmentation, VolumeStep
from napari_mobilesam.engine.stacks.writing import NewObjects, plan_slices, write_linked
from napari_mobilesam.exchange.tracks import write_tracks
from napari_mobilesam.layers import NotAnnotatable

from .stack_task import StackTask

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_mobilesam.engine import Annotator, CancelToken
    from napari_mobilesam.engine.stacks import PlaneSeries

    from .bridge import WorkerBridge
    from .committing import Committer
    from .model import ModelKeeper
    from .stack_place import StackPlace


@dataclass(slots=True, eq=False)
class _Search:
    """What was looked for, where, and what was found so far."""

    planes: PlaneSeries
    annotator: Annotator
    what: str
    segmentation: VolumeSegmentation
    found: dict[int, tuple[SliceObject, ...]] = field(default_factory=dict)


class StackFinding(StackTask):
    """Segments slices on the worker, and shows what the thresholds let pass until it is committed.

    Parameters
    ----------
    bridge, model, committer, place
        The worker, the model, the labels, the stack.
    parent
        Qt parent.

    Signals
    -------
    linked (int)
        So many objects pass the thresholds; negative where nothing was looked for.
    tracked (Step, Tracks)
        Objects were written, and a layer of their tracks was added.
    """

    linked = Signal(int)
    tracked = Signal(object, object)

    def __init__(
        self,
        bridge: WorkerBridge,
        model: ModelKeeper,
        committer: Committer,
        place: StackPlace,
        parent: QObject | None = None,
    ) -> None:
        super().__init__('find', bridge, model, committer, place, parent)
        self._options = LinkOptions()
        self._time: TrackOptions | None = None
        self._tracking: Tracking | None = None
        self._search: _Search | None = None
        self._slices: tuple[int, ...] = ()
        self._objects: list[Linked] = []
        self._masks: dict[int, list[MaskPatch]] | None = None

    @property
    def objects(self) -> Sequence[Linked]:
        """What passes the thresholds."""
        return tuple(self._objects)

    def masks(self, position: int) -> Sequence[MaskPatch]:
        """Return what passes the thresholds on a slice, linked or not yet; the best last."""
        if self._masks is not None:
            return self._masks.get(position, ())
        if self._search is None or position not in self._slices:
            return ()
        options = self._options
        return [
            one.patch
            for one in reversed(self._search.found.get(position, ()))
            if one.score >= options.min_score and one.patch.area >= options.min_area
        ]

    def forget(self) -> None:
        """Begin anew: another stack."""
        self.work.abandon()
        self._bridge.cancel('link')
        self._search = None
        self._show_nothing()

    def discard(self) -> None:
        """Show nothing of it any more; looking again takes no decoding."""
        self.work.abandon()
        self._bridge.cancel('link')
        self._show_nothing()

    def start(self, slices: Sequence[int], what: str) -> None:
        """Look for objects on slices, in this order; those that were done are not done again.

        Parameters
        ----------
        slices
            Which.
        what
            As of `detectors.detector`.
        """
        try:
            series, annotator = self._means()
        except NotAnnotatable as reason:
            self.status_changed.emit(str(reason), 'warning')
            return
        search = self._search
        if search is None or (search.planes, search.annotator, search.what) != (
            series,
            annotator,
            what,
        ):
            detect: Detector = detector(what, annotator)
            search = _Search(series, annotator, what, VolumeSegmentation(series, detect))
            self._search = search
        self._show_nothing()
        self._slices = tuple(slices)
        segmentation = search.segmentation

        def steps(cancel: CancelToken) -> Iterator[VolumeStep]:
            return segmentation.run(self._slices, cancel)

        self.status_changed.emit('Looking for objects…', 'busy')
        self.work.start(steps)

    def set_options(self, options: LinkOptions, time: TrackOptions | None = None) -> None:
        """Apply other thresholds to what was found; with `time` it becomes tracks."""
        if (options, time) != (self._options, self._time):
            self._options, self._time = options, time
            if self._slices and not self.work.running:
                self._link()
            elif self._slices:
                self.linked.emit(0)

    def save_tracks(self, path: Path) -> None:
        """Write the tracks that were found, in the format that the name asks for."""
        tracking, grid = self._tracking, self._place.track_grid()
        if tracking is None or grid is None:
            self.status_changed.emit('There are no tracks yet: find objects first.', 'warning')
            return
        self.status_changed.emit(f'Writing {len(tracking.tracks)} tracks…', 'busy')
        self._bridge.submit(
            'tracks',
            lambda _cancel: write_tracks(tracking, path, grid, overwrite=True),
            lambda _none: self.status_changed.emit(f'The tracks are in {path}.', 'ready'),
            self._on_error,
        )

    def commit(self) -> None:
        """Put what passes the thresholds into the labels, where nothing is yet, as one step."""
        session, target = self._committer.session, self._committer.target
        if not self._objects or session is None or target is None:
            return
        if not target.ready:
            self.status_changed.emit('The labels are being read: try again in a moment.', 'busy')
            return
        try:
            layer = target.ensure()
            slices = self._place.slices(layer)
        except NotAnnotatable as reason:
            self.status_changed.emit(str(reason), 'warning')
            return
        objects, first = list(self._objects), session.maximum + 1
        self.status_changed.emit(f'Writing {len(objects)} objects…', 'busy')
        self._bridge.submit(
            'link',
            lambda _cancel: write_linked(slices, objects, first),
            partial(self._on_written, layer, first),
            self._on_error,
        )

    # -- answers, in the GUI thread

    def _on_step(self, step: VolumeStep) -> None:
        if self._search is not None:
            self._search.found[step.index] = step.objects
            self.found.emit(step)

    def _on_ended(self, complete: bool) -> None:
        if self._search is None:
            return
        # What an earlier run has done is not told again.
        self._search.found.update(self._search.segmentation.found)
        if not complete:
            done = [index for index in self._slices if index in self._search.found]
            self._slices = tuple(done)
        self._link()

    def _link(self) -> None:
        if self._search is None:
            return
        wanted = {i: self._search.found[i] for i in self._slices if i in self._search.found}
        options, time = self._options, self._time
        self._bridge.submit(
            'link', lambda _cancel: _linked(wanted, options, time), self._on_linked, self._on_error
        )

    def _on_linked(self, found: _Found) -> None:
        self._objects, self._masks, self._tracking = found.objects, found.masks, found.tracking
        count, what = len(self._objects), 'objects'
        if found.tracking is not None:
            what = f'tracks, {len(set(found.tracking.parents.values()))} divisions'
        self.status_changed.emit(
            f'Found {count} {what}: choose thresholds, then put them into the labels.', 'ready'
        )
        self.linked.emit(count)

    def _on_written(self, layer: Labels, first: int, found: NewObjects) -> None:
        committer = self._committer
        session, target, data = committer.session, committer.target, layer.data
        if session is None or target is None or committer.labels is not layer:
            self._on_failed('the labels changed meanwhile')
            return
        if session.maximum + 1 != first or not all(edit.is_reverted(data) for edit in found.edits):
            self.commit()  # something was committed or painted there just now: plan again
            return
        search = self._search
        mapping = None if search is None else search.planes[0].mapping
        digest = '' if search is None else search.annotator.segmenter.digest
        records = {
            label: SegmentedObject(
                score=score, class_id=committer.class_id, model_digest=digest, mapping=mapping
            )
            for label, score in found.scores.items()
        }
        title = f'find {len(records)} objects'
        step = plan_slices(
            session,
            found.edits,
            title,
            records=records,
            bounds=found.bounds,
            complete=target.book.complete,
        )
        if step is None:
            self.status_changed.emit('All of these pixels belong to other objects.', 'warning')
        elif committer.perform(step):
            tracking, layer_of_tracks = self._tracking, None
            if tracking is not None:
                layer_of_tracks = self._place.show_tracks(tracking.renumbered(first))
            if layer_of_tracks is not None:
                self.tracked.emit(step, layer_of_tracks)
            self._show_nothing()
            beside = '' if layer_of_tracks is None else ' Their tracks are a layer of their own.'
            self.status_changed.emit(
                f'{len(records)} objects are in the labels. Ctrl+Z takes them back.{beside}',
                'ready',
            )

    def _on_failed(self, why: str) -> None:
        self.status_changed.emit(f'Looking for objects failed: {why}', 'warning')
        self._link()

    def _on_error(self, error: BaseException) -> None:
        self.status_changed.emit(f'That failed: {error}', 'warning')

    def _show_nothing(self) -> None:
        self._slices, self._objects, self._masks, self._tracking = (), [], None, None
        self.linked.emit(-1)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What passes the thresholds, by object and by slice; through time as tracks, too."""

    objects: list[Linked]
    masks: dict[int, list[MaskPatch]]
    tracking: Tracking | None


def _linked(
    found: dict[int, tuple[SliceObject, ...]], options: LinkOptions, time: TrackOptions | None
) -> _Found:
    tracking = None
    if time is None:
        objects = link(found, options)
    else:
        large = {
            index: [one for one in present if one.patch.area >= options.min_area]
            for index, present in found.items()
        }
        tracking = track(large, time)
        objects = tracking.linked()
    masks: dict[int, list[MaskPatch]] = {}
    for one in sorted(objects, key=lambda one: one.score):
        for index, patch in one.masks().items():
            masks.setdefault(index, []).append(patch)
    return _Found(objects, masks, tracking)

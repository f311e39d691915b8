"""Cut, delete and fill: edits of objects along a slider, each of them one step of undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import LabelEdit, SegmentedObject
from napari_mobilesam.engine.regions import Region
from napari_mobilesam.engine.stacks.slicing import (
    LabelSlices,
    delete_on,
    ends_around,
    fill_between,
)
from napari_mobilesam.engine.stacks.writing import bounds_after, excluding, plan_slices

if TYPE_CHECKING:
    from napari.layers import Labels

    from .bridge import WorkerBridge
    from .committing import Committer
    from .stack_following import StackFollowing
    from .stack_place import StackPlace

_Edit = Callable[[LabelSlices, SegmentedObject, int], list[LabelEdit]]


@dataclass(slots=True, eq=False)
class _Planned:
    edits: list[LabelEdit] = field(default_factory=list)
    bounds: dict[int, Region] = field(default_factory=dict)


class StackEdits(QObject):
    """What can be done to objects on the slices around the one on display.

    Parameters
    ----------
    bridge, committer, place, following
        The worker, the labels, the stack, and who follows objects.
    parent
        Qt parent.

    Signals
    -------
    status_changed (str, str)
        One line for the user, and its kind.
    """

    status_changed = Signal(str, str)

    def __init__(
        self,
        bridge: WorkerBridge,
        committer: Committer,
        place: StackPlace,
        following: StackFollowing,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._committer = committer
        self._place = place
        self._following = following
        self._busy = False

    def forget(self) -> None:
        """Let nothing arrive any more."""
        self._bridge.cancel('slices')
        self._busy = False

    def cut_above(self, labels: Sequence[int]) -> None:
        """Delete objects on all slices after the one on display."""
        self._do(labels, 'cut above', _above, 1)

    def cut_below(self, labels: Sequence[int]) -> None:
        """Delete objects on all slices before the one on display."""
        self._do(labels, 'cut below', _below, -1)

    def delete(self, labels: Sequence[int]) -> None:
        """Delete objects on the slice on display."""
        self._do(labels, 'delete on a slice', _here)

    def fill(self, labels: Sequence[int]) -> None:
        """Interpolate objects between the nearest slices on both sides that have them."""
        self._do(labels, 'fill between slices', _between)

    def _do(self, labels: Sequence[int], title: str, edit: _Edit, end: int = 0) -> None:
        session, layer = self._committer.session, self._committer.labels
        records = [] if session is None else [r for r in map(session.get, labels) if r is not None]
        if not records or layer is None:
            self.status_changed.emit('Select objects in the table first.', 'warning')
            return
        if self._busy or self._following.running:
            self.status_changed.emit('Wait until what is under way is written.', 'warning')
            return
        try:
            slices = self._place.slices(layer)
        except ValueError as reason:  # NotAnnotatable among them
            self.status_changed.emit(str(reason), 'warning')
            return
        position = self._place.position

        def work(_cancel: object) -> _Planned:
            planned = _Planned()
            for record in records:
                # What two objects would fill goes to the first one.
                found = (excluding(one, planned.edits) for one in edit(slices, record, position))
                edits = [one for one in found if one is not None]
                place = bounds_after(slices, record.label, record.bounds, edits)
                planned.edits += edits
                if place is not None:
                    planned.bounds[record.label] = place
            return planned

        self._busy = True
        done = partial(self._on_planned, layer, title, position, end, [r.label for r in records])
        self._bridge.submit('slices', work, done, self._on_error)

    def _on_planned(
        self,
        layer: Labels,
        title: str,
        position: int,
        end: int,
        labels: Sequence[int],
        planned: _Planned,
    ) -> None:
        self._busy = False
        session, target, data = self._committer.session, self._committer.target, layer.data
        if session is None or target is None or self._committer.labels is not layer:
            return
        if not all(edit.is_reverted(data) for edit in planned.edits):
            self.status_changed.emit('The labels changed just now: do it again.', 'warning')
            return
        step = plan_slices(
            session, planned.edits, title, bounds=planned.bounds, complete=target.book.complete
        )
        if step is None:
            self.status_changed.emit('Nothing to change there.', 'ready')
        elif self._committer.perform(step):
            if end:
                for label in labels:
                    self._following.cut(label, [position + end])
            self.status_changed.emit(f'Done: {title}. Ctrl+Z takes it back.', 'ready')

    def _on_error(self, error: BaseException) -> None:
        self._busy = False
        self.status_changed.emit(str(error), 'warning')


def _above(slices: LabelSlices, record: SegmentedObject, position: int) -> list[LabelEdit]:
    span = slices.span(record.bounds)
    return delete_on(slices, record.label, range(max(position + 1, span.start), span.stop))


def _below(slices: LabelSlices, record: SegmentedObject, position: int) -> list[LabelEdit]:
    span = slices.span(record.bounds)
    return delete_on(slices, record.label, range(span.start, min(position, span.stop)))


def _here(slices: LabelSlices, record: SegmentedObject, position: int) -> list[LabelEdit]:
    return delete_on(slices, record.label, [position])


def _between(slices: LabelSlices, record: SegmentedObject, position: int) -> list[LabelEdit]:
    before, after = ends_around(slices, record.label, position, slices.span(record.bounds))
    return fill_between(slices, record.label, before, after)

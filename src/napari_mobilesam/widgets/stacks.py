"""Stacks: what the annotator does along a slider, whichever axis that is of.

One place that knows the stack the user is in, what is embedded of it, and the works that go on:
embedding ahead, following objects, finding all of them, refining labels, edits along the slider.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_mobilesam.engine.drawing import draw_labels
from napari_mobilesam.engine.stacks.patch import MaskPatch, union_box
from napari_mobilesam.engine.stacks.precompute import (
    PrecomputePlan,
    PrecomputeProgress,
    precompute,
)
from napari_mobilesam.layers import prompted_slices

from .stack_edits import StackEdits
from .stack_finding import StackFinding
from .stack_following import StackFollowing
from .stack_place import StackPlace
from .stack_refining import StackRefining
from .stack_task import StackTask
from .stack_work import StackWork
from .track_layers import TrackLayers

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_mobilesam.engine import PlaneSource, Session

    from .bridge import WorkerBridge
    from .committing import Committer
    from .hovering import Hover
    from .inference import Inference
    from .model import ModelKeeper
    from .preview_layer import Previews
    from .prompt_layers import PromptLayers


class Stacks(QObject):
    """The stack on display, and the works on it.

    Parameters
    ----------
    viewer, bridge, model, inference, committer, hover
        As of the controller.
    parent
        Qt parent.

    Attributes
    ----------
    place
        Which slider, and where on it.
    ahead
        Embedding all slices.
    following, finding, refining, edits
        Objects followed, everything found, labels refined, objects cut and filled.

    Signals
    -------
    status_changed (str, str)
        One line for the user, and its kind.
    slices_changed
        Other slices are embedded, prompted or accepted.
    """

    status_changed = Signal(str, str)
    slices_changed = Signal()

    def __init__(
        self,
        viewer: Any,
        bridge: WorkerBridge,
        model: ModelKeeper,
        inference: Inference,
        committer: Committer,
        hover: Hover,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._inference = inference
        self._committer = committer
        self._image: Image | None = None
        self._prompts: PromptLayers | None = None
        self._previews: Previews | None = None
        self._source: PlaneSource | None = None
        self._annotator: object = None
        self._plan: PrecomputePlan | None = None
        self._last_made = 0
        self._session: Session | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self.embedded: set[int] = set()
        self.place = StackPlace(viewer, self)
        self.ahead = StackWork(bridge, 'precompute', self)
        self.following = StackFollowing(bridge, model, committer, self.place, self)
        self.finding = StackFinding(bridge, model, committer, self.place, self)
        self._track_layers = TrackLayers(viewer, committer, self)
        self.finding.tracked.connect(self._track_layers.keep)
        self.refining = StackRefining(bridge, model, committer, self.place, self)
        self.edits = StackEdits(bridge, committer, self.place, self.following, self)
        # Once for all that happens at one time.
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.timeout.connect(self.slices_changed)

        self.place.changed.connect(self._on_stack)
        self.place.moved.connect(self._on_moved)
        self.ahead.stepped.connect(self._on_ahead)
        self.ahead.ended.connect(self._on_ahead_ended)
        self.ahead.failed.connect(
            lambda why: self.status_changed.emit(f'Embedding failed: {why}', 'warning')
        )
        self._tasks: tuple[StackTask, ...] = (self.following, self.finding, self.refining)
        for part in (*self._tasks, self.edits):
            part.status_changed.connect(self.status_changed)
        for task in self._tasks:
            task.found.connect(self._on_found)
        self.following.changed.connect(self._draw)
        self.refining.changed.connect(self._draw)
        self.finding.linked.connect(lambda _count: self._draw())
        inference.embedded.connect(self._on_embedded)
        inference.candidate_changed.connect(lambda _shown: self._on_predicting())
        hover.changed.connect(lambda *_: self.ahead.hold())
        committer.labels_changed.connect(self._follow_session)
        committer.committed.connect(self._on_committed)
        model.changed.connect(self._on_model)

    # -- life

    def enter(self, image: Image, prompts: PromptLayers, previews: Previews) -> None:
        """Go to an image."""
        self._prompts, self._previews, self._image = prompts, previews, image
        self.place.set_image(image)

    def leave(self) -> None:
        """Let go of it; what goes on ends."""
        self._image = self._prompts = self._previews = self._source = None
        self._last_made = 0
        self.place.set_image(None)
        self.edits.forget()
        self._unsubscribe()
        self._session = None
        self._look.stop()

    def close(self) -> None:
        """Let go of the image and the model."""
        self.leave()
        self._annotator = None

    def show_source(self, source: PlaneSource | None) -> None:
        """Follow the user to a plane; None where there is none."""
        self._source = source
        if source is not None:
            self.place.enter(source)

    # -- what there is

    @property
    def prompted(self) -> set[int]:
        """Slices with prompts."""
        key, axis = self.place.key, self.place.axis
        if self._prompts is None or self._image is None or key is None or axis is None:
            return set()
        return prompted_slices(self._prompts.layers, self._image, key, axis)

    @property
    def accepted(self) -> dict[int, int]:
        """How many objects of the labels lie on each slice that has some."""
        session, labels = self._committer.session, self._committer.labels
        if session is None or labels is None or self.place.series is None:
            return {}
        try:
            slices = self.place.slices(labels, writable=False)
        except ValueError:  # other pixels than the image's, or another view
            return {}
        changes = np.zeros(len(slices) + 1, np.int64)
        for record in session.objects:
            span = slices.span(record.bounds) if record.bounds else range(0)
            if len(span) and slices.meets(record.bounds):
                changes[span.start] += 1
                changes[span.stop] -= 1
        counts = np.cumsum(changes[:-1])
        return {int(index): int(counts[index]) for index in np.flatnonzero(counts)}

    def objects(self, which: str, selected: Sequence[int]) -> list[int]:
        """Return the ids of objects: ``'chosen'``, ``'slice'`` or ``'all'``.

        Chosen are those selected in the table; without any the one that was committed last.
        """
        session, labels = self._committer.session, self._committer.labels
        if session is None or labels is None:
            return []
        if which == 'chosen':
            last = [self._last_made] if session.get(self._last_made) is not None else []
            return list(selected) or last
        if which == 'all':
            return [record.label for record in session.objects]
        try:
            slices = self.place.slices(labels, writable=False)
        except ValueError:
            return []
        here = self.place.position
        return [
            record.label
            for record in session.objects
            if record.bounds and here in slices.span(record.bounds) and slices.meets(record.bounds)
        ]

    # -- actions

    def embed_all(self) -> None:
        """Embed all slices in the background, from the one on display outwards."""
        series, annotator = self.place.series, self._model.annotator
        if series is None or annotator is None:
            self.status_changed.emit('There is no stack or no model yet.', 'warning')
            return
        plan = self._plan = PrecomputePlan(len(series), self.place.position)
        self.ahead.start(lambda cancel: precompute(annotator, series, plan, cancel))

    def propagate(
        self,
        which: str,
        selected: Sequence[int],
        direction: str,
        mode: Any = 'agreement',
        views: bool = False,
    ) -> None:
        """Follow objects through the stack; a candidate on display is committed first."""
        if which == 'chosen' and self._inference.candidate is not None:
            before = self._records()
            self._committer.commit()
            # What was committed is told when it is safely written, which may be later.
            selected = [
                label for label, made in self._records().items() if before.get(label) is not made
            ]
            if not selected:
                return  # the user was told, or asked
        self.following.start(self.objects(which, selected), direction, mode, views)

    def find(self, slices: Sequence[int] | None, what: str) -> None:
        """Find all objects on slices, by default all of them, the nearest first."""
        self.finding.start(self._nearest_first(slices), what)

    def refine(
        self, labels: Labels | None, slices: Sequence[int] | None, mode: Any, min_score: float
    ) -> None:
        """Refine labels on slices, by default all of them, the nearest first."""
        self.refining.start(labels, self._nearest_first(slices), mode, min_score)

    # -- inner

    def _follow_session(self) -> None:
        """Hear of all that changes in the labels, strokes of the user's own included."""
        session = self._committer.session
        if session is not self._session:
            self._unsubscribe()
            self._session = session
            if session is not None:
                self._unsubscribe = session.subscribe(lambda _labels: self._look.start())
        self._look.start()

    def _nearest_first(self, slices: Sequence[int] | None) -> list[int]:
        series, here = self.place.series, self.place.position
        wanted = range(0 if series is None else len(series)) if slices is None else slices
        return sorted(wanted, key=lambda index: abs(index - here))

    def _on_stack(self) -> None:
        for task in self._tasks:
            task.forget()
        self.ahead.abandon()
        self._plan = None
        self.embedded = set()
        self._look.start()

    def _on_moved(self, position: int) -> None:
        if self._plan is not None:
            self._plan.focus(position)
        self._draw()
        self._look.start()

    def _on_model(self) -> None:
        if self._model.annotator is not self._annotator:
            self._annotator = self._model.annotator
            self.ahead.stop()
            self.embedded = set()
            self._look.start()

    def _on_embedded(self) -> None:
        self.embedded.add(self.place.position)
        self._look.start()

    def _records(self) -> dict[int, Any]:
        session = self._committer.session
        return {} if session is None else {record.label: record for record in session.objects}

    def _on_committed(self, record: Any) -> None:
        self._last_made = record.label

    def _on_predicting(self) -> None:
        self.ahead.hold()
        self._look.start()

    def _on_ahead(self, step: PrecomputeProgress) -> None:
        self.embedded.add(step.index)
        self._look.start()

    def _on_ahead_ended(self, complete: bool) -> None:
        plan, self._plan = self._plan, None
        if plan is not None and complete and plan.remaining:
            self.status_changed.emit(
                f'Embedded {plan.count - plan.remaining} of {plan.count} slices, which fills the '
                'memory: allow embeddings on disk in the preferences for all.',
                'warning',
            )
        elif plan is not None and complete:
            self.status_changed.emit('All slices are embedded: a click costs no wait now.', 'ready')

    def _on_found(self, step: Any) -> None:
        self.embedded.add(step.index)
        self._look.start()
        if step.index == self.place.position:
            self._draw()

    def _draw(self) -> None:
        """Draw what was found on the slice on display and is not in the labels yet."""
        source = self._source
        if self._previews is None:
            return
        if source is None or self.place.series is None:
            self._previews.show_stack(None, None)
            return
        here = self.place.position
        patches: list[MaskPatch] = [
            *self.finding.masks(here),
            *self.refining.masks(here),
            *(mask.patch for mask in self.following.masks(here).values()),
        ]
        patches = [patch for patch in (p.clipped(source.shape) for p in patches) if patch]
        if not patches:
            self._previews.show_stack(None, None)
            return
        rows, columns = union_box(patches)
        labels = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.int32)
        for number, patch in enumerate(patches, 1):
            place = (
                slice(patch.row - rows.start, patch.row - rows.start + patch.height),
                slice(patch.column - columns.start, patch.column - columns.start + patch.width),
            )
            labels[place][patch.mask] = number
        corner = (rows.start, columns.start)
        self._previews.show_stack(source, draw_labels(labels, corner, source.shape))

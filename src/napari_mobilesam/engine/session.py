"""Sessions: the objects in one labels array, their classes, and the history of all changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from .classes import Classes
from .commit import next_label
from .history import History, Step
from .objects import SegmentedObject

Listener = Callable[[tuple[int, ...] | None], object]
"""Told the ids whose records changed; None stands for all of them, and the classes."""


class Recorder(Protocol):
    """Takes down what happens to a session, in its order: a journal, or a snapshot."""

    def done(self, step: Step) -> Any:
        """Take down a step that was done."""

    def undone(self, step: Step) -> Any:
        """Take down that a step was taken back."""

    def redone(self, step: Step) -> Any:
        """Take down that a step was done again."""

    def classes(self, classes: Classes) -> Any:
        """Take down the classes that there are from now on."""

    def known(self, records: Iterable[SegmentedObject], gone: Iterable[int] = ()) -> Any:
        """Take down records of objects that are in the labels already, and ids that are not."""

    def lost(self) -> Any:
        """Take down that pixels changed, and nobody knows which: what follows needs a new base."""


class Session:
    """Records of objects, kept in step with the edits of the labels.

    It writes no pixel: a `Step` is planned (see `planning`), its edits are written by whoever
    owns the array, and it is pushed here. Undoing goes the same way.

    Parameters
    ----------
    maximum : int
        The largest id that the labels contain already.
    """

    def __init__(self, maximum: int = 0) -> None:
        self._objects: dict[int, SegmentedObject] = {}
        self._maximum = max(int(maximum), 0)
        self._classes = Classes()
        self._listeners: list[Listener] = []
        self._recorders: list[Recorder] = []
        self.history = History()

    # -- records

    @property
    def objects(self) -> tuple[SegmentedObject, ...]:
        """All objects, by ascending id."""
        return tuple(self._objects[label] for label in sorted(self._objects))

    @property
    def maximum(self) -> int:
        """The largest id used so far; it does not go down when an object is removed."""
        return self._maximum

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[SegmentedObject]:
        return iter(self.objects)

    def __contains__(self, label: object) -> bool:
        return label in self._objects

    def get(self, label: int) -> SegmentedObject | None:
        """Return the record of an id, or None."""
        return self._objects.get(label)

    def next_label(self, dtype: DTypeLike = np.int32) -> int:
        """Return the id for the next object.

        Raises
        ------
        LabelOverflowError
            If labels of `dtype` cannot hold it.
        """
        return next_label(self._maximum, dtype)

    def observe(self, maximum: int) -> None:
        """Take note that the labels contain ids up to `maximum`, for example painted by hand."""
        self._maximum = max(self._maximum, int(maximum))

    def learn(self, records: Iterable[SegmentedObject]) -> None:
        """Take in records of objects that are in the labels already; no step, no undo.

        Raises
        ------
        ValueError
            If an id is not positive.
        """
        records = tuple(records)
        for record in records:
            if record.label < 1:
                raise ValueError(f'ids of objects start at 1; got {record.label}')
        for record in records:
            self._objects[record.label] = record
            self.observe(record.label)
        self._tell(tuple(record.label for record in records))
        for recorder in tuple(self._recorders):
            recorder.known(records)

    def forget(self, labels: Iterable[int]) -> None:
        """Drop records of objects that are not in the labels after all; no step, no undo."""
        gone = tuple(label for label in labels if self._objects.pop(label, None) is not None)
        self._tell(gone)
        for recorder in tuple(self._recorders):
            recorder.known((), gone)

    def match(
        self, found: Mapping[int, SegmentedObject], known: Iterable[SegmentedObject] = ()
    ) -> None:
        """Bring the records in step with what the labels were found to contain; no undo.

        What is known about an object stays, except for its area and bounds.

        Parameters
        ----------
        found : mapping of int to SegmentedObject
            By id; of these records only area and bounds are used where another is known.
        known : iterable of SegmentedObject
            The records from before it was looked: those that were not found go, unless they
            changed in between.
        """
        gone = []
        for record in known:
            if self._objects.get(record.label) is not record:
                continue
            seen = found.get(record.label)
            if seen is None:
                del self._objects[record.label]
                gone.append(record.label)
            else:
                self._objects[record.label] = replace(record, area=seen.area, bounds=seen.bounds)
        for label, seen in found.items():
            self._objects.setdefault(label, seen)
        self.observe(max(found, default=0))
        self._tell(None)
        for recorder in tuple(self._recorders):
            recorder.known([self._objects[n] for n in found if n in self._objects], gone)

    # -- classes

    @property
    def classes(self) -> Classes:
        """The classes that objects can have."""
        return self._classes

    @classes.setter
    def classes(self, classes: Classes) -> None:
        self._classes = classes
        self._tell(None)
        for recorder in tuple(self._recorders):
            recorder.classes(classes)

    # -- steps

    def push(self, step: Step) -> None:
        """Record a step whose pixels were written."""
        self.history.push(step)
        self._move(step, forward=True)
        for recorder in tuple(self._recorders):
            recorder.done(step)

    def step_back(self, step: Step) -> None:
        """Take the records of a step back; its pixels were."""
        self.history.step_back(step)
        self._move(step, forward=False)
        for recorder in tuple(self._recorders):
            recorder.undone(step)

    def step_forward(self, step: Step) -> None:
        """Repeat the records of a step; its pixels were written again."""
        self.history.step_forward(step)
        self._move(step, forward=True)
        for recorder in tuple(self._recorders):
            recorder.redone(step)

    def lose_track(self) -> None:
        """Take note that pixels changed, and nobody knows which."""
        for recorder in tuple(self._recorders):
            recorder.lost()

    # -- listening

    def record_with(self, recorder: Recorder) -> Callable[[], None]:
        """Tell `recorder` of everything that happens from now on; returns what ends that."""
        self._recorders.append(recorder)

        def stop() -> None:
            if recorder in self._recorders:
                self._recorders.remove(recorder)

        return stop

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every change; returns what ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    # -- inner

    def _move(self, step: Step, *, forward: bool) -> None:
        for change in step.changes:
            record = change.after if forward else change.before
            if record is None:
                self._objects.pop(change.label, None)
            else:
                self._objects[change.label] = record
        if forward:
            self._maximum = max(self._maximum, step.maximum_after)
        elif self._maximum == step.maximum_after:
            # Its ids become free again, unless others were taken note of meanwhile.
            self._maximum = step.maximum_before
        if step.changes:
            self._tell(tuple(change.label for change in step.changes))

    def _tell(self, labels: tuple[int, ...] | None) -> None:
        for listener in tuple(self._listeners):
            listener(labels)

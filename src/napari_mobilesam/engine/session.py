"""Sessions: the objects committed so far, with undo and redo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from .commit import next_label
from .plane import PlaneKey
from .prompts import Prompts


@dataclass(frozen=True, slots=True)
class SegmentedObject:
    """A committed candidate.

    Parameters
    ----------
    label : int
        Its id in the labels.
    plane : PlaneKey
        Where it was made.
    prompts : Prompts
        What it was made from.
    score : float
        The decoder's estimate of the mask's quality.
    model_digest : str
        The model that made it.
    """

    label: int
    plane: PlaneKey
    prompts: Prompts
    score: float
    model_digest: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a session's history.

    Parameters
    ----------
    label : int
        The id concerned.
    before, after : SegmentedObject, optional
        Its record on either side; None where there is none.
    maximum_before, maximum_after : int
        The largest id used so far, on either side.
    """

    label: int
    before: SegmentedObject | None
    after: SegmentedObject | None
    maximum_before: int
    maximum_after: int


class Session:
    """Records of the committed objects, kept in step with the edits of the labels.

    Every `add` and `remove` is one step for `undo` and `redo`; call these when the
    matching edit of the labels is undone or redone.

    Parameters
    ----------
    maximum : int
        The largest id that the labels contain already.
    """

    def __init__(self, maximum: int = 0) -> None:
        self._objects: dict[int, SegmentedObject] = {}
        self._maximum = max(int(maximum), 0)
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def objects(self) -> tuple[SegmentedObject, ...]:
        """All objects, by ascending id."""
        return tuple(self._objects[label] for label in sorted(self._objects))

    @property
    def maximum(self) -> int:
        """The largest id used so far; it does not go down when an object is removed."""
        return self._maximum

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to repeat."""
        return bool(self._undone)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[SegmentedObject]:
        return iter(self.objects)

    def __contains__(self, label: object) -> bool:
        return label in self._objects

    def get(self, label: int) -> SegmentedObject | None:
        """Return the record of an id, or None: ids painted by hand have none."""
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

    def add(self, record: SegmentedObject) -> Change:
        """Record a committed object; one with an id that is there replaces its record.

        Raises
        ------
        ValueError
            If its id is not positive.
        """
        if record.label < 1:
            raise ValueError(f'ids of objects start at 1; got {record.label}')
        maximum = max(self._maximum, record.label)
        return self._commit(record.label, record, maximum)

    def remove(self, label: int) -> Change:
        """Forget an object that was deleted from the labels. Its id is not used again.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        if label not in self._objects:
            raise KeyError(f'no object has the id {label}')
        return self._commit(label, None, self._maximum)

    def undo(self) -> Change | None:
        """Take the last step back and return it; ``change.after`` holds the prompts to show again.

        Returns
        -------
        Change or None
            None if there is nothing to undo.
        """
        if not self._done:
            return None
        change = self._done.pop()
        self._undone.append(change)
        self._place(change.label, change.before)
        # The id becomes free again, unless others were taken note of meanwhile.
        if self._maximum == change.maximum_after:
            self._maximum = change.maximum_before
        return change

    def redo(self) -> Change | None:
        """Repeat the step undone last and return it; None if there is none."""
        if not self._undone:
            return None
        change = self._undone.pop()
        self._done.append(change)
        self._place(change.label, change.after)
        self._maximum = max(self._maximum, change.maximum_after)
        return change

    def _commit(self, label: int, after: SegmentedObject | None, maximum: int) -> Change:
        change = Change(label, self._objects.get(label), after, self._maximum, maximum)
        self._done.append(change)
        self._undone.clear()
        self._place(label, after)
        self._maximum = maximum
        return change

    def _place(self, label: int, record: SegmentedObject | None) -> None:
        if record is None:
            self._objects.pop(label, None)
        else:
            self._objects[label] = record

"""History: the steps that were done and those that were undone, whatever they changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .edits import LabelEdit
from .objects import SegmentedObject


@dataclass(frozen=True, slots=True)
class RecordChange:
    """Another record for an id.

    Parameters
    ----------
    label : int
        The id.
    before, after : SegmentedObject, optional
        Its record on either side; None where there is none.
    """

    label: int
    before: SegmentedObject | None
    after: SegmentedObject | None


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing that was done, undone and redone as a whole.

    Parameters
    ----------
    title : str
        What it was, as the user would say it: ``'commit'``.
    edits : tuple of LabelEdit
        Pixels, in the order in which they were written.
    changes : tuple of RecordChange
        Records; each id at most once.
    maximum_before, maximum_after : int
        The largest id in use, on either side.
    prompts_before, prompts_after : object
        The prompts on either side, in whatever form their owner keeps them; None where the step
        does not concern prompts.
    """

    title: str
    edits: tuple[LabelEdit, ...] = ()
    changes: tuple[RecordChange, ...] = ()
    maximum_before: int = 0
    maximum_after: int = 0
    prompts_before: Any = None
    prompts_after: Any = None

    @property
    def n_pixels(self) -> int:
        """How many pixels it writes."""
        return sum(edit.n_pixels for edit in self.edits)

    @property
    def nbytes(self) -> int:
        """What its pixels hold in memory."""
        return sum(edit.nbytes for edit in self.edits)

    def of_image(self, source: str) -> Step:
        """Return the step with its records in an image of another name (`PlaneKey.source`)."""
        changes = tuple(
            replace(
                change,
                before=None if change.before is None else change.before.of_image(source),
                after=None if change.after is None else change.after.of_image(source),
            )
            for change in self.changes
        )
        return replace(self, changes=changes)

    def inverse(self) -> Step:
        """Return the step that takes this one back."""
        return Step(
            f'undo {self.title}',
            tuple(edit.inverse() for edit in reversed(self.edits)),
            tuple(RecordChange(c.label, c.after, c.before) for c in self.changes),
            self.maximum_after,
            self.maximum_before,
        )

    def is_applied(self, labels: Any) -> bool:
        """Whether its pixels were written, and nobody wrote over them since."""
        return bool(self.edits) and self.edits[-1].is_applied(labels)

    def is_reverted(self, labels: Any) -> bool:
        """Whether its pixels hold what was there before."""
        return bool(self.edits) and self.edits[0].is_reverted(labels)

    def apply(self, labels: Any) -> None:
        """Write its pixels; those that do not hold the old values any more are left alone."""
        for edit in self.edits:
            edit.apply(labels)

    def revert(self, labels: Any) -> None:
        """Write back what was there before; pixels that others changed since are left alone."""
        for edit in reversed(self.edits):
            edit.inverse().apply(labels)


class History:
    """The order of steps.

    Steps that write pixels have a second history, that of whoever owns the array (napari's Labels
    layer has its own undo). Both go through the same order, so either can be asked to go back; a
    step that ours forgot, because something else was done after undoing it, can still be redone
    there: such ones are kept as `lapsed`.

    Parameters
    ----------
    limit : int
        How many steps are kept.
    max_bytes : int
        How much memory their pixels may take; the newest is kept in any case.
    """

    def __init__(self, limit: int = 1000, max_bytes: int = 256 * 2**20) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self._lapsed: list[Step] = []

    @property
    def last(self) -> Step | None:
        """The step that undo would take back."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Step | None:
        """The step that redo would repeat."""
        return self._undone[-1] if self._undone else None

    @property
    def last_written(self) -> Step | None:
        """The last step with pixels among those done."""
        return next((step for step in reversed(self._done) if step.edits), None)

    @property
    def next_written(self) -> Step | None:
        """The first step with pixels that the array's own history could redo."""
        steps = (*self._lapsed, *self._undone)
        return next((step for step in reversed(steps) if step.edits), None)

    @property
    def undone(self) -> tuple[Step, ...]:
        """The steps that can be done again, the next one last."""
        return tuple(self._undone)

    @property
    def done(self) -> tuple[Step, ...]:
        """The steps that can be taken back, oldest first."""
        return tuple(self._done)

    def __len__(self) -> int:
        return len(self._done)

    def is_done(self, step: Step) -> bool:
        """Whether a step is on the side that can be undone."""
        return step in self._done

    def knows(self, step: Step) -> bool:
        """Whether a step can still be undone or redone, by either history."""
        return any(step in steps for steps in (self._done, self._undone, self._lapsed))

    def push(self, step: Step) -> None:
        """Record a step; what had been undone cannot be redone any more."""
        if step.edits:
            self._lapsed.clear()
        else:
            self._lapsed += [undone for undone in self._undone if undone.edits]
        self._undone.clear()
        self._done.append(step)
        del self._done[: -self._limit]
        while len(self._done) > 1 and sum(kept.nbytes for kept in self._done) > self._max_bytes:
            del self._done[0]

    def step_back(self, step: Step) -> None:
        """Move a step, the last or one in the middle, to those that can be redone."""
        self._done.remove(step)
        self._undone.append(step)

    def step_forward(self, step: Step) -> None:
        """Move an undone step, or one that lapsed, to those that can be undone."""
        (self._undone if step in self._undone else self._lapsed).remove(step)
        self._done.append(step)

    def drop_prompts(self) -> None:
        """Forget the steps that changed nothing but prompts."""
        for steps in (self._done, self._undone):
            steps[:] = [step for step in steps if step.edits or step.changes]

    def clear(self) -> None:
        """Forget everything."""
        for steps in (self._done, self._undone, self._lapsed):
            steps.clear()

"""Undo and redo of what this widget did, in the order in which it was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .labels_target import Commit
    from .prompt_layers import PromptState

LIMIT = 100


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing done: the prompts before and after, and the object it put into the labels."""

    before: PromptState
    after: PromptState
    commit: Commit | None = None


class Timeline:
    """Two stacks of steps. Who undoes a step applies it; this only keeps the order."""

    def __init__(self) -> None:
        self._done: list[Step] = []
        self._undone: list[Step] = []

    def push(self, step: Step) -> None:
        """Record a step; what had been undone cannot be redone any more."""
        self._done.append(step)
        del self._done[:-LIMIT]
        self._undone.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()

    @property
    def last(self) -> Step | None:
        """The step that undo would take back."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Step | None:
        """The step that redo would repeat."""
        return self._undone[-1] if self._undone else None

    def step_back(self, step: Step) -> None:
        """Move a step, the last or one in the middle, to those that can be redone."""
        self._done.remove(step)
        self._undone.append(step)

    def step_forward(self, step: Step) -> None:
        """Move a step back to those that can be undone."""
        self._undone.remove(step)
        self._done.append(step)

    def drop(self, step: Step) -> None:
        """Forget a step that can neither be undone nor redone any more."""
        for steps in (self._done, self._undone):
            if step in steps:
                steps.remove(step)

    def find(self, commit: Commit) -> Step | None:
        """Return the step of a commit, where it is known."""
        return next((s for s in (*self._done, *self._undone) if s.commit is commit), None)

    def is_done(self, step: Step) -> bool:
        """Whether a step is on the side that can be undone."""
        return step in self._done

"""A long annotation that is the same each time, for tests that kill or repeat it.

Run as a program it annotates with a journal, and says on its output which lines are safe.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from napari_mobilesam.engine import (
    IntensityMapping,
    OverlapRule,
    PlacedMask,
    PlaneKey,
    PromptedPlane,
    Prompts,
    SegmentedObject,
    Session,
    plan_commit,
    plan_merge,
    plan_removal,
)
from napari_mobilesam.exchange.identity import identify
from napari_mobilesam.exchange.journal import Journal

SHAPE = (3, 64, 96)
IMAGE = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)


class Annotating:
    """Do one thing after the other to labels: commit, remove, merge, reclassify, undo, redo."""

    def __init__(self, seed: int, journal: Journal | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.labels = np.zeros(SHAPE, np.int32)
        self.session = Session()
        self.journal = journal
        self.number = 0

    def act(self) -> int:
        """Do the next thing; gives the number of its line in the journal."""
        history = self.session.history
        choice = self.rng.random()
        if choice < 0.15 and history.last is not None:
            step = history.last
            step.revert(self.labels)
            self.session.step_back(step)
            return self._count(self.journal and self.journal.undone(step))
        if choice < 0.25 and history.next is not None:
            step = history.next
            step.apply(self.labels)
            self.session.step_forward(step)
            return self._count(self.journal and self.journal.redone(step))
        if choice < 0.3:
            self.session.classes = self.session.classes.added()
            return self._count(self.journal and self.journal.classes(self.session.classes))
        ids = [record.label for record in self.session]
        if choice < 0.4 and len(ids) > 2:
            step = plan_removal(self.session, self.labels, [int(self.rng.choice(ids))])
        elif choice < 0.5 and len(ids) > 3:
            pair = self.rng.choice(ids, 2, replace=False)
            step = plan_merge(self.session, self.labels, [int(i) for i in pair])
        else:
            step = self._commit()
        step.apply(self.labels)
        self.session.push(step)
        return self._count(self.journal and self.journal.done(step))

    def _commit(self):
        while True:
            z, row, column = (int(self.rng.integers(n)) for n in SHAPE)
            rows, columns = np.indices(SHAPE[1:])
            radius = self.rng.uniform(3, 14)
            mask = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
            mask &= self.rng.random(mask.shape) < 0.97  # holes and ragged edges
            plane = PlaneKey('', (1, 2), (z,))
            prompts = Prompts(((row + 0.25, column - 0.125),), (True,), (0, 0, row, column))
            record = SegmentedObject(
                prompted=(PromptedPlane(plane, prompts),),
                score=float(np.float32(self.rng.random())),
                model_digest='ab' * 32,
                class_id=int(self.rng.integers(3)),
                mapping=IntensityMapping(gamma=0.5),
            )
            rule = OverlapRule.REPLACE if self.rng.random() < 0.5 else OverlapRule.KEEP
            placed = [PlacedMask((z, 0, 0), mask[None], record)]
            step = plan_commit(self.session, self.labels, placed, rule)
            if step.edits:
                return step

    def _count(self, number: int | None) -> int:
        self.number += 1
        assert number in (None, self.number), 'one line for each thing'
        return self.number


def state(session: Session) -> tuple[object, ...]:
    """Return what two sessions have to agree about."""
    return session.objects, session.classes, session.maximum, len(session.history)


def main(path: str, seed: int) -> None:
    identity = identify(IMAGE, 'zyx', (1, 1, 1))
    with Journal(Path(path), identity, SHAPE, np.int32) as journal:
        annotating = Annotating(seed, journal)
        sys.stdin.readline()  # until the test says go
        while True:
            number = annotating.act()
            if number % 3 == 0:
                journal.wait(number)
            sys.stdout.write(f'{journal.durable} {number}\n')
            sys.stdout.flush()


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))

"""A bench with a stack section: the real controller, worker and panel, and no window."""

from __future__ import annotations

from typing import Any

from pictures import RADIUS, disc

from napari_mobilesam.widgets.stack_desk import StackDesk

CENTRE = (60, 120)  # of the disc that is followed, on slice 0; it moves down by 2 rows a slice
COUNT = 7


class Stage:
    """A bench with a stack section."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.controller = bench.controller
        self.stacks = bench.controller.stacks
        self.chosen: list[int] = []
        self.desk = StackDesk(self.controller, lambda: self.chosen)
        self.panel = self.desk.panel
        # as a stack that was there before the section was
        self.stacks.place.changed.emit()
        self.stacks.place.moved.emit(self.stacks.place.position)

    def rest(self) -> None:
        """Wait until nothing is under way any more."""
        stacks = self.stacks
        works = (stacks.ahead, stacks.following, stacks.finding.work, stacks.refining)
        self.bench.qtbot.waitUntil(
            lambda: not any(work.running for work in works) and not self.bench.bridge._worker.busy,
            timeout=120_000,
        )
        self.bench.quiet()

    def commit(self, position: int = 0) -> int:
        """Click the disc on a slice and commit it; gives its id."""
        self.go(position)
        self.bench.click(position, CENTRE[0] + 2 * position, CENTRE[1])
        self.controller.commit()
        self.bench.quiet()
        return int(self.controller.objects[-1].label)

    def go(self, position: int) -> None:
        self.panel.strip.clicked.emit(position)
        self.bench.quiet()

    def slices(self, label: int) -> list[int]:
        data = self.controller.labels.data
        return [z for z in range(len(data)) if (data[z] == label).any()]

    def right(self, label: int, z: int) -> bool:
        truth = disc((120, 160), (CENTRE[0] + 2 * z, CENTRE[1]), RADIUS)
        found = self.controller.labels.data[z] == label
        return bool((found & truth).sum() > 0.8 * (found | truth).sum())

    @property
    def words(self) -> str:
        return str(self.bench.statuses[-1][0])

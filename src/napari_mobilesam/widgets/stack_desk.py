"""Between the stack section and what goes on in stacks: one place that connects the two."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from .stack_panel import StackPanel
from .strip_dock import StripDock

if TYPE_CHECKING:
    from collections.abc import Callable

    from .controller import AnnotatorController
# What the file dialog offers, and how such names end.
TRACK_FILES = {
    'TrackMate (*.xml)': '.xml',
    'Graph Exchange File Format (*.geff)': '.geff',
    'Cell Tracking Challenge, a folder (*)': '',
}


class StackDesk(QObject):
    """Shows the stack on display, and passes on what the user wants of it.

    Parameters
    ----------
    controller
        Who does it.
    selected
        Tells the ids of the objects that are selected in the table.
    parent
        Qt parent.
    window
        napari's window, for the strip below the sliders; None where there is none.

    Signals
    -------
    below_changed (bool)
        The strip is below the sliders now, or in the section again.
    """

    below_changed = Signal(bool)

    def __init__(
        self,
        controller: AnnotatorController,
        selected: Callable[[], list[int]],
        parent: QObject | None = None,
        window: Any = None,
    ) -> None:
        super().__init__(parent)
        self._stacks = stacks = controller.stacks
        self._controller = controller
        self._selected = selected
        self._label = 0
        self.panel = panel = StackPanel()
        self._dock = StripDock(window, self)
        self._dock.clicked.connect(stacks.place.go_to)
        self._dock.closed.connect(lambda: self.set_below(False))
        panel.below.setVisible(self._dock.available)
        panel.below_chosen.connect(self.set_below)
        self._connect_shown()
        panel.folded.connect(lambda _folded: self._show_slices())
        panel.axis_chosen.connect(lambda axis: stacks.place.choose(axis, controller.source))
        panel.slice_clicked.connect(stacks.place.go_to)
        panel.embed_clicked.connect(stacks.embed_all)
        panel.embed_stopped.connect(stacks.ahead.stop)
        panel.propagate_clicked.connect(self._propagate)
        panel.propagate_stopped.connect(stacks.following.stop)
        panel.edit_clicked.connect(self._edit)
        panel.object_chosen.connect(self.show_object)
        find = panel.find
        find.run_clicked.connect(stacks.find)
        find.stopped.connect(stacks.finding.work.stop)
        find.options_chosen.connect(stacks.finding.set_options)
        find.commit_clicked.connect(stacks.finding.commit)
        find.discard_clicked.connect(stacks.finding.discard)
        find.save_clicked.connect(self._save_tracks)
        panel.refine.run_clicked.connect(stacks.refine)
        panel.refine.stopped.connect(stacks.refining.stop)

    def _connect_shown(self) -> None:
        stacks, panel = self._stacks, self.panel
        stacks.place.changed.connect(self._show_stack)
        stacks.place.moved.connect(self._show_here)
        stacks.slices_changed.connect(self._show_slices)
        shown = (
            (stacks.ahead, panel.embedding, panel.show_embedding),
            (stacks.following.work, panel.following, panel.show_following),
            (stacks.finding.work, panel.find.row, panel.find.show_running),
            (stacks.refining.work, panel.refine.row, panel.refine.show_running),
        )
        for work, row, show in shown:
            work.progressed.connect(row.show_progress)
            work.progressed.connect(partial(_show, show, True))
            work.ended.connect(partial(_show, show, False))
            work.failed.connect(partial(_show, show, False))
        stacks.finding.linked.connect(panel.find.show_found)
        stacks.following.changed.connect(self._show_curve)
        stacks.following.found.connect(lambda _step: self._show_curve())

    def show_object(self, label: int) -> None:
        """Show the curve of an object, where it was followed."""
        self._label = label
        self._show_curve()

    def set_below(self, below: bool) -> None:
        """Show the strip below the sliders, or in the section."""
        if below and self._dock.available:
            self._dock.open()
        else:
            self._dock.close()
        below = self._dock.strip is not None
        self.panel.show_below(below)
        self._show_here(self._stacks.place.position)
        self._show_slices()
        self.below_changed.emit(below)

    def close(self) -> None:
        """Take the strip below the sliders away; that it was there is remembered."""
        self._dock.close()

    # -- showing

    def _show_stack(self) -> None:
        place, panel = self._stacks.place, self.panel
        panel.show_stack(place.axes, place.axis, place.position, place.problem)
        self._show_here(place.position)
        panel.find.show_time(place.through_time)
        panel.show_time(place.through_time)
        for show in (
            panel.show_embedding,
            panel.show_following,
            panel.find.show_running,
            panel.refine.show_running,
        ):
            show(False)

    def _show_here(self, here: int) -> None:
        self.panel.show_here(here)
        if self._dock.strip is not None:
            series = self._stacks.place.series
            self._dock.strip.show_stack(0 if series is None else len(series), here)

    def _show_slices(self) -> None:
        stacks, below = self._stacks, self._dock.strip
        strip = self.panel.strip if below is None else below
        if stacks.place.series is not None and not (below is None and self.panel.is_folded):
            strip.show_slices(stacks.embedded, stacks.prompted, stacks.accepted)

    def _show_curve(self) -> None:
        following = self._stacks.following
        labels = following.labels
        if self._label not in labels:
            self._label = labels[-1] if labels else 0
        self.panel.show_objects(labels, self._label)
        curve = following.curve(self._label)
        self.panel.show_curve(self._label, curve, following.stops(self._label))

    # -- wishes

    def _propagate(self, which: str, direction: str, mode: str, views: bool) -> None:
        selected = self._selected()
        self._label = selected[0] if selected else 0
        self._stacks.propagate(which, selected, direction, mode, views)

    def _save_tracks(self) -> None:
        name, kind = QFileDialog.getSaveFileName(
            self.panel.window(), 'Save tracks', 'tracks.xml', ';;'.join(TRACK_FILES)
        )
        if name:
            path = Path(name)
            self._stacks.finding.save_tracks(
                path if path.suffix else path.with_suffix(TRACK_FILES.get(kind, ''))
            )

    def _edit(self, action: str, which: str) -> None:
        stacks = self._stacks
        getattr(stacks.edits, action)(stacks.objects(which, self._selected()))


def _show(show: Callable[[bool], object], running: bool, *_: Any) -> None:
    show(running)

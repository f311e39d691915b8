"""Find all objects: where, of which kind, and the thresholds that decide what is kept."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QPushButton, QSpinBox, QWidget

from napari_mobilesam.engine.stacks.linking import LinkOptions
from napari_mobilesam.engine.stacks.tracking import TrackOptions

from .choice_combo import ChoiceCombo
from .progress_row import ProgressRow
from .slice_scope import SliceScope

KINDS = (
    ('bright', 'Bright objects', 'Objects brighter than what is around them'),
    ('dark', 'Dark objects', 'Objects darker than what is around them'),
    ('grid', 'Anything', 'Whatever a grid of points finds: slower, and needs no contrast'),
)
LINKS = (
    (False, 'Objects in 3D', 'What overlaps from slice to slice is one object'),
    (True, 'Tracks in time', 'Objects that move, divide, and may be missing for a frame'),
)


class FindBox(QWidget):
    """Choose what to look for, and then what of it to keep.

    Signals
    -------
    run_clicked (object, str)
        Look on these slices (None for all) for this kind of objects.
    stopped
        Stop, and keep what is done.
    options_chosen (LinkOptions, TrackOptions or None)
        Other thresholds; the second where it is through time.
    commit_clicked, discard_clicked, save_clicked
    """

    run_clicked = Signal(object, str)
    stopped = Signal()
    options_chosen = Signal(object, object)
    commit_clicked = Signal()
    discard_clicked = Signal()
    save_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._single = True
        self.where = SliceScope('Where to look')
        self.kind = ChoiceCombo('What to look for', KINDS)
        self.run = QPushButton('Find')
        self.row = ProgressRow('Stop')
        self.score = QDoubleSpinBox()
        self.score.setRange(0, 1)
        self.score.setSingleStep(0.05)
        self.score.setValue(0.3)
        self.area = QSpinBox()
        self.area.setRange(1, 1_000_000)
        self.area.setValue(20)
        self.area.setSuffix(' px')
        self.overlap = QDoubleSpinBox()
        self.overlap.setRange(0.05, 1)
        self.overlap.setSingleStep(0.05)
        self.overlap.setValue(LinkOptions().min_overlap)
        self.slices = QSpinBox()
        self.slices.setRange(1, 1000)
        self.slices.setValue(LinkOptions().min_slices)
        self.links = ChoiceCombo('What objects of several slices are', LINKS)
        self.distance = QDoubleSpinBox()
        self.distance.setRange(0.1, 10_000)
        self.distance.setDecimals(1)
        self.distance.setValue(TrackOptions().max_distance)
        self.distance.setSuffix(' px')
        self.gap = QSpinBox()
        self.gap.setRange(0, 100)
        self.gap.setValue(TrackOptions().max_gap)
        self.save = QPushButton('Save tracks…')
        self.save.setToolTip(
            'For TrackMate (.xml), as a graph (.geff), or a folder of the Cell Tracking Challenge'
        )
        self.commit = QPushButton()
        self.discard = QPushButton('Discard')
        self._lay_out()
        self._connect()
        self.show_found(-1)

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.where.scope, 0, 0)
        grid.addWidget(self.kind, 0, 1)
        grid.addWidget(self.where.first, 1, 0)
        grid.addWidget(self.where.last, 1, 1)
        grid.addWidget(self.run, 2, 0, 1, 2)
        grid.addWidget(self.row, 3, 0, 1, 2)
        grid.addWidget(self.links, 4, 0, 1, 2)
        self._thresholds: list[QWidget] = []
        for number, (title, box, hint) in enumerate(
            (
                ('Score from', self.score, 'Leave out masks of which the model is less sure'),
                ('Area from', self.area, 'Leave out smaller masks'),
                ('Overlap from', self.overlap, 'Masks of two slices that overlap so much are one'),
                ('Slices from', self.slices, 'Leave out objects on fewer slices'),
                ('Moves up to', self.distance, 'How far a centre moves from frame to frame'),
                ('Gaps up to', self.gap, 'On so many frames an object may be missing'),
            ),
            5,
        ):
            label = QLabel(title)
            label.setBuddy(box)
            label.setToolTip(hint)
            box.setToolTip(hint)
            box.setAccessibleName(title)
            grid.addWidget(label, number, 0)
            grid.addWidget(box, number, 1)
            self._thresholds += [label, box]
        grid.addWidget(self.commit, 11, 0)
        grid.addWidget(self.discard, 11, 1)
        grid.addWidget(self.save, 12, 0, 1, 2)
        grid.setRowStretch(9, 1)  # room that is left over while others hide is no gap between

    def _connect(self) -> None:
        self.run.clicked.connect(self._run)
        self.row.clicked.connect(lambda _n: self.stopped.emit())
        for box in (self.score, self.area, self.overlap, self.slices, self.distance, self.gap):
            box.valueChanged.connect(lambda _value: self._choose())
        self.links.currentIndexChanged.connect(lambda _index: self._choose())
        self.save.clicked.connect(lambda: self.save_clicked.emit())
        self.commit.clicked.connect(lambda: self.commit_clicked.emit())
        self.discard.clicked.connect(lambda: self.discard_clicked.emit())

    @property
    def options(self) -> LinkOptions:
        """The thresholds that are chosen."""
        return LinkOptions(
            min_score=self.score.value(),
            min_area=self.area.value(),
            min_overlap=self.overlap.value(),
            min_slices=1 if self._single else self.slices.value(),
        )

    @property
    def through_time(self) -> TrackOptions | None:
        """How objects are followed through time; None where they are linked to stacks."""
        if self._single or not self.links.currentData():
            return None
        return TrackOptions(
            max_distance=self.distance.value(),
            max_gap=self.gap.value(),
            min_score=self.score.value(),
            min_frames=self.slices.value(),
        )

    def show_time(self, through_time: bool) -> None:
        """Suggest what the slider is."""
        self.links.setCurrentIndex(self.links.findData(through_time))

    def show_running(self, running: bool) -> None:
        """Show whether something is being looked for."""
        self.run.setVisible(not running)
        self.row.setVisible(running)

    def show_found(self, count: int) -> None:
        """Show how many objects pass; negative where nothing was looked for."""
        many, time = not self._single, self.through_time is not None
        for widget in (*self._thresholds, self.commit, self.discard):
            widget.setVisible(count >= 0)
        for widgets, shown in (
            ([self.links], many),
            (self._thresholds[4:6], many and not time),
            (self._thresholds[6:8], many),
            ([*self._thresholds[8:], self.save], time),
        ):
            for widget in widgets:
                widget.setVisible(count >= 0 and shown)
        self.save.setEnabled(count > 0)
        self.commit.setText(f'Add {count} objects' if count != 1 else 'Add 1 object')
        self.commit.setEnabled(count > 0)

    def _choose(self) -> None:
        self.options_chosen.emit(self.options, self.through_time)

    def _run(self) -> None:
        slices = self.where.slices
        self._single = slices is not None and len(slices) == 1
        self._choose()
        self.run_clicked.emit(slices, self.kind.currentData())

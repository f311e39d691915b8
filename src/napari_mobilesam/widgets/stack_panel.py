"""The stack section of the dock: its slices, following objects, cutting and filling them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from .choice_combo import ChoiceCombo
from .confidence_curve import DOUBTFUL, ConfidenceCurve
from .find_box import FindBox
from .progress_row import ProgressRow
from .refine_box import RefineBox
from .section import Section
from .slice_strip import SliceStrip, legend
from .stack_following import BOTH, DOWNWARDS, UPWARDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_mobilesam.engine.stacks import Stop

WHICH = (
    ('chosen', 'Selected / last', 'What is selected in the table; else the last committed'),
    ('slice', 'All on this slice', 'Every object that is on the slice on display'),
    ('all', 'All objects', 'Every object of the labels'),
)
DIRECTIONS = (
    (BOTH, 'Both ways', 'To both ends of the stack'),
    (UPWARDS, 'Forwards', 'To higher slices, from the one on display'),
    (DOWNWARDS, 'Backwards', 'To lower slices, from the one on display'),
)
MODES = (
    ('agreement', 'Best of all', 'Box, mask and points are tried, and what agrees best is taken'),
    ('box', 'Box', 'The box round the object on the slice before'),
    ('mask', 'Mask', 'The mask of the slice before'),
    ('points', 'Points', 'Points within the object, and on its neighbours'),
)
# What can be done to objects: action, title, hint.
EDITS = (
    ('cut_below', 'Cut below', 'Delete the objects on all slices before this one'),
    ('cut_above', 'Cut above', 'Delete the objects on all slices after this one'),
    ('delete', 'Delete here', 'Delete the objects on this slice'),
    ('fill', 'Fill here', 'Interpolate between the nearest slices before and after this one'),
)


class StackPanel(Section):
    """Slices and objects along a slider.

    Signals
    -------
    axis_chosen (int)
        Go along another slider.
    slice_clicked (int)
        Show another slice.
    below_chosen (bool)
        Whether the strip is to be below the sliders, as wide as the viewer, instead of here.
    embed_clicked, embed_stopped
    propagate_clicked (str, str, str, bool)
        Which objects, direction, mode, and whether to ask their sides as well.
    propagate_stopped (bool)
        True to keep what is done.
    edit_clicked (str, str)
        What to do, to which objects.
    object_chosen (int)
        Show the curve of another object.
    """

    axis_chosen = Signal(int)
    slice_clicked = Signal(int)
    below_chosen = Signal(bool)
    embed_clicked = Signal()
    embed_stopped = Signal()
    propagate_clicked = Signal(str, str, str, bool)
    propagate_stopped = Signal(bool)
    edit_clicked = Signal(str, str)
    object_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__('Stack')
        self._count = 0
        self._edits: list[QPushButton] = []
        self.nothing = _text('There is no slider here: open a stack.')
        self.axis = ChoiceCombo('Slider to go along')
        self.where = QLabel()
        self.strip = SliceStrip()
        self.legend = QLabel(legend())
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)  # in a narrow dock it would push the rest beyond the edge
        self.below = QCheckBox('Strip below the sliders')
        self.below.setToolTip(
            'Show the strip of slices at the bottom of the window, as wide as the viewer, '
            'whichever part of this dock is on display'
        )
        self.embed = QPushButton('Embed all slices')
        self.embed.setToolTip(
            'Compute the embeddings of all slices in the background, from this one outwards: '
            'then a click costs no wait anywhere'
        )
        self.embedding = ProgressRow('Stop')
        self.which = ChoiceCombo('Objects to follow, cut or fill', WHICH)
        self.direction = ChoiceCombo('Direction', DIRECTIONS)
        self.mode = ChoiceCombo('How to prompt the next slice', MODES)
        self.propagate = QPushButton('Propagate')
        self.propagate.setToolTip(
            'Follow the objects through the stack. Slices that you corrected stay as they are; '
            'only what depends on them is found anew'
        )
        self.views = QCheckBox('Then look from the other two sides')
        self.views.setToolTip(
            'Follow each object along rows and columns as well, and keep what two of three views '
            'agree on. Each plane that is looked at has to be embedded: some seconds to minutes '
            'for an object'
        )
        self.following = ProgressRow('Keep done', 'Discard')
        self.curve_of = ChoiceCombo('Object of the curve')
        self.curve = ConfidenceCurve()
        self.told = _text('')
        self.find = FindBox()
        self.refine = RefineBox()
        self._lay_out()
        self._connect()
        self.show_stack([], None, 0)
        self.show_objects((), None)

    def _lay_out(self) -> None:
        self._inner = QWidget()
        column = QGridLayout(self._inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setHorizontalSpacing(4)
        column.setVerticalSpacing(6)
        column.setColumnStretch(0, 1)
        column.setColumnStretch(1, 1)
        rows: list[Sequence[QWidget]] = [
            (self.axis,),
            (self.where,),
            (self.strip,),
            (self.legend,),
            (self.below,),
            (self.embed,),
            (self.embedding,),
            (_title('Follow objects'),),
            (self.which, self.direction),
            (self.mode, self.propagate),
            (self.views,),
            (self.following,),
            (self.curve_of,),
            (self.curve,),
            (self.told,),
        ]
        for number, row in enumerate(rows):
            for place, widget in enumerate(row):
                column.addWidget(widget, number, place, 1, 2 if len(row) == 1 else 1)
        edits = QGridLayout()
        edits.setSpacing(4)
        for number, (action, title, hint) in enumerate(EDITS):
            button = QPushButton(title)
            button.setToolTip(f'{hint}. Ctrl+Z takes it back')
            button.clicked.connect(lambda _checked, a=action: self._edit(a))
            self._edits.append(button)
            edits.addWidget(button, number // 2, number % 2)
        column.addLayout(edits, len(rows), 0, 1, 2)
        column.addWidget(_title('Find all objects'), len(rows) + 1, 0, 1, 2)
        column.addWidget(self.find, len(rows) + 2, 0, 1, 2)
        column.addWidget(_title('Refine labels'), len(rows) + 3, 0, 1, 2)
        column.addWidget(self.refine, len(rows) + 4, 0, 1, 2)
        self.body.addWidget(self.nothing)
        self.body.addWidget(self._inner)

    def _connect(self) -> None:
        self.axis.activated.connect(lambda _n: self.axis_chosen.emit(self.axis.currentData()))
        self.strip.clicked.connect(self.slice_clicked)
        self.below.clicked.connect(self.below_chosen)
        self.curve.clicked.connect(self.slice_clicked)
        self.embed.clicked.connect(lambda: self.embed_clicked.emit())
        self.embedding.clicked.connect(lambda _n: self.embed_stopped.emit())
        self.propagate.clicked.connect(self._propagate)
        self.following.clicked.connect(lambda number: self.propagate_stopped.emit(number == 0))
        self.curve_of.activated.connect(
            lambda _n: self.object_chosen.emit(self.curve_of.currentData())
        )

    # -- showing

    def show_stack(
        self, axes: Sequence[tuple[int, str, int]], axis: int | None, here: int, problem: str = ''
    ) -> None:
        """Show the sliders that there are, the one in use, and the slice on display."""
        self.nothing.setText(problem or 'There is no slider here: open a stack.')
        counts = {number: count for number, _, count in axes}
        self._count = counts.get(axis, 0) if axis is not None and not problem else 0
        self.nothing.setVisible(not self._count)
        self._inner.setVisible(bool(self._count))
        entries = [(number, f'Along {name} ({count} slices)', '') for number, name, count in axes]
        self.axis.show_entries(entries, axis)
        self.axis.setVisible(len(axes) > 1)
        for box in (self.find, self.refine):
            box.where.show_count(self._count)
        self.show_here(here)

    def show_here(self, here: int) -> None:
        """Show on which slice the user is."""
        self.where.setText(f'Slice {here} of 0–{self._count - 1}')
        self.strip.show_stack(self._count, here)
        self.curve.show_here(here)
        for box in (self.find, self.refine):
            box.where.show_here(here)

    def show_below(self, below: bool) -> None:
        """Show whether the strip is below the sliders, not here."""
        self.below.setChecked(below)
        self.strip.setVisible(not below)

    def show_embedding(self, running: bool) -> None:
        """Show whether all slices are being embedded."""
        self.embed.setVisible(not running)
        self.embedding.setVisible(running)

    def show_following(self, running: bool) -> None:
        """Show whether objects are being followed."""
        self.following.setVisible(running)
        for button in (self.propagate, *self._edits):
            button.setEnabled(not running)

    def show_time(self, through_time: bool) -> None:
        """Show what suits a slider of time, or one of space: only the latter has sides."""
        self.views.setVisible(not through_time)

    def show_objects(self, labels: Sequence[int], current: int | None) -> None:
        """List the objects that were followed, which have curves."""
        self.curve_of.show_entries([(n, f'Object {n}', '') for n in labels], current)
        self.curve_of.setVisible(len(labels) > 1)

    def show_curve(
        self, label: int, curve: NDArray[np.float64] | None, stops: Sequence[Stop]
    ) -> None:
        """Show how sure an object is, and where and why it ends."""
        self.curve.show_curve(curve)
        self.told.setVisible(curve is not None)
        if curve is not None:
            self.told.setText(ends_text(label, curve, stops))

    def _propagate(self) -> None:
        self.propagate_clicked.emit(
            self.which.currentData(),
            self.direction.currentData(),
            self.mode.currentData(),
            self.views.isChecked() and not self.views.isHidden(),
        )

    def _edit(self, action: str) -> None:
        self.edit_clicked.emit(action, self.which.currentData())


def ends_text(label: int, curve: NDArray[np.float64], stops: Sequence[Stop]) -> str:
    """Say from where to where an object goes, why it ends there, and what is doubtful."""
    present = [index for index, value in enumerate(curve) if value == value]
    if not present:
        return f'Object {label}: nothing yet.'
    lines = [f'Object {label}: slices {present[0]}–{present[-1]}.']
    for stop in stops:
        where = 'Forwards' if stop.direction > 0 else 'Backwards'
        lines.append(f'{where} it ends at {stop.index - stop.direction}: {stop.reason.value}.')
    doubtful = [index for index in present if curve[index] < DOUBTFUL]
    if doubtful:
        listed = ', '.join(map(str, doubtful[:6])) + ('…' if len(doubtful) > 6 else '')
        lines.append(f'Doubtful on {listed}: correct one, and propagate again.')
    return '\n'.join(lines)


def _text(words: str) -> QLabel:
    label = QLabel(words)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _title(words: str) -> QLabel:
    label = QLabel(words)
    font = label.font()
    font.setItalic(True)
    label.setFont(font)
    return label

"""The candidate: how sure the model is, how large it is, the other candidates, commit."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from .bars import QuietBar
from .icons import ICON_SIZE, theme_icon
from .section import Section
from .shortcuts import describe

# Part, object and group: no model of the family offers more.
_ROWS = 3
_NONE = '–'


class CandidatePanel(Section):
    """Show the candidate and commit it.

    Signals
    -------
    chosen (int)
        The candidate at that place, from the best.
    next_clicked, previous_clicked, commit_clicked
    prompted_only_chosen (bool)
        Whether only those parts of the mask are kept that the prompts speak of.
    """

    chosen = Signal(int)
    next_clicked = Signal()
    previous_clicked = Signal()
    commit_clicked = Signal()
    prompted_only_chosen = Signal(bool)

    def __init__(self, prompted_only: bool) -> None:
        super().__init__('Candidate')
        self._rank = 0
        self.score = QuietBar()
        self.score.setRange(0, 1000)
        self.score.setTextVisible(True)
        self.score.setToolTip("The model's own estimate of how well this mask fits (0 to 1)")
        self.rows = tuple(self._row(place) for place in range(_ROWS))
        self.previous = QPushButton()
        self.next = QPushButton()
        self.rank = QLabel()
        self.rank.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.commit = QPushButton(' &Commit')
        describe(self.previous, 'previous_candidate')
        describe(self.next, 'next_candidate')
        describe(self.commit, 'commit')
        self.prompted_only = QCheckBox('Prompted parts only')
        self.prompted_only.setChecked(prompted_only)
        self.prompted_only.setToolTip(
            'Leave out what is not connected to a positive point and not in the box.\n'
            'A positive point on a part brings it back.'
        )
        for button, name in ((self.previous, 'Previous candidate'), (self.next, 'Next candidate')):
            button.setIconSize(ICON_SIZE)
            button.setFixedWidth(28)
            button.setAccessibleName(name)

        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.score, stretch=1)
        row.addWidget(self.previous)
        row.addWidget(self.rank)
        row.addWidget(self.next)
        self.body.addLayout(row)
        for one in self.rows:
            self.body.addWidget(one)
        self.body.addWidget(self.prompted_only)
        self.body.addWidget(self.commit)

        self.previous.clicked.connect(self.previous_clicked)
        self.next.clicked.connect(self.next_clicked)
        self.commit.clicked.connect(self.commit_clicked)
        self.prompted_only.toggled.connect(self.prompted_only_chosen)
        self.show_nothing()

    def _row(self, place: int) -> QPushButton:
        row = QPushButton()
        row.setCheckable(True)
        row.setStyleSheet('text-align: left; padding: 2px 6px;')
        # Their texts change with each move of the mouse: the dock is not to be laid out for that.
        row.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        row.setToolTip('Show this candidate; over the picture Tab goes through them, too')
        row.clicked.connect(lambda: self._choose(place))
        return row

    def _choose(self, place: int) -> None:
        self.rows[place].setChecked(place == self._rank)  # until it is really shown
        self.chosen.emit(place)

    def add_options(self, widget: QWidget) -> None:
        """Put more options over the button that commits."""
        self.body.insertWidget(self.body.indexOf(self.commit), widget)

    def show_candidate(self, scores: Sequence[float], sizes: Sequence[str], rank: int) -> None:
        """Show the numbers of all candidates, from the best, and which of them is on display."""
        self._show(scores, sizes, rank)
        self.score.setFormat(f'score {scores[rank]:.2f}')
        for place, row in enumerate(self.rows):
            row.setEnabled(place < len(scores))
        self.commit.setEnabled(True)

    def show_hover(self, scores: Sequence[float], size: str, rank: int) -> None:
        """Show what a click would give: of the masks that there are, one is drawn."""
        sizes = [size if place == rank else '' for place in range(len(scores))]
        self._show(scores, sizes, rank)
        self.score.setFormat(f'under the mouse: {scores[rank]:.2f}')
        for row in self.rows:
            row.setEnabled(False)
        self.commit.setEnabled(False)

    def _show(self, scores: Sequence[float], sizes: Sequence[str], rank: int) -> None:
        self._rank = rank
        score = scores[rank]
        known = score if score == score else 0.0  # the only test that NaN fails
        self.score.setValue(round(1000 * min(max(known, 0.0), 1.0)))
        self.rank.setText(f'{rank + 1} / {len(scores)}')
        for place, row in enumerate(self.rows):
            there = place < len(scores)
            row.setText(f'{scores[place]:.2f}   {sizes[place]}'.rstrip() if there else _NONE)
            row.setChecked(there and place == rank)
        for widget in (self.previous, self.next):
            widget.setEnabled(len(scores) > 1)

    def show_nothing(self) -> None:
        """There is no candidate."""
        self.score.setValue(0)
        self.score.setFormat('no candidate')
        self.rank.setText('– / –')
        for row in self.rows:
            row.setText(_NONE)
            row.setChecked(False)
            row.setEnabled(False)
        for widget in (self.previous, self.next, self.commit):
            widget.setEnabled(False)

    def show_theme(self, theme: str) -> None:
        """Colour napari's icons."""
        self.previous.setIcon(theme_icon('left_arrow', theme))
        self.next.setIcon(theme_icon('right_arrow', theme))
        self.commit.setIcon(theme_icon('check', theme))

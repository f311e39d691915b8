"""The candidate: how sure the model is, how large it is, the other candidates, commit."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
)

from .bars import QuietBar
from .icons import ICON_SIZE, theme_icon
from .section import Section
from .shortcuts import describe


class CandidatePanel(Section):
    """Show the candidate and commit it.

    Signals
    -------
    next_clicked, previous_clicked, commit_clicked
    prompted_only_chosen (bool)
        Whether only those parts of the mask are kept that the prompts speak of.
    """

    next_clicked = Signal()
    previous_clicked = Signal()
    commit_clicked = Signal()
    prompted_only_chosen = Signal(bool)

    def __init__(self, prompted_only: bool) -> None:
        super().__init__('Candidate')
        self.score = QuietBar()
        self.score.setRange(0, 1000)
        self.score.setTextVisible(True)
        self.score.setToolTip("The model's own estimate of how well this mask fits (0 to 1)")
        self.size = QLabel()
        self.size.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.previous = QPushButton()
        self.next = QPushButton()
        self.rank = QLabel()
        self.rank.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.commit = QPushButton(' Commit')
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
        self.body.addWidget(self.size)
        self.body.addWidget(self.prompted_only)
        self.body.addWidget(self.commit)

        self.previous.clicked.connect(self.previous_clicked)
        self.next.clicked.connect(self.next_clicked)
        self.commit.clicked.connect(self.commit_clicked)
        self.prompted_only.toggled.connect(self.prompted_only_chosen)
        self.show_nothing()

    def show_candidate(self, score: float, size: str, rank: int, count: int) -> None:
        """Show numbers of a candidate: `rank` of `count`, counted from 0."""
        known = score if score == score else 0.0  # the only test that NaN fails
        self.score.setValue(round(1000 * min(max(known, 0.0), 1.0)))
        self.score.setFormat(f'score {score:.2f}')
        self.size.setText(size)
        self.rank.setText(f'{rank + 1} / {count}')
        for widget in (self.previous, self.next):
            widget.setEnabled(count > 1)
        self.commit.setEnabled(True)

    def show_nothing(self) -> None:
        """There is no candidate."""
        self.score.setValue(0)
        self.score.setFormat('no candidate')
        self.size.setText('–')
        self.rank.setText('– / –')
        for widget in (self.previous, self.next, self.commit):
            widget.setEnabled(False)

    def show_theme(self, theme: str) -> None:
        """Colour napari's icons."""
        self.previous.setIcon(theme_icon('left_arrow', theme))
        self.next.setIcon(theme_icon('right_arrow', theme))
        self.commit.setIcon(theme_icon('check', theme))

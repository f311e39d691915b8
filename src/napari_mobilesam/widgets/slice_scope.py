"""Which slices something is done on: this one, a range, or all of them."""

from __future__ import annotations

from qtpy.QtWidgets import QSpinBox

from .choice_combo import ChoiceCombo

SCOPES = (
    ('slice', 'This slice', 'Only the slice on display'),
    ('range', 'From … to …', 'A range of slices'),
    ('all', 'All slices', 'The whole stack, the nearest slices first'),
)


class SliceScope:
    """A choice of slices: its widgets, for whoever lays them out, and what is chosen.

    Parameters
    ----------
    name
        What is done there, for tooltip and screen readers.
    scope
        What is chosen at first.

    Attributes
    ----------
    scope
        The list of scopes.
    first, last
        Where a range begins and ends; hidden while none is chosen.
    """

    def __init__(self, name: str, scope: str = 'slice') -> None:
        self._here = 0
        self.scope = ChoiceCombo(name, SCOPES)
        self.scope.setCurrentIndex(self.scope.findData(scope))
        self.first, self.last = QSpinBox(), QSpinBox()
        for box, prefix, title in (
            (self.first, 'from ', 'First slice'),
            (self.last, 'to ', 'Last slice'),
        ):
            box.setPrefix(prefix)
            box.setAccessibleName(title)
            box.setToolTip(title)
        self.scope.currentIndexChanged.connect(self._show)
        self._show()

    @property
    def slices(self) -> list[int] | None:
        """The slices that are chosen; None for all."""
        scope = self.scope.currentData()
        if scope == 'all':
            return None
        if scope == 'slice':
            return [self._here]
        first, last = sorted((self.first.value(), self.last.value()))
        return list(range(first, last + 1))

    def show_count(self, count: int) -> None:
        """Show how many slices there are."""
        for box in (self.first, self.last):
            box.setRange(0, max(count - 1, 0))
        self.last.setValue(max(count - 1, 0))
        self._show()

    def show_here(self, here: int) -> None:
        """Take note on which slice the user is."""
        self._here = here

    def _show(self, _index: int = 0) -> None:
        ranged = self.scope.currentData() == 'range'
        self.first.setVisible(ranged)
        self.last.setVisible(ranged)

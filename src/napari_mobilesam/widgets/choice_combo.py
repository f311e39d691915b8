"""A list of fixed choices that does not widen the dock."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QComboBox, QSizePolicy


class ChoiceCombo(QComboBox):
    """Choose one of some values.

    Parameters
    ----------
    name
        Tooltip, and what screen readers say.
    entries
        Value, title and hint of each choice.
    """

    def __init__(self, name: str, entries: Sequence[tuple[object, str, str]] = ()) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(name)
        # Long entries are cut.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(80)
        self.show_entries(entries)

    def show_entries(
        self, entries: Sequence[tuple[object, str, str]], current: object = None
    ) -> None:
        """List other choices, with the value `current` chosen; tells nobody."""
        with QSignalBlocker(self):
            self.clear()
            for value, title, hint in entries:
                self.addItem(title, value)
                self.setItemData(self.count() - 1, hint, Qt.ItemDataRole.ToolTipRole)
            self.setCurrentIndex(max(self.findData(current), 0))

"""Every shortcut, in one table: key bindings, tooltips and documentation come from it.

The keys are bound on layers that the widget made, and inside of the dock: nothing of napari's is
taken away. They therefore work while one of those layers is the active one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One action and its keys.

    Attributes
    ----------
    action
        Name of the controller's method.
    keys
        In napari's spelling; the first is the one to show.
    title
        What it does, as a tooltip says it.
    in_dock
        Whether it also works while the keyboard focus is in the dock: not for keys that mean
        something else to buttons and boxes.
    """

    action: str
    keys: tuple[str, ...]
    title: str
    in_dock: bool = True

    @property
    def shown(self) -> str:
        """The first key, as users know it."""
        return self.keys[0].replace('Control', 'Ctrl').replace('Escape', 'Esc').replace('-', '+')


SHORTCUTS = (
    Shortcut('commit', ('Enter',), 'Put the candidate into the labels and start the next object'),
    Shortcut('clear', ('Escape',), 'Remove the prompts of this object from this plane'),
    Shortcut('toggle_polarity', ('T',), 'Switch between positive and negative points'),
    Shortcut('use_points', ('P',), 'Click points'),
    Shortcut('use_boxes', ('B',), 'Draw a box'),
    Shortcut('next_candidate', ('N', 'Tab'), 'Show the next candidate', in_dock=False),
    Shortcut('previous_candidate', ('Shift-N', 'Shift-Tab'), 'Show the one before', in_dock=False),
    Shortcut('undo', ('Control-Z',), 'Take back the last prompt or object'),
    Shortcut('redo', ('Control-Shift-Z',), 'Do it again'),
)

_BY_ACTION = {shortcut.action: shortcut for shortcut in SHORTCUTS}


def tooltip(action: str) -> str:
    """Return the tooltip of an action: what it does, and its key."""
    shortcut = _BY_ACTION[action]
    return f'{shortcut.title} ({shortcut.shown})'

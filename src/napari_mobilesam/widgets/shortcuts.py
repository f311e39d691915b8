"""Every shortcut, in one table: key bindings, tooltips, help and documentation come from it.

The keys are bound on layers that the widget made, and inside of the dock: nothing of napari's is
taken away. They therefore work while one of those layers is the active one. `Keymap` holds the
keys that the user chose instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from .user_file import UserFile

_PROPERTY, _HINT = 'mobilesamAction', 'mobilesamHint'


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One action and its keys.

    Attributes
    ----------
    action
        Name of the controller's method.
    keys
        In napari's spelling; the first is the one to show. None at all, if the user wants none.
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
        return shown_key(self.keys[0]) if self.keys else 'no key'


SHORTCUTS = (
    Shortcut('commit', ('Enter',), 'Put the candidate into the labels and start the next object'),
    Shortcut('clear', ('Escape',), 'Remove the prompts of this object from this plane'),
    Shortcut('toggle_polarity', ('T',), 'Switch between positive and negative points'),
    Shortcut('toggle_hover', ('H',), 'Show what a click would give under the mouse, or not'),
    Shortcut('use_points', ('P',), 'Click points'),
    Shortcut('use_boxes', ('B',), 'Draw a box'),
    Shortcut('use_ellipse', ('E',), 'Draw an ellipse round the object'),
    Shortcut('use_polygon', ('Y',), 'Click a polygon round the object'),
    Shortcut('use_lasso', ('O',), 'Draw an outline round the object'),
    Shortcut('use_scribble', ('G',), 'Draw a stroke on the object, or beside it'),
    Shortcut('refine_label', ('L',), 'Refine the label under the mouse', in_dock=False),
    Shortcut('use_label', ('Shift-L',), 'Click labels to refine them'),
    Shortcut('select_prompts', ('S',), 'Select prompts, to move or delete them'),
    Shortcut('flip_selected', ('Shift-T',), 'Exchange positive and negative of selected prompts'),
    Shortcut('next_candidate', ('N', 'Tab'), 'Show the next candidate', in_dock=False),
    Shortcut('previous_candidate', ('Shift-N', 'Shift-Tab'), 'Show the one before', in_dock=False),
    Shortcut('undo', ('Control-Z',), 'Take back the last prompt or object'),
    Shortcut('redo', ('Control-Shift-Z',), 'Do it again'),
    Shortcut('class_0', ('0',), 'No class for the next object, or for those selected in the table'),
    *(
        Shortcut(f'class_{n}', (str(n),), f'Class {n} for the next object, or for those selected')
        for n in range(1, 10)
    ),
    Shortcut('encode_view', ('F',), 'Look closer: encode only what is shown'),
    Shortcut('encode_plane', ('Shift-F',), 'Encode the whole plane again'),
    Shortcut('show_seen', ('V',), 'Show the picture that the model sees'),
    Shortcut('show_help', ('Shift-/', 'F1'), 'Show all keys, and change them'),
)

_BY_ACTION = {shortcut.action: shortcut for shortcut in SHORTCUTS}


def shown_key(key: str) -> str:
    """Return a key in napari's spelling as users know it."""
    text = qt_key(key)
    return {'Return': 'Enter', 'Shift+/': '?'}.get(text, text)


def qt_key(key: str) -> str:
    """Return a key in napari's spelling as Qt spells it."""
    for napari, qt in (('Control', 'Ctrl'), ('Escape', 'Esc'), ('Enter', 'Return')):
        key = key.replace(napari, qt)
    # the last character may be a minus itself
    return key[:-1].replace('-', '+') + key[-1:]


def napari_key(key: str) -> str:
    """Return a key in Qt's spelling as napari spells it."""
    for napari, qt in (('Control', 'Ctrl'), ('Escape', 'Esc'), ('Enter', 'Return')):
        key = key.replace(qt, napari)
    key = key.replace('Num+', '').replace('Backtab', 'Tab')
    return key[:-1].replace('+', '-') + key[-1:]


def tooltip(action: str) -> str:
    """Return the tooltip of an action: what it does, and the key that it comes with."""
    shortcut = _BY_ACTION[action]
    return f'{shortcut.title} ({shortcut.shown})'


def describe(widget: QWidget, action: str, hint: str = '') -> None:
    """Give a widget the tooltip of an action, which follows the keys that the user chooses.

    Parameters
    ----------
    widget
        A button of the dock.
    action
        An action of the table.
    hint
        What else there is to say, put before it.
    """
    widget.setProperty(_PROPERTY, action)
    widget.setProperty(_HINT, hint)
    widget.setToolTip(f'{hint}\n{tooltip(action)}'.strip())


class KeyProblem(ValueError):
    """A key that cannot be had; the message tells the user why."""


class Keymap(QObject):
    """The table with the keys that the user chose.

    Parameters
    ----------
    file
        Where they are kept; by default with the user's configuration.

    Signals
    -------
    changed
        Some action has other keys.
    """

    changed = Signal()

    def __init__(self, file: UserFile | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._file = UserFile('shortcuts.json') if file is None else file
        self._chosen: dict[str, tuple[str, ...]] = {}
        self._read(self._file.read())

    @property
    def shortcuts(self) -> tuple[Shortcut, ...]:
        """All actions with the keys that they have now."""
        return tuple(
            replace(shortcut, keys=self._chosen.get(shortcut.action, shortcut.keys))
            for shortcut in SHORTCUTS
        )

    def of(self, action: str) -> Shortcut:
        """Return an action with its keys."""
        return next(shortcut for shortcut in self.shortcuts if shortcut.action == action)

    def is_changed(self, action: str) -> bool:
        """Whether the user chose another key for an action."""
        return action in self._chosen

    def choose(self, action: str, key: str) -> None:
        """Give an action another key, in napari's spelling; without any, none.

        Raises
        ------
        KeyProblem
            If there is no such key, or another action has it.
        """
        self._check(action, key)
        keys = (key,) if key else ()
        if keys == _BY_ACTION[action].keys:
            self._chosen.pop(action, None)
        else:
            self._chosen[action] = keys
        self._keep()

    def reset(self, action: str | None = None) -> None:
        """Go back to the table's keys, for one action or for all.

        Raises
        ------
        KeyProblem
            If another action has the key by now.
        """
        if action is None:
            self._chosen.clear()
        elif action in self._chosen:
            for key in _BY_ACTION[action].keys:
                self._check(action, key)
            del self._chosen[action]
        self._keep()

    def show_in(self, root: QWidget) -> None:
        """Write the keys into the tooltips of all described widgets within another."""
        for widget in root.findChildren(QWidget):
            action = widget.property(_PROPERTY)
            if action in _BY_ACTION:
                shortcut = self.of(action)
                text = f'{shortcut.title} ({shortcut.shown})' if shortcut.keys else shortcut.title
                widget.setToolTip(f'{widget.property(_HINT) or ""}\n{text}'.strip())

    def _check(self, action: str, key: str) -> None:
        if not key:
            return
        signature = _signature(key)
        for other in self.shortcuts:
            if other.action != action and signature in map(_signature, other.keys):
                raise KeyProblem(
                    f'{shown_key(key)} already means "{other.title}": choose another key, or '
                    'change that one first.'
                )

    def _keep(self) -> None:
        self._file.write({action: list(keys) for action, keys in self._chosen.items()})
        self.changed.emit()

    def _read(self, content: Mapping[str, Any]) -> None:
        # A file is whatever somebody made of it: what does not fit is left out, line by line.
        for action, keys in content.items():
            if action not in _BY_ACTION or not isinstance(keys, list):
                continue
            if len(keys) > 1 or not all(isinstance(key, str) and key for key in keys):
                continue
            try:
                for key in keys:
                    self._check(action, key)
            except KeyProblem:
                continue
            self._chosen[action] = tuple(keys)


def _signature(key: str) -> str:
    """Return the one spelling of a key.

    Raises
    ------
    KeyProblem
        If there is no such key.
    """
    from napari.utils.key_bindings import coerce_keybinding

    try:
        signature = str(coerce_keybinding(key))
    except Exception:  # app-model has no one kind of exception for this
        signature = ''
    # A key that it does not know has no name.
    if not signature or (signature.endswith('+') and not signature.endswith('++')):
        raise KeyProblem(f'"{key}" is no key that napari knows: choose another one.')
    return signature

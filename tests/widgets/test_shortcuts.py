"""Keys: one table, and what the user makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QPushButton, QWidget

from napari_mobilesam.widgets.keys_window import KeysWindow
from napari_mobilesam.widgets.shortcuts import (
    SHORTCUTS,
    Keymap,
    KeyProblem,
    describe,
    napari_key,
    qt_key,
    shown_key,
)
from napari_mobilesam.widgets.user_file import UserFile


@pytest.fixture
def file(tmp_path: Path) -> UserFile:
    return UserFile('shortcuts.json', tmp_path)


def test_keys_are_spelled_for_everyone() -> None:
    assert qt_key('Control-Shift-Z') == 'Ctrl+Shift+Z'
    assert qt_key('Control--') == 'Ctrl+-'
    assert shown_key('Enter') == 'Enter'
    assert shown_key('Shift-/') == '?'
    for shortcut in SHORTCUTS:
        for key in shortcut.keys:
            assert not QKeySequence(qt_key(key)).isEmpty()
            assert napari_key(qt_key(key)) == key


def test_a_chosen_key_is_kept(file: UserFile) -> None:
    keymap = Keymap(file)
    heard: list[bool] = []
    keymap.changed.connect(lambda: heard.append(True))
    keymap.choose('commit', 'Control-K')
    keymap.choose('use_boxes', '')
    again = Keymap(file)
    assert again.of('commit').keys == ('Control-K',)
    assert again.of('use_boxes').keys == ()
    assert again.is_changed('commit')
    again.choose('commit', 'Enter')
    assert not again.is_changed('commit')
    again.reset()
    assert again.shortcuts == SHORTCUTS
    assert json.loads(file.path.read_text()) == {}
    assert len(heard) == 2


def test_conflicts_are_told_and_change_nothing(file: UserFile) -> None:
    keymap = Keymap(file)
    with pytest.raises(KeyProblem, match=r'T already means "Switch between'):
        keymap.choose('commit', 'T')
    with pytest.raises(KeyProblem, match='already means'):
        keymap.choose('commit', 'shift-TAB'.replace('TAB', 'Tab').replace('shift', 'Shift'))
    with pytest.raises(KeyProblem, match='no key'):
        keymap.choose('commit', 'Banana')
    assert keymap.shortcuts == SHORTCUTS
    keymap.choose('toggle_polarity', 'X')
    keymap.choose('commit', 'T')
    with pytest.raises(KeyProblem, match='already means'):
        keymap.reset('toggle_polarity')
    assert keymap.of('toggle_polarity').keys == ('X',)


@pytest.mark.parametrize(
    'content',
    [
        '',
        '[1, 2]',
        '{"commit": "Enter"}',
        '{"commit": ["Banana"], "clear": [7], "nonsense": ["A"]}',
        '{"commit": ["T"]}',
        '{"a":' * 5000,
    ],
)
def test_a_file_that_somebody_spoiled_does_no_harm(file: UserFile, content: str) -> None:
    file.path.write_text(content, encoding='utf-8')
    assert Keymap(file).shortcuts == SHORTCUTS


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / 'taken').write_text('a file')
    keymap = Keymap(UserFile('shortcuts.json', tmp_path / 'taken'))
    keymap.choose('commit', 'K')
    assert keymap.of('commit').keys == ('K',)


def test_tooltips_follow(qtbot: Any, file: UserFile) -> None:
    root = QWidget()
    qtbot.addWidget(root)
    button = QPushButton('Commit', root)
    describe(button, 'commit', 'Done')
    assert button.toolTip().startswith('Done\nPut the candidate')
    assert button.toolTip().endswith('(Enter)')
    keymap = Keymap(file)
    keymap.choose('commit', 'Control-K')
    keymap.show_in(root)
    assert button.toolTip().endswith('(Ctrl+K)')
    keymap.choose('commit', '')
    keymap.show_in(root)
    assert button.toolTip().endswith('next object')


def test_the_window(qtbot: Any, file: UserFile) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    keymap = Keymap(file)
    window = KeysWindow(keymap, parent)
    assert set(window.fields) == {shortcut.action for shortcut in SHORTCUTS}
    field = window.fields['commit']
    field.setKeySequence(QKeySequence('Ctrl+K'))
    field.editingFinished.emit()
    assert keymap.of('commit').keys == ('Control-K',)
    assert window.resets['commit'].isEnabled()
    field.setKeySequence(QKeySequence('T'))
    field.editingFinished.emit()
    assert 'already means' in window.problem.text()
    assert field.keySequence().toString() == 'Ctrl+K', 'what was there comes back'
    window.resets['commit'].click()
    assert keymap.shortcuts == SHORTCUTS
    assert window.problem.text() == ''
    window.reset_all.click()


def test_t12_chosen_keys_go_to_our_layers_only(bench: Callable[..., Any]) -> None:
    """T12: also those that the user chose, at once and without a trace of the old ones."""
    from napari.utils.key_bindings import coerce_keybinding

    one = bench()
    before = dict(one.viewer.keymap), dict(type(one.viewer).class_keymap)
    keymap = one.controller._keys._keymap
    keymap.choose('toggle_polarity', 'Control-Alt-J')
    new, old = coerce_keybinding('Control-Alt-J'), coerce_keybinding('T')
    for layer in (one.points, one.boxes):
        assert new in layer.keymap
        assert old not in layer.keymap
    polarity = one.controller.polarity
    one.press('Control-Alt-J')
    assert one.controller.polarity != polarity
    assert new not in one.controller.image.keymap
    assert (dict(one.viewer.keymap), dict(type(one.viewer).class_keymap)) == before
    keymap.reset()

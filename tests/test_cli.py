"""The command line as a whole: its commands, its version, its weight."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner, Result

from napari_mobilesam import cli
from napari_mobilesam.commands import commands


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def test_version() -> None:
    result = run('--version')
    assert result.exit_code == 0
    assert result.output == f'napari-mobilesam {version("napari-mobilesam")}\n'


def test_help_lists_the_commands() -> None:
    shown = run('--help').output
    assert 'demo' in shown
    for name in commands():
        assert name in shown
    for option in ('--output', '--headless', '--weights', '--sample'):
        assert option in run('demo', '--help').output


def test_modules_with_an_underscore_are_no_commands() -> None:
    assert 'demo' in commands()
    assert not [name for name in commands() if name.startswith(('_', '-'))]


@pytest.mark.parametrize('arguments', [('dmeo',), ('demo', '--sample', 'dime'), ('demo', '--x')])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_command_line_starts_light() -> None:
    code = (
        'import sys, napari_mobilesam.cli\n'
        'heavy = {"torch", "napari", "qtpy", "skimage", "scipy", "PIL"} & set(sys.modules)\n'
        'assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-W', 'error', '-c', code], check=True, timeout=60)


def test_module_is_the_command() -> None:
    result = subprocess.run(
        [sys.executable, '-m', 'napari_mobilesam', '--version'],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.startswith('napari-mobilesam ')

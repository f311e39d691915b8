"""The scripts that bring a bare machine to the demo and to the tests; nothing is installed here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / 'scripts'


def run(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def executable(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f'#!/bin/sh\n{script}\n', encoding='utf-8')
    path.chmod(0o755)


@pytest.mark.parametrize('arguments', [(), ('install',)])
def test_bootstrap_names_its_commands(arguments: tuple[str, ...]) -> None:
    result = run('bootstrap.py', *arguments)
    assert result.returncode != 0
    assert 'expected "demo" or "test"' in result.stderr
    assert 'bootstrap.py demo' in result.stderr


def test_bootstrap_says_which_python_it_needs() -> None:
    code = f"""
import runpy, sys

sys.version_info = (3, 10, 4)
sys.argv = ['bootstrap.py', 'test']
runpy.run_path({str(SCRIPTS / 'bootstrap.py')!r}, run_name='__main__')
"""
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert 'needs Python 3.11 or newer' in result.stderr


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='Debian packages are Linux')
def test_bootstrap_asks_dpkg_before_it_asks_the_network(tmp_path: Path) -> None:
    answer = 'echo "libegl1 installed"; echo "libglib2.0-0t64 installed"; echo "xvfb config-files"'
    executable(tmp_path, 'dpkg-query', answer)
    code = f"""
import runpy

bootstrap = runpy.run_path({str(SCRIPTS / 'bootstrap.py')!r})
print(*bootstrap['debian_missing'](['libegl1', 'libglib2.0-0', 'xvfb', 'xauth']))
"""
    result = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ['xvfb', 'xauth']


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='Xvfb is for Linux')
class TestWithDisplay:
    def test_stale_display_is_not_taken_for_a_screen(self, tmp_path: Path) -> None:
        executable(tmp_path, 'xvfb-run', 'echo in memory: "$@"')
        path = f'{tmp_path}:{os.environ["PATH"]}'
        result = run(
            'with_display.py', 'pytest', 'x', DISPLAY=':4711', WAYLAND_DISPLAY='', PATH=path
        )
        assert result.stdout.startswith('in memory: -a')
        assert result.stdout.endswith('pytest x\n')

    def test_status_and_arguments_pass_through(self) -> None:
        code = 'import sys; sys.exit(int(sys.argv[1]))'
        result = run(
            'with_display.py', sys.executable, '-c', code, '7', WAYLAND_DISPLAY='wayland-0'
        )
        assert result.returncode == 7

    def test_says_what_to_install(self, tmp_path: Path) -> None:
        result = run(
            'with_display.py', 'pytest', DISPLAY='', WAYLAND_DISPLAY='', PATH=str(tmp_path)
        )
        assert result.returncode == 1
        assert 'apt-get install xvfb' in result.stderr


def test_lowest_pins_each_direct_dependency(tmp_path: Path) -> None:
    assert run('lowest.py', str(tmp_path / 'pins.txt')).returncode == 0
    pins = (tmp_path / 'pins.txt').read_text(encoding='utf-8').split()
    assert 'napari==0.9' in pins
    assert 'zarr==3.0.8' in pins
    assert all('==' in pin for pin in pins)

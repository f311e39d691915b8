"""What every test gets: a home of its own, no network, and reference data where they exist."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings

# Before anything imports torch or napari: both read these once. Two threads are plenty for
# test-sized models, and waiting ones that sleep do not fight over a small or busy machine.
os.environ.setdefault('OMP_NUM_THREADS', '2')
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
os.environ.setdefault('NAPARI_ENSURE_PLUGIN_MAIN_THREAD', '1')

# napari notes where its settings are once, at its import, which may come with the first test.
_SETTINGS = TemporaryDirectory(prefix='napari-mobilesam-tests-')
os.environ['NAPARI_CONFIG'] = str(Path(_SETTINGS.name) / 'settings.yaml')

# No deadline: a busy machine is no bug. The same examples each time: a failure can be repeated.
settings.register_profile('repeatable', deadline=None, derandomize=True, database=None)
settings.load_profile('repeatable')

# Some tests bring triton in (torchvision, ONNX export, the meta device). Its LLVM has to be there
# before Mesa's, which comes with the first canvas, or the process dies. The plugin itself never
# imports it: tests/mobile_sam/modeling/test_common.py holds that.
with suppress(ImportError):
    import triton  # noqa: F401

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Keep settings, caches and environment of whoever runs the tests out of them."""
    home = tmp_path_factory.mktemp('home')
    for name in list(os.environ):
        if name.startswith('NAPARI_MOBILESAM_'):
            monkeypatch.delenv(name)
    monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'cache'))
    monkeypatch.setenv('XDG_CONFIG_HOME', str(home / 'config'))
    monkeypatch.setenv('XDG_DATA_HOME', str(home / 'data'))
    monkeypatch.setenv('NAPARI_MOBILESAM_OFFLINE', '1')
    monkeypatch.setenv('NAPARI_ENSURE_PLUGIN_MAIN_THREAD', '1')
    yield home
    if 'napari_mobilesam.widgets.options' in sys.modules:
        from napari.settings import get_plugin_settings

        # as the next test expects them: what a widget keeps outlives it
        get_plugin_settings('napari-mobilesam').reset()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sockets reach this machine only: a test that needs a server starts one on loopback."""
    connect = socket.socket.connect
    connect_ex = socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo

    def check(host: Any) -> None:
        if isinstance(host, bytes):
            host = host.decode()
        if host not in (None, '', 'localhost', '::1') and not str(host).startswith('127.'):
            raise OSError(f'tests may reach loopback only, and this one wanted {host!r}')

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, 'connect', guarded_connect)
    monkeypatch.setattr(socket.socket, 'connect_ex', guarded_connect_ex)
    monkeypatch.setattr(socket, 'getaddrinfo', guarded_getaddrinfo)


@pytest.fixture(scope='session')
def shared() -> Path:
    """Give the folder of reference data beside the checkout, or skip where there is none."""
    folder = REPOSITORY.parent / 'shared'
    if not folder.is_dir():
        pytest.skip(f'needs the reference data in {folder}, which lie outside the repository')
    return folder


@pytest.fixture(scope='session')
def goldens(shared: Path) -> Path:
    """Give the folder of golden outputs of the reference implementation."""
    folder = shared / 'goldens'
    if not folder.is_dir():
        pytest.skip(f'needs the golden outputs in {folder}')
    return folder

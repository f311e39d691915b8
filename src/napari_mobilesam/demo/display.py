"""Whether a window can be opened here, found out without trying: without a display Qt aborts."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import sys
from collections.abc import Mapping

# Platforms of Qt that draw nothing; napari gets no OpenGL from any of them.
_BLIND_PLATFORMS = ('offscreen', 'minimal', 'minimalegl', 'vnc', 'linuxfb')


def has_display(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Whether there is a display that napari could open a window on.

    Parameters
    ----------
    environment : mapping of str to str, optional
        By default that of this process.
    platform : str
        As `sys.platform`.
    """
    environment = os.environ if environment is None else environment
    if environment.get('QT_QPA_PLATFORM', '').split(':')[0] in _BLIND_PLATFORMS:
        return False
    if platform in ('win32', 'darwin'):
        return True
    if environment.get('WAYLAND_DISPLAY'):
        return True
    return _answers(environment.get('DISPLAY', ''))


def has_qt() -> bool:
    """Whether a Qt binding is installed; none is imported to find out."""
    return any(importlib.util.find_spec(name) for name in ('PyQt6', 'PySide6', 'PyQt5'))


def _answers(display: str) -> bool:
    """Whether an X display is there: a local one must accept a connection, others are believed.

    DISPLAY often outlives its server (a closed ssh session, a stopped Xvfb).
    """
    local = re.fullmatch(r'(?:unix)?:(\d+)(?:\.\d+)?', display)
    if local is None or not hasattr(socket, 'AF_UNIX'):
        return bool(display)
    path = f'/tmp/.X11-unix/X{local[1]}'
    # Linux servers may listen on a name outside of the file system ("abstract") alone.
    for address in (path, f'\0{path}'):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            try:
                client.connect(address)
            except OSError:
                continue
            return True
    return False

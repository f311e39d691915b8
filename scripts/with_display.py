"""Run a command with a display: the one at hand, or else one in memory (Xvfb).

python scripts/with_display.py pytest
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys


def has_display() -> bool:
    """Tell whether windows can be opened, without a GUI library to try it with."""
    if not sys.platform.startswith('linux') or os.environ.get('WAYLAND_DISPLAY'):
        return True
    display = os.environ.get('DISPLAY', '')
    local = re.fullmatch(r'(?:unix)?:(\d+)(?:\.\d+)?', display)
    if not local:
        return bool(display)  # forwarded from another machine: trust it
    # DISPLAY may outlive its server: knock. The zero byte is Linux's abstract namespace.
    for name in (f'/tmp/.X11-unix/X{local[1]}', f'\0/tmp/.X11-unix/X{local[1]}'):
        with socket.socket(socket.AF_UNIX) as knock:
            if knock.connect_ex(name) == 0:
                return True
    return False


def main() -> int:
    """Run the command line that follows."""
    command = sys.argv[1:]
    if not command:
        sys.exit(f'expected a command to run, found none\n\n{__doc__}')
    if not has_display():
        xvfb = shutil.which('xvfb-run')
        if xvfb is None:
            sys.exit(
                'expected a display or xvfb-run to make one with, found neither; on Debian and '
                'Ubuntu: apt-get install xvfb xauth'
            )
        # Without -noreset the server starts afresh whenever its last window closes, and loses it.
        command = [xvfb, '-a', '-s', '-screen 0 1920x1200x24 +extension GLX -noreset', *command]
    return subprocess.run(command, check=False).returncode


if __name__ == '__main__':
    sys.exit(main())

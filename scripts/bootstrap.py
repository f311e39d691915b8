"""From a bare machine to the demo or to the tests, in one command.

    python3 scripts/bootstrap.py demo [arguments of `napari-mobilesam demo`]
    python3 scripts/bootstrap.py test [arguments of tox, or after `--` of pytest]

Needs Python and nothing else. As root on Debian or Ubuntu the system libraries that are missing are
installed with apt-get; elsewhere they are named. Python packages go to `.venv/` and `.tox/` in this
checkout and nowhere else. Where everything is there already, nothing is fetched.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)

# Debian's packages, and the library by which other Linuxes tell that they have the same.
LIBRARIES = {
    'libdbus-1-3': 'libdbus-1.so.3',
    'libegl1': 'libEGL.so.1',
    'libfontconfig1': 'libfontconfig.so.1',
    'libgl1': 'libGL.so.1',
    'libgl1-mesa-dri': '',
    'libglib2.0-0': 'libglib-2.0.so.0',
    'libglx-mesa0': '',
    'libgssapi-krb5-2': 'libgssapi_krb5.so.2',
    'libopengl0': 'libOpenGL.so.0',
    'libx11-xcb1': 'libX11-xcb.so.1',
    'libxcb-cursor0': 'libxcb-cursor.so.0',
    'libxcb-icccm4': 'libxcb-icccm.so.4',
    'libxcb-image0': 'libxcb-image.so.0',
    'libxcb-keysyms1': 'libxcb-keysyms.so.1',
    'libxcb-randr0': 'libxcb-randr.so.0',
    'libxcb-render-util0': 'libxcb-render-util.so.0',
    'libxcb-shape0': 'libxcb-shape.so.0',
    'libxcb-sync1': 'libxcb-sync.so.1',
    'libxcb-util1': 'libxcb-util.so.1',
    'libxcb-xfixes0': 'libxcb-xfixes.so.0',
    'libxcb-xinerama0': 'libxcb-xinerama.so.0',
    'libxcb-xkb1': 'libxcb-xkb.so.1',
    'libxkbcommon-x11-0': 'libxkbcommon-x11.so.0',
}
# A screen in memory, for tests on machines that have none.
SCREEN = {'xauth': '', 'xvfb': ''}


def say(text: str) -> None:
    """Tell the person at the terminal what happens next."""
    print(f'[bootstrap] {text}', flush=True)


def run(command: Sequence[str | Path], *, folder: Path = ROOT, **variables: str) -> int:
    """Run a command, showing it, and give its exit status."""
    say('$ ' + ' '.join(str(part) for part in command))
    return subprocess.run(
        [str(part) for part in command], cwd=folder, env={**os.environ, **variables}, check=False
    ).returncode


def insist(command: Sequence[str | Path], **variables: str) -> None:
    """Run a command without which there is no going on."""
    status = run(command, **variables)
    if status:
        sys.exit(f'[bootstrap] the command above failed with exit status {status}; see its output')


def debian_missing(packages: Sequence[str]) -> list[str]:
    """Ask dpkg, which needs no network, which of the packages are not installed."""
    # Debian 13 and Ubuntu 24.04 renamed some packages for 64-bit time: libX is there as libXt64.
    names = [name for package in packages for name in (package, f'{package}t64')]
    answer = subprocess.run(
        ['dpkg-query', '--show', '--showformat', '${Package} ${db:Status-Status}\n', *names],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    installed = {line.split()[0] for line in answer.splitlines() if line.endswith(' installed')}
    return [name for name in packages if not {name, f'{name}t64'} & installed]


def loadable(library: str) -> bool:
    """Tell whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def system_libraries(wanted: dict[str, str]) -> None:
    """Bring the system libraries that Qt and OpenGL need, or say which are missing."""
    if not sys.platform.startswith('linux'):
        return  # the wheels of Windows and macOS carry all they need
    if not shutil.which('dpkg-query'):
        missing = [name for name, library in wanted.items() if library and not loadable(library)]
        if 'xvfb' in wanted and not shutil.which('xvfb-run'):
            missing.append('xvfb')
        if missing:
            say(
                'missing system libraries, by the names of Debian: '
                f'{" ".join(missing)}. Install what your distribution calls them; going on without.'
            )
        return
    packages = [*wanted, *([] if venv_works() else ['python3-venv'])]
    missing = debian_missing(packages)
    if not missing:
        return
    if os.geteuid() != 0:
        say(f'missing system libraries; as root: apt-get install {" ".join(missing)}; going on')
        return
    say(f'installing system libraries: {" ".join(missing)}')
    quiet = {'DEBIAN_FRONTEND': 'noninteractive'}
    insist(['apt-get', 'update', '-q'], **quiet)
    insist(['apt-get', 'install', '-q', '-y', '--no-install-recommends', *missing], **quiet)


def venv_works() -> bool:
    """Tell whether this Python can make a virtual environment with pip in it."""
    probe = [sys.executable, '-c', 'import ensurepip, venv']
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def environment(name: str) -> Path:
    """Make the virtual environment `.venv/name` if need be, and give the path of its Python."""
    folder = ROOT / '.venv' / name
    python = folder / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    # A half-made one, or one whose Python has since gone, is made anew.
    if not (folder / 'ready').is_file() or not python.exists():
        insist([sys.executable, '-m', 'venv', '--clear', folder])
        insist([python, '-m', 'pip', 'install', '--quiet', '--upgrade', 'pip'])
        (folder / 'ready').touch()
    return python


def demo(arguments: Sequence[str]) -> int:
    """Install the plugin with its Qt binding, and run its demo."""
    system_libraries(LIBRARIES)
    python = environment('demo')
    say('installing napari-mobilesam; the first time this fetches PyTorch and takes minutes')
    insist([python, '-m', 'pip', 'install', '--quiet', '.[all]'])
    script = shutil.which('napari-mobilesam', path=str(python.parent))
    # In the caller's folder: that is what relative paths among the arguments mean.
    return run([script or 'napari-mobilesam', 'demo', *arguments], folder=Path.cwd())


def test(arguments: Sequence[str]) -> int:
    """Install tox, and let it do the rest: tox.ini defines the test run."""
    system_libraries({**LIBRARIES, **SCREEN})
    python = environment('test')
    insist([python, '-m', 'pip', 'install', '--quiet', 'tox>=4.22'])
    say('running the tests; the first time this fetches PyTorch and takes minutes')
    return run([python, '-m', 'tox', 'run', '-e', 'py', *arguments])


def main() -> int:
    """Read the command line."""
    if sys.version_info < OLDEST:
        sys.exit(
            f'napari-mobilesam needs Python {".".join(map(str, OLDEST))} or newer; this is '
            f'{sys.version.split()[0]} ({sys.executable}). Run this script with a newer one, '
            'for example: python3.12 scripts/bootstrap.py demo'
        )
    commands = {'demo': demo, 'test': test}
    name = sys.argv[1] if len(sys.argv) > 1 else 'nothing'
    if name not in commands:
        sys.exit(f'expected "demo" or "test", found {name!r}\n\n{__doc__}')
    return commands[name](sys.argv[2:])


if __name__ == '__main__':
    sys.exit(main())

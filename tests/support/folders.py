"""What is in a folder, for tests that must leave it alone."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def contents(folder: Path) -> dict[str, str]:
    """Return what is in a folder, links not followed."""
    found = {}
    for path in sorted(folder.rglob('*')):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f'-> {os.readlink(path)}'
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = 'other'
    return found

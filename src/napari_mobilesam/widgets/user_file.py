"""Small things that the widget remembers from one day to the next, as JSON files of the user's."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

# What we write has a few hundred bytes: anything large is not ours.
_LARGEST = 2**20


class UserFile:
    """One JSON object in the user's configuration folder.

    Reading never fails: what is missing, damaged or not ours counts as empty. Writing is best
    effort, and all or nothing.

    Parameters
    ----------
    name
        Name of the file, without folders.
    folder
        By default the folder for this plugin's configuration.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        if folder is None:
            from platformdirs import user_config_path

            folder = user_config_path('napari-mobilesam', appauthor=False)
        self.path = folder / name

    def read(self) -> dict[str, Any]:
        """Return what was written last, or nothing."""
        with suppress(OSError, ValueError, RecursionError):
            if self.path.stat().st_size <= _LARGEST:
                content = json.loads(self.path.read_text(encoding='utf-8'))
                if isinstance(content, dict):
                    return content
        return {}

    def write(self, content: dict[str, Any]) -> bool:
        """Replace the file; say whether that worked."""
        part = self.path.with_name(f'{self.path.name}.{os.getpid()}.part')
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(content, indent=1), encoding='utf-8')
            part.replace(self.path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            return False
        return True

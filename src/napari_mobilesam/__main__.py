"""``python -m napari_mobilesam`` is ``napari-mobilesam``."""

from __future__ import annotations

from .cli import app

if __name__ == '__main__':
    app()

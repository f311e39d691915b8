"""What the user set in napari's preferences: read when the widget opens, and followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connections import Connections

PLUGIN = 'napari-mobilesam'


@dataclass(frozen=True, slots=True)
class Options:
    """The plugin's settings, with the defaults of the manifest.

    Attributes
    ----------
    checkpoint
        Name or path of a checkpoint.
    device
        `'auto'`, `'cpu'`, `'cuda'` or `'mps'`.
    precision
        `'float32'` or `'bfloat16'`, where the device gains by it.
    cache_mib
        Memory for embeddings, in MiB.
    disk_gib
        Disk space for embeddings, in GiB; 0 keeps none there.
    cache_folder
        Where they are kept on disk; empty for the user's cache folder.
    intensity
        Mode of the intensity mapping: `'percentile'`, `'stack'`, `'displayed'` or `'full'`.
    overlap
        `'keep'` or `'replace'`.
    colours
        `'id'` or `'class'`: what gives objects their colour.
    hover
        Whether what a click would give is shown under the mouse.
    strip_below
        Whether the strip of slices is below the viewer's sliders, not in the dock.
    """

    checkpoint: str = 'mobile_sam'
    device: str = 'auto'
    precision: str = 'float32'
    cache_mib: int = 512
    disk_gib: int = 10
    cache_folder: str = ''
    intensity: str = 'percentile'
    overlap: str = 'keep'
    colours: str = 'id'
    hover: bool = True
    strip_below: bool = False


# Where each of them is found in the preferences.
_PLACES = {
    'checkpoint': 'model',
    'device': 'model',
    'precision': 'model',
    'cache_mib': 'model',
    'disk_gib': 'model',
    'cache_folder': 'model',
    'intensity': 'picture',
    'overlap': 'labels',
    'colours': 'labels',
    'hover': 'prompts',
    'strip_below': 'stacks',
}


def _settings() -> Any:
    """Return the plugin's settings, or None where napari does not know the plugin."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:  # the package is on the path, but not installed
        return None


def read_options() -> Options:
    """Return the settings, or the defaults where napari does not know the plugin."""
    settings = _settings()
    if settings is None:
        return Options()
    return Options(
        **{name: getattr(getattr(settings, place), name) for name, place in _PLACES.items()}
    )


def watch_options(connections: Connections, callback: Callable[[Options], object]) -> None:
    """Call back with all options whenever the user changes one, until the connections close."""
    settings = _settings()
    if settings is None:
        return

    def changed(_value: object = None) -> None:
        callback(read_options())

    for name, place in _PLACES.items():
        connections.connect(getattr(getattr(settings, place).events, name), changed)


def keep_option(name: str, value: object) -> None:
    """Write one option into the preferences, as if the user had changed it there."""
    settings = _settings()
    if settings is not None and getattr(getattr(settings, _PLACES[name]), name) != value:
        setattr(getattr(settings, _PLACES[name]), name, value)

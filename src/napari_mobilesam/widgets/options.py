"""What the user set in napari's preferences, read once when the widget opens."""

from __future__ import annotations

from dataclasses import dataclass

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
    cache_mib
        Memory for embeddings, in MiB.
    disk_gib
        Disk space for embeddings, in GiB; 0 keeps none there.
    cache_folder
        Where they are kept on disk; empty for the user's cache folder.
    intensity
        Mode of the intensity mapping: `'percentile'`, `'displayed'` or `'full'`.
    overlap
        `'keep'` or `'replace'`.
    """

    checkpoint: str = 'mobile_sam'
    device: str = 'auto'
    cache_mib: int = 512
    disk_gib: int = 10
    cache_folder: str = ''
    intensity: str = 'percentile'
    overlap: str = 'keep'


def read_options() -> Options:
    """Return the settings, or the defaults where napari does not know the plugin."""
    from napari.settings import get_plugin_settings

    try:
        settings = get_plugin_settings(PLUGIN)
    except KeyError:  # the package is on the path, but not installed
        return Options()
    return Options(
        checkpoint=settings.model.checkpoint,
        device=settings.model.device,
        cache_mib=settings.model.cache_mib,
        disk_gib=settings.model.disk_gib,
        cache_folder=settings.model.cache_folder,
        intensity=settings.picture.intensity,
        overlap=settings.labels.overlap,
    )

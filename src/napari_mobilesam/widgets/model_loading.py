"""What the worker does about models: which there are, and loading one. No napari, no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_mobilesam.engine import Segmenter

OFFICIAL = 'mobile_sam'
DEVICES = ('auto', 'cpu', 'cuda', 'mps')


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that can be chosen.

    Attributes
    ----------
    name
        By which it is chosen: a name of the registry, or a path.
    ready
        Whether it is on this computer.
    size
        Bytes of the file, where known.
    purpose, licence, source
        As the registry has them.
    """

    name: str
    ready: bool
    size: int | None = None
    purpose: str = ''
    licence: str = ''
    source: str = ''

    @property
    def title(self) -> str:
        """Name, and whether it is here or what it costs to fetch."""
        name = Path(self.name).name
        if self.ready:
            return f'{name} · ready'
        return f'{name} · downloads {megabytes(self.size)}'


@dataclass(frozen=True, slots=True)
class LoadedSegmenter:
    """A segmenter, and what to tell the user about it.

    Attributes
    ----------
    segmenter
        The model.
    title
        Its name, one or two words.
    notice
        What the user has to know: above all that it is not what was asked for.
    official_offered
        Whether the official checkpoint is not here and could be fetched.
    """

    segmenter: Segmenter
    title: str
    notice: str = ''
    official_offered: bool = False

    @property
    def device(self) -> str:
        """Where it runs, as far as it says."""
        return str(getattr(self.segmenter, 'device', ''))

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those worth choosing on the device in use, which may have become the CPU."""
        return tuple(getattr(self.segmenter, 'precisions', ()))

    @property
    def backend(self) -> str:
        """What computes, as far as it says."""
        return str(getattr(self.segmenter, 'backend', ''))


def megabytes(size: int | None) -> str:
    """Say a size of a file; nothing exact where nobody knows it."""
    if size is None:
        return 'a file of unknown size'
    return f'{size / 1e6:,.1f} MB' if size < 1e8 else f'{size / 1e6:,.0f} MB'


def survey(own: str = '') -> tuple[ModelEntry, ...]:
    """List the models to choose from; looks at the disk, but reads no file.

    Parameters
    ----------
    own
        Path of a file of the user's, listed too.
    """
    from mobile_sam import checkpoints

    entries = []
    for info in (checkpoints.BUNDLED, *checkpoints.REGISTRY.values()):
        path = checkpoints.locate(info.name)
        if path is None and info is checkpoints.BUNDLED:
            continue
        size = info.size if path is None else path.stat().st_size
        entries.append(
            ModelEntry(info.name, path is not None, size, info.purpose, info.licence, info.source)
        )
    if own and own not in {entry.name for entry in entries}:
        path = Path(own).expanduser()
        size = path.stat().st_size if path.is_file() else None
        entries.append(ModelEntry(own, True, size, 'Your own file.', '', str(path.parent)))
    return tuple(entries)


def usable_device(wanted: str) -> tuple[str, str]:
    """Return the device to use, and what to tell the user where it is not the wanted one."""
    import torch

    kind = wanted.partition(':')[0]
    if kind not in ('cuda', 'mps'):
        return wanted, ''
    if torch.cuda.is_available() if kind == 'cuda' else torch.backends.mps.is_available():
        return wanted, ''
    return 'cpu', f'There is no {wanted} device here that torch can use: the CPU does the work.'


def load_checkpoint(
    checkpoint: str,
    device: str,
    on_notice: Callable[[str], None] | None = None,
    precision: str = 'float32',
) -> LoadedSegmenter:
    """Load a checkpoint that is on this computer, or the bundled one: for the worker.

    Parameters
    ----------
    checkpoint
        A name of the registry, or a path.
    device
        `'auto'`, `'cpu'`, `'cuda'` or `'mps'`.
    on_notice
        Told later, on the worker's thread, when the device ran out of memory.
    precision
        `'float32'`, or another one of those that the segmenter offers then.

    Raises
    ------
    mobile_sam.checkpoints.CheckpointError
        If there is none, or it cannot be used.
    """
    from mobile_sam import checkpoints
    from napari_mobilesam.engine import SamSegmenter

    found = checkpoints.find(checkpoint, allow_download=False)
    loaded = checkpoints.load_model(found.path)
    name = found.info.name if found.info is not None else found.path.name
    used, remark = usable_device(device)
    segmenter = SamSegmenter(loaded, used, on_notice, precision)
    return LoadedSegmenter(
        segmenter=segmenter,
        title=name,
        notice=' '.join(filter(None, (found.notice, loaded.notice, remark))),
        # Not where the user's own file stands in: they know what they want.
        official_offered=checkpoint == OFFICIAL and name == checkpoints.BUNDLED_NAME,
    )

"""Reading what others wrote: checkpoint files, of which nothing is believed.

Three fences, one behind the other: the file's beginning must be that of a checkpoint; the names
its pickle refers to are listed without unpickling it; and torch then loads it with
``weights_only=True``.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

from .errors import (
    CheckpointNotFoundError,
    DamagedCheckpointError,
    IncompatibleCheckpointError,
    UnsafeCheckpointError,
)

_ZIP = b'PK\x03\x04'
_PICKLE = b'\x80'  # of protocol 2 and later, which is what torch.save writes
# The first one that is there counts: of a training run's state it is the averaged weights.
_WRAPPERS = ('average', 'model_state', 'state_dict', 'model')

_ELSE = (
    (b'', 'an empty file'),
    (b'\x89PNG', 'a PNG picture'),
    (b'\xff\xd8\xff', 'a JPEG picture'),
    (b'II*\x00', 'a TIFF picture'),
    (b'MM\x00*', 'a TIFF picture'),
    (b'\x89HDF', 'an HDF5 file'),
    (b'version https://git-lfs', 'a Git LFS pointer, not the file it points to (git lfs pull)'),
    (b'<', 'a web page or XML'),
)

# What a file of tensors refers to: containers, tensor rebuilding, storages, dtypes. torch checks
# again, and more strictly; this list only has to tell "carries code" from "is damaged".
_HARMLESS = re.compile(
    r'collections (OrderedDict|defaultdict|Counter)'
    r'|torch\._utils _rebuild_\w+'
    r'|torch\._tensor _rebuild_\w+'
    r'|torch\.nn\.parameter (Parameter|Buffer)'
    r'|torch\.storage (Typed|Untyped)Storage'
    r'|torch(\.cuda)? (\w+Storage|Size|device|Tensor|(u?int|b?float|complex|bool|half|double)\w*)'
    r'|torch\.serialization _get_layout'
    r'|_codecs encode'
)


def read_tensors(path: Path) -> tuple[dict[str, Any], str | None]:
    """Read the tensors of a checkpoint file without running anything it carries.

    Parameters
    ----------
    path : Path
        A file of torch.save, in the zip or the older pickle format.

    Returns
    -------
    state : dict of str to Tensor
        As they lie in the file, perhaps mapped from it: any dtype, names as stored.
    note : str or None
        Which other entries of the file were left out.

    Raises
    ------
    CheckpointNotFoundError, DamagedCheckpointError, UnsafeCheckpointError
    IncompatibleCheckpointError
        It holds something other than named tensors.
    """
    if not path.is_file():
        found = 'a folder' if path.is_dir() else 'nothing'
        raise CheckpointNotFoundError(
            f'Expected a checkpoint file at {str(path)!r}, found {found}. Check the path.'
        )
    try:
        with path.open('rb') as stream:
            head = stream.read(64)
            if head.startswith(_ZIP):
                _check_zip(path)
            else:
                _check_pickle(path, stream, head)
        content = _load(path, mmap=head.startswith(_ZIP))
    except OSError as error:
        raise DamagedCheckpointError(
            f'{path} cannot be read: {error}. Check its permissions and the disk.'
        ) from error
    except (MemoryError, OverflowError) as error:
        raise _damaged(path, 'it asks for more memory than there is') from error
    return _unwrap(path, content)


def _load(path: Path, *, mmap: bool) -> Any:
    import torch

    try:
        # Mapped: what is left out later (an optimiser's state, another decoder) is never read.
        return torch.load(path, map_location='cpu', weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        if re.search(r'GLOBAL|REDUCE|reduce|[Uu]nsupported (global|class)', str(error)):
            raise _unsafe(path, ['something torch does not trust']) from error
        raise _damaged(path, _first_line(error)) from error
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        # What torch raises over bytes that make no sense, depending on where sense ends.
        raise _damaged(path, _first_line(error)) from error


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise _damaged(path, 'its parts are compressed, which torch.save never does')
            pickles = [member for member in members if member.filename.endswith('.pkl')]
            if not any(Path(member.filename).name == 'data.pkl' for member in pickles):
                raise _damaged(path, 'it is a zip archive, but not one that torch.save wrote')
            names: list[str] = []
            for member in pickles:
                with archive.open(member) as stream:
                    names += _foreign(stream)
            if names:
                raise _unsafe(path, names)
            # torch itself does not compare checksums, so a flipped bit would go unseen.
            broken = archive.testzip()
            if broken is not None:
                raise _damaged(path, f'the checksum of its part {broken!r} does not fit')
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        raise _damaged(path, f'it is cut short or broken ({error})') from error


def _check_pickle(path: Path, stream: BinaryIO, head: bytes) -> None:
    stream.seek(0)
    names = []
    try:
        # The older format is five pickles one after the other, then the numbers.
        for _ in range(5):
            names += _foreign(stream)
    except ValueError:
        pass  # not a pickle, or no further one; what was listed so far counts
    if names:
        raise _unsafe(path, names)
    if not head.startswith(_PICKLE):
        found = next((what for mark, what in _ELSE if mark and head.startswith(mark)), None)
        if not head:
            found = _ELSE[0][1]
        elif found is None:
            found = 'text' if head.isascii() and b'\x00' not in head else f'bytes {head[:8]!r}…'
        raise DamagedCheckpointError(
            f'Expected a checkpoint written by torch.save at {str(path)!r}, found {found}. Choose '
            'a .pt or .pth file, or download it again.'
        )


def _foreign(stream: IO[bytes]) -> list[str]:
    """List what one pickle refers to beyond tensors, without executing any of it."""
    return sorted({name for name in _references(stream) if not _HARMLESS.fullmatch(name)})


def _references(stream: IO[bytes]) -> Iterator[str]:
    strings: list[str] = ['?', '?']
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in {'GLOBAL', 'INST'}:
            yield str(argument)
        elif opcode.name == 'STACK_GLOBAL':
            # Module and name are, but for memo tricks, the last two strings; even where the
            # guess is wrong, the name is not harmless and the file is refused.
            name = ' '.join(strings[-2:])
            yield name if not _HARMLESS.fullmatch(name) else f'{name} (by protocol 4)'
        elif opcode.name.startswith('EXT'):
            yield f'extension {argument}'
        elif isinstance(argument, str):
            strings = [strings[-1], argument]


def _unwrap(path: Path, content: Any) -> tuple[dict[str, Any], str | None]:
    """Find the state dict in what was loaded."""
    import torch

    if isinstance(content, Mapping):
        wrapper = next((k for k in _WRAPPERS if isinstance(content.get(k), Mapping)), None)
        state = content if wrapper is None else content[wrapper]
        if state and all(
            isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
        ):
            others = [] if wrapper is None else [str(key) for key in content if key != wrapper]
            note = f'Left out of {path.name}: {", ".join(others)}.' if others else None
            return dict(state), note
        keys = ', '.join(repr(key)[:60] for key in list(content)[:5])
        found = f'a dictionary with {len(content)} entries ({keys})'
    else:
        found = f'a {type(content).__name__}'
    raise IncompatibleCheckpointError(
        f'Expected a state dict (names and tensors) in {str(path)!r}, bare or under '
        f'{", ".join(_WRAPPERS)}; found {found}. Save it with '
        'torch.save(model.state_dict(), path).'
    )


def _unsafe(path: Path, names: list[str]) -> UnsafeCheckpointError:
    shown = ', '.join(repr(name.replace(' ', '.'))[:100] for name in names[:3])
    return UnsafeCheckpointError(
        f'{str(path)!r} is unsafe: expected nothing but tensors, found references to {shown}, '
        'which could run code. It was not loaded. If you trust whoever made it, save only its '
        'weights, with torch.save(model.state_dict(), path), where it was made.'
    )


def _damaged(path: Path, reason: str) -> DamagedCheckpointError:
    return DamagedCheckpointError(
        f'Expected a complete checkpoint at {str(path)!r}, found a damaged one: {reason}. '
        'Download or copy it again.'
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0][:200]}' if lines else type(error).__name__

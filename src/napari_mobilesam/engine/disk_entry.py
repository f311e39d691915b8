"""One embedding on disk: a zarr v3 array in a folder, checked to the last bit when read.

zarr makes the bytes and reads them, in memory; files are our own affair. Its store for files would
keep up to a dozen threads for them, which never end.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from .embedding import Embedding

# Of the attributes; another version is not ours to read.
_VERSION = 1
_NAME = 'napari_mobilesam'
# A description takes 1 KiB. What is larger was made to exhaust memory.
_LARGEST_DESCRIPTION = 2**16
# 2**24 values are eight times what any SAM gives.
_LARGEST_SIZE = 2**24
_CRC_BYTES = 4
_CODECS = ['bytes', 'crc32c']
# Where a zarr v3 array of three axes has its description, and its one chunk.
_DESCRIPTION = 'zarr.json'
_CHUNK = 'c/0/0/0'


class DamagedEntryError(ValueError):
    """What lies there is not, or no longer, the embedding that it should be."""


def write_entry(folder: Path, embedding: Embedding) -> int:
    """Write an embedding into a new folder, and wait until it is on the disk.

    Parameters
    ----------
    folder : Path
        Must not exist yet. Nobody may look at it before this function returned.
    embedding : Embedding
        What to write.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    OSError
        The disk is full, or the place cannot be written to.
    """
    import zarr
    from zarr.codecs import Crc32cCodec

    features = embedding.features
    made: dict[str, Any] = {}
    array = zarr.create_array(
        made,
        shape=features.shape,
        chunks=features.shape,
        dtype='float16',
        filters=None,
        # Not compressed: features are noise to a compressor, and 2 MiB are read in no time.
        compressors=[Crc32cCodec()],
        fill_value=0,
        zarr_format=3,
        config={'write_empty_chunks': True},
        dimension_names=('channel', 'row', 'column'),
        attributes={
            _NAME: {
                'version': _VERSION,
                'key': embedding.key,
                'original_size': list(embedding.original_size),
                'input_size': list(embedding.input_size),
                'checksum': _checksum(embedding),
            }
        },
    )
    array[...] = features
    folder.mkdir()
    # Folders are left to the journal of the file system: should one be lost with the power, the
    # entry is found to be damaged, and each wait for a busy disk costs more than an encode.
    for name in (_DESCRIPTION, _CHUNK):
        _write(folder / name, made[name].to_bytes())
    return entry_nbytes(folder)


def read_entry(folder: Path, key: str) -> Embedding:
    """Read an embedding.

    Parameters
    ----------
    folder : Path
        Where `write_entry` put it.
    key : str
        Which embedding it has to be.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    DamagedEntryError
        If a bit of it is not as it was written, or it was not written by `write_entry`.
    OSError
        If it cannot be read.
    """
    if folder.is_symlink():
        raise DamagedEntryError('it is a link to somewhere else')
    text, shape, attributes = _read_description(folder / _DESCRIPTION, key)
    expected = int(np.prod(shape)) * 2 + _CRC_BYTES
    with (folder / _CHUNK).open('rb') as file:
        found = os.fstat(file.fileno()).st_size
        if found != expected:
            raise DamagedEntryError(f'its data have {found} bytes instead of {expected}')
        chunk = file.read(expected)
    try:
        import zarr
        from zarr.core.buffer import default_buffer_prototype

        buffer = default_buffer_prototype().buffer
        files = {_DESCRIPTION: buffer.from_bytes(text), _CHUNK: buffer.from_bytes(chunk)}
        features = np.asarray(zarr.open_array(files, mode='r', zarr_format=3)[...])
        embedding = Embedding(
            features, attributes['original_size'], attributes['input_size'], attributes['key']
        )
    except OSError:
        raise
    except Exception as error:  # zarr and its codecs raise what they like over bad bytes
        raise DamagedEntryError(f'it cannot be decoded ({error})') from error
    if _checksum(embedding) != attributes['checksum']:
        raise DamagedEntryError('its checksum does not match')
    return embedding


def entry_nbytes(folder: Path) -> int:
    """Return how many bytes an entry takes; quick, nothing is read."""
    total = 0
    for path in _files(folder):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / _DESCRIPTION, folder / _CHUNK


def _write(path: Path, content: bytes) -> None:
    """Write a file, and wait until it is on the disk, where its file system knows what that is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('xb') as file:
        file.write(content)
        file.flush()
        with suppress(OSError):
            os.fsync(file.fileno())


def _read_description(path: Path, key: str) -> tuple[bytes, tuple[int, ...], dict[str, Any]]:
    """Check that a ``zarr.json`` describes the very array that `write_entry` makes."""
    with path.open('rb') as file:
        text = file.read(_LARGEST_DESCRIPTION + 1)
    if len(text) > _LARGEST_DESCRIPTION:
        raise DamagedEntryError('its description is far too long')
    try:
        description = json.loads(text)
        attributes = description['attributes'][_NAME]
        shape = tuple(int(size) for size in description['shape'])
        whole = description['chunk_grid']['configuration']['chunk_shape']
        fits = (
            description['zarr_format'] == 3
            and description['node_type'] == 'array'
            and description['data_type'] == 'float16'
            and [codec['name'] for codec in description['codecs']] == _CODECS
            and tuple(whole) == shape
            and len(shape) == 3
            and min(shape) > 0
            and int(np.prod(shape, dtype=object)) <= _LARGEST_SIZE
            and attributes['version'] == _VERSION
            and all(len(attributes[name]) == 2 for name in ('original_size', 'input_size'))
            and isinstance(attributes['checksum'], str)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedEntryError('its description cannot be read') from error
    if not fits:
        raise DamagedEntryError('its description is not that of an embedding')
    if attributes['key'] != key:
        raise DamagedEntryError(f'it is the embedding {attributes["key"]!r:.60}')
    return text, shape, attributes


def _checksum(embedding: Embedding) -> str:
    """Sum up everything of an embedding; against accidents, not against forgery."""
    state = xxhash.xxh3_128()
    sizes = (embedding.features.shape, embedding.original_size, embedding.input_size)
    state.update(repr((_VERSION, embedding.key, sizes)).encode())
    state.update(np.ascontiguousarray(embedding.features).data)
    return state.hexdigest()

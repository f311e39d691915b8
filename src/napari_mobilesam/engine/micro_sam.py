"""Embedding stores of micro-sam: read into ours and written from it.

A store is a zarr array ``features``, (1, 256, 64, 64) for a picture or (Z, 1, 256, 64, 64) for a
stack, float32, in a group whose attributes say of which image and model it is. It is read with
distrust: it may come from anywhere.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from .cancel import CancelToken
from .embedding import Embedding
from .fingerprint import fingerprint
from .plane import PlaneSource
from .segmenter import Segmenter
from .store import EmbeddingStore

_FEATURES = (256, 64, 64)
_CHUNK_BYTES = 4 * 256 * 64 * 64
# gzip and the like make little of noise; a chunk that is larger than its values is none.
_LARGEST_CHUNK = _CHUNK_BYTES + 2**16
_LARGEST_JSON = 2**18
_MOST_SLICES = 100_000
_CODECS = {'bytes', 'crc32c', 'gzip', 'zstd', 'blosc'}


class ForeignStoreError(ValueError):
    """A store cannot be used; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class MicroSamStore:
    """A store that was looked at, but of which no embedding was read yet. Make one with `open`.

    Parameters
    ----------
    folder : Path
        Where it lies.
    count : int
        Number of slices.
    flat : bool
        Whether it is of a picture, not of a stack.
    data_signature, model_hash, model_name : str
        What it says of image and model.
    original_size, input_size : tuple of (int, int)
        As in `Embedding`.
    """

    folder: Path
    count: int
    flat: bool
    data_signature: str
    model_hash: str
    model_name: str
    original_size: tuple[int, int]
    input_size: tuple[int, int]

    @classmethod
    def open(cls, folder: Path) -> MicroSamStore:
        """Look at a store.

        Raises
        ------
        ForeignStoreError
            If there is none, or not one that can be read safely.
        """
        attributes = _attributes(folder)
        features = folder / 'features'
        shape = _checked_shape(features)
        try:
            original, resized = (
                (int(attributes[name][0]), int(attributes[name][1]))
                for name in ('original_size', 'input_size')
            )
            signature = str(attributes['data_signature'])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ForeignStoreError(
                f'{folder} does not say which image it is of ({error}); tiled stores of micro-sam '
                'cannot be read'
            ) from error
        if min(*original, *resized) < 1 or max(resized) > 1024:
            raise ForeignStoreError(f'{folder} names impossible sizes: {original}, {resized}')
        return cls(
            folder,
            shape[0] if len(shape) == 5 else 1,
            len(shape) == 4,
            signature,
            str(attributes.get('model_hash') or '').removeprefix('xxh128:'),
            str(attributes.get('model_name') or attributes.get('model_type') or ''),
            original,
            resized,
        )

    def features(self, index: int) -> NDArray[np.float32]:
        """Read the features of a slice: (256, 64, 64).

        Raises
        ------
        ForeignStoreError
            If they are damaged, or would become larger than they may.
        """
        if not 0 <= index < self.count:
            raise IndexError(f'the store has {self.count} slices; got {index}')
        array = self.folder / 'features'
        place = ('0',) * 4 if self.flat else (str(index), *('0',) * 4)
        _check_chunk(array, place)
        import zarr

        try:
            opened = zarr.open_array(str(array), mode='r')
            values = np.asarray(opened[...] if self.flat else opened[index])
        except Exception as error:  # zarr and its codecs raise what they like over bad bytes
            raise ForeignStoreError(
                f'slice {index} of {self.folder} is damaged: {error}'
            ) from error
        return values.reshape(_FEATURES).astype(np.float32)


def import_micro_sam(
    folder: Path,
    image: Any,
    planes: Sequence[PlaneSource],
    segmenter: Segmenter,
    checkpoint: Path,
    store: EmbeddingStore,
    cancel: CancelToken | None = None,
) -> Iterator[int]:
    """Take the embeddings of a micro-sam store into ours, if image and model are the same.

    Parameters
    ----------
    folder : Path
        The store.
    image : array-like
        The whole image, as micro-sam saw it; its bytes are hashed, plane by plane.
    planes : sequence of PlaneSource
        Its planes in order, with the intensity mapping ``full``: micro-sam maps each plane from
        its smallest to its largest value.
    segmenter : Segmenter
        The model.
    checkpoint : Path
        Its file, to be compared with the store's model.
    store : EmbeddingStore
        Where the embeddings go.
    cancel : CancelToken, optional
        Polled between planes.

    Yields
    ------
    int
        The number of each plane that was taken.

    Raises
    ------
    ForeignStoreError
        If image or model are others, or the store cannot be read; before anything is taken.
    Cancelled
        If the token was cancelled.
    """
    cancel = CancelToken() if cancel is None else cancel
    found = MicroSamStore.open(folder)
    modes = {plane.mapping.mode for plane in planes}
    if modes - {'full'}:
        raise ForeignStoreError(
            'micro-sam maps each plane over its full range; choose the intensity mapping "full" to '
            f'use its embeddings, not {sorted(modes)}'
        )
    if len(planes) != found.count or any(plane.shape != found.original_size for plane in planes):
        raise ForeignStoreError(
            f'{folder} is of {found.count} planes of {found.original_size} pixels; the image has '
            f'{len(planes)} of {planes[0].shape if planes else ()}'
        )
    digest = xxhash.xxh128(checkpoint.read_bytes()).hexdigest()
    if found.model_hash != digest:
        raise ForeignStoreError(
            f'{folder} was made with another model ({found.model_name or "not named"}); load that '
            'one, or let the embeddings be computed anew'
        )
    if data_signature(image, cancel) != found.data_signature:
        raise ForeignStoreError(f'{folder} is of another image, or of one edited since')
    return _take(found, planes, segmenter, store, cancel)


def export_micro_sam(
    folder: Path,
    image: Any,
    embeddings: Sequence[Embedding],
    model_name: str,
    checkpoint: Path,
) -> None:
    """Write embeddings as a store that micro-sam reads.

    Parameters
    ----------
    folder : Path
        Must not exist yet.
    image : array-like
        The whole image; its bytes are hashed.
    embeddings : sequence of Embedding
        One of each plane, in order; a single one of a picture.
    model_name : str
        What micro-sam calls the model, such as ``vit_t``.
    checkpoint : Path
        The model's file.

    Raises
    ------
    FileExistsError
        If there is something at `folder`.
    ValueError
        If the planes differ in size, or there are none.
    OSError
        If it cannot be written.
    """
    import zarr

    sizes = {(one.original_size, one.input_size) for one in embeddings}
    if len(sizes) != 1 or any(one.features.shape != _FEATURES for one in embeddings):
        raise ValueError(f'expected embeddings of planes of one size; got sizes {sorted(sizes)}')
    if folder.exists():
        raise FileExistsError(f'{folder} exists; name a new folder')
    ((original, resized),) = sizes
    group = zarr.open_group(str(folder), mode='w-', zarr_format=2)
    flat = len(embeddings) == 1 and len(image.shape) == 2
    shape = (1, *_FEATURES) if flat else (len(embeddings), 1, *_FEATURES)
    array = group.create_array(
        'features', shape=shape, chunks=(1,) * (len(shape) - 3) + _FEATURES, dtype='float32'
    )
    for index, one in enumerate(embeddings):
        array[index] = one.features.astype(np.float32).reshape(shape[1:])
    group.attrs.update(
        {
            'data_signature': data_signature(image),
            'tile_shape': None,
            'halo': None,
            'model_type': model_name[:5],
            'model_name': model_name,
            'model_hash': xxhash.xxh128(checkpoint.read_bytes()).hexdigest(),
            'original_size': list(original),
            'input_size': list(resized),
        }
    )


def data_signature(image: Any, cancel: CancelToken | None = None) -> str:
    """Return micro-sam's signature of an image: SHA-1 of its bytes, read plane by plane."""
    state = hashlib.sha1(usedforsecurity=False)
    for index in range(int(image.shape[0])):
        if cancel is not None:
            cancel.check()
        state.update(np.ascontiguousarray(image[index]).tobytes())
    return state.hexdigest()


def _take(
    found: MicroSamStore,
    planes: Sequence[PlaneSource],
    segmenter: Segmenter,
    store: EmbeddingStore,
    cancel: CancelToken,
) -> Iterator[int]:
    for index, plane in enumerate(planes):
        cancel.check()
        key = fingerprint(plane.image(cancel), segmenter.digest)
        features = found.features(index)
        store.put(
            Embedding(features.astype(np.float16), found.original_size, found.input_size, key),
            ahead=True,
        )
        yield index


def _read_json(path: Path) -> dict[str, Any]:
    with path.open('rb') as file:
        text = file.read(_LARGEST_JSON + 1)
    if len(text) > _LARGEST_JSON:
        raise ForeignStoreError(f'{path} is far too long')
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForeignStoreError(f'{path} cannot be read: {error}') from error
    if not isinstance(value, dict):
        raise ForeignStoreError(f'{path} does not describe anything')
    return value


def _attributes(folder: Path) -> dict[str, Any]:
    try:
        if (folder / 'zarr.json').is_file():
            attributes = _read_json(folder / 'zarr.json').get('attributes', {})
        else:
            attributes = _read_json(folder / '.zattrs')
    except OSError as error:
        raise ForeignStoreError(f'{folder} is no embedding store of micro-sam: {error}') from error
    if not isinstance(attributes, dict):
        raise ForeignStoreError(f'{folder} is no embedding store of micro-sam')
    return attributes


def _describe(array: Path) -> tuple[bool, dict[str, Any]]:
    """Return whether it is of zarr version 3, and the description of an array."""
    modern = (array / 'zarr.json').is_file()
    try:
        return modern, _read_json(array / ('zarr.json' if modern else '.zarray'))
    except OSError as error:
        raise ForeignStoreError(f'{array} holds no features, or tiled ones: {error}') from error


def _checked_shape(array: Path) -> tuple[int, ...]:
    """Check all that zarr will believe, before zarr does."""
    modern, description = _describe(array)
    try:
        shape = tuple(int(side) for side in description['shape'])
        if modern:
            chunks = description['chunk_grid']['configuration']['chunk_shape']
            plain = (
                description['data_type'] == 'float32'
                and {codec['name'] for codec in description['codecs']} <= _CODECS
            )
        else:
            chunks = description['chunks']
            compressor = description['compressor']
            plain = (
                description['dtype'] in ('<f4', '>f4')
                and not description.get('filters')
                and (compressor is None or compressor['id'] in {'gzip', 'zlib', 'zstd', 'blosc'})
            )
        fits = (
            plain
            and shape[-3:] == _FEATURES
            and (shape[:-3] == (1,) or (len(shape) == 5 and shape[1] == 1))
            and 1 <= shape[0] <= _MOST_SLICES
            and tuple(chunks) == (1,) * (len(shape) - 3) + _FEATURES
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ForeignStoreError(f'{array} cannot be understood: {error}') from error
    if not fits:
        raise ForeignStoreError(
            f'{array} is not an array of embeddings as micro-sam writes them: float32, '
            f'(slices, 1, 256, 64, 64), a chunk for each slice; it has the shape {shape}'
        )
    return shape


def _check_chunk(array: Path, place: tuple[str, ...]) -> None:
    """Refuse a chunk that would become larger than its values: a bomb."""
    modern, description = _describe(array)
    if modern:
        path = array.joinpath('c', *place)
        names = {codec['name'] for codec in description['codecs']}
    else:
        separator = description.get('dimension_separator', '.')
        path = array.joinpath(*place) if separator == '/' else array / '.'.join(place)
        names = {(description['compressor'] or {}).get('id')}
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_CHUNK:
            raise ForeignStoreError(f'{path} is a link, or far too large')
        content = path.read_bytes()
    except OSError as error:
        raise ForeignStoreError(f'a slice is missing in {array}: {error}') from error
    size = _inflated(content, names)
    if size is None or size > _LARGEST_CHUNK:
        raise ForeignStoreError(f'{path} is damaged, or would take far more memory than it may')


def _inflated(content: bytes, codecs: set[str | None]) -> int | None:
    """Return how large a chunk becomes; None where it does not say, or lies."""
    if codecs & {'gzip', 'zlib'}:
        try:
            return len(zlib.decompressobj(47).decompress(content, _LARGEST_CHUNK + 1))
        except zlib.error:
            return None
    if 'blosc' in codecs:
        return int.from_bytes(content[4:8], 'little') if len(content) >= 16 else None
    if 'zstd' in codecs:
        return _zstd_size(content)
    return len(content)


def _zstd_size(content: bytes) -> int | None:
    """Return the size in the header of a zstd frame (RFC 8878, 3.1.1.1)."""
    if content[:4] != b'\x28\xb5\x2f\xfd' or len(content) < 18:
        return None
    flags = content[4]
    single = bool(flags & 0x20)
    width = (1 if single else 0, 2, 4, 8)[flags >> 6]
    if not width:
        return None
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    size = int.from_bytes(content[start : start + width], 'little')
    return size + 256 if width == 2 else size

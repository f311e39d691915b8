from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fakes import FakeSegmenter

from napari_mobilesam.engine import (
    Annotator,
    Embedding,
    EmbeddingStore,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
)
from napari_mobilesam.engine.micro_sam import (
    ForeignStoreError,
    MicroSamStore,
    export_micro_sam,
    import_micro_sam,
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / 'vit_t.pt'
    path.write_bytes(b'weights')
    return path


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 900, (3, 40, 50), np.uint16)


def planes_of(volume: np.ndarray, mode: Any = 'full') -> list[PlaneSource]:
    return [
        PlaneSource(PlaneKey('v', (1, 2), (z,)), volume, IntensityMapping(mode))
        for z in range(len(volume))
    ]


@pytest.fixture
def exported(tmp_path: Path, volume: np.ndarray, checkpoint: Path) -> Path:
    fake = FakeSegmenter()
    embeddings = [fake.encode(plane.image()) for plane in planes_of(volume)]
    export_micro_sam(tmp_path / 'store.zarr', volume, embeddings, 'vit_t', checkpoint)
    return tmp_path / 'store.zarr'


def test_there_and_back(exported: Path, volume: np.ndarray, checkpoint: Path) -> None:
    opened = zarr.open_group(exported, mode='r')
    array = opened['features']
    assert isinstance(array, zarr.Array)
    assert (array.shape, array.dtype) == ((3, 1, 256, 64, 64), np.float32)
    assert opened.attrs['original_size'] == [40, 50]
    fake = FakeSegmenter()
    store = EmbeddingStore()
    planes = planes_of(volume)
    taken = list(import_micro_sam(exported, volume, planes, fake, checkpoint, store))
    assert taken == [0, 1, 2]
    annotator = Annotator(fake, store)
    for plane in planes:
        annotator.embed(plane)
    assert fake.encoded == [], 'nothing is left to encode'
    wanted = FakeSegmenter().encode(planes[1].image())
    np.testing.assert_array_equal(annotator.embed(planes[1]).features, wanted.features)


@pytest.mark.parametrize('compressor', ['zstd', 'gzip', 'blosc', None])
@pytest.mark.parametrize('version', [2, 3])
def test_stores_in_all_forms(tmp_path: Path, compressor: str | None, version: Any) -> None:
    import numcodecs
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    made: Any = None
    if compressor is not None:
        made = (
            {'zstd': numcodecs.Zstd(), 'gzip': numcodecs.GZip(), 'blosc': numcodecs.Blosc()}
            if version == 2
            else {'zstd': ZstdCodec(), 'gzip': GzipCodec(), 'blosc': BloscCodec()}
        )[compressor]
    group = zarr.open_group(tmp_path / 's', mode='w', zarr_format=version)
    array = group.create_array(
        'features',
        shape=(2, 1, 256, 64, 64),
        chunks=(1, 1, 256, 64, 64),
        dtype='float32',
        compressors=made,
    )
    features = np.random.default_rng(0).normal(size=(2, 1, 256, 64, 64)).astype(np.float32)
    array[...] = features
    group.attrs.update({'data_signature': 'x', 'original_size': [9, 9], 'input_size': [1024, 1024]})
    store = MicroSamStore.open(tmp_path / 's')
    assert store.count == 2
    np.testing.assert_array_equal(store.features(1), features[1, 0])


def test_another_image_model_or_mapping(
    exported: Path, volume: np.ndarray, checkpoint: Path, tmp_path: Path
) -> None:
    def take(image: np.ndarray = volume, weights: Path = checkpoint, mode: str = 'full') -> None:
        planes = planes_of(image, mode)
        import_micro_sam(exported, image, planes, FakeSegmenter(), weights, EmbeddingStore())

    take()
    edited = volume.copy()
    edited[1, 3, 3] += 1
    with pytest.raises(ForeignStoreError, match='another image'):
        take(edited)
    with pytest.raises(ForeignStoreError, match='3 planes'):
        take(volume[:2])
    (tmp_path / 'other.pt').write_bytes(b'others')
    with pytest.raises(ForeignStoreError, match=r'another model \(vit_t\)'):
        take(weights=tmp_path / 'other.pt')
    with pytest.raises(ForeignStoreError, match='choose the intensity mapping "full"'):
        take(mode='percentile')


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


HOSTILE: dict[str, Any] = {
    'nothing': lambda s: (s / '.zattrs').unlink(),
    'attributes no object': lambda s: (s / '.zattrs').write_text('[1]'),
    'attributes deep': lambda s: (s / '.zattrs').write_text('[' * 99999),
    'attributes endless': lambda s: (s / '.zattrs').write_bytes(b' ' * 2**19),
    'sizes missing': lambda s: (s / '.zattrs').write_text('{"data_signature": "x"}'),
    'sizes absurd': lambda s: change(s / '.zattrs', input_size=[10**9, 1]),
    'pickled objects': lambda s: change(
        s / 'features/.zarray', dtype='|O', filters=[{'id': 'pickle'}]
    ),
    'filters': lambda s: change(s / 'features/.zarray', filters=[{'id': 'pickle'}]),
    'codec': lambda s: change(s / 'features/.zarray', compressor={'id': 'lzma'}),
    'shape': lambda s: change(s / 'features/.zarray', shape=[10**12, 1, 256, 64, 64]),
    'chunks': lambda s: change(s / 'features/.zarray', chunks=[3, 1, 256, 64, 64]),
    'tiled': lambda s: (s / 'features/.zarray').unlink(),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_descriptions(exported: Path, name: str) -> None:
    HOSTILE[name](exported)
    with pytest.raises(ForeignStoreError):
        MicroSamStore.open(exported)


def chunk(store: Path) -> Path:
    return next(path for path in (store / 'features').iterdir() if path.name[0] == '1')


def test_hostile_chunks(exported: Path, tmp_path: Path) -> None:
    store = MicroSamStore.open(exported)
    store.features(1)
    good = chunk(exported).read_bytes()
    for bad in (good[: len(good) // 2], b'', b'nonsense' * 9, good + bytes(2**23)):
        chunk(exported).write_bytes(bad)
        with pytest.raises(ForeignStoreError):
            store.features(1)
    change(exported / 'features/.zarray', compressor={'id': 'gzip', 'level': 1})
    chunk(exported).write_bytes(gzip.compress(bytes(2**28)))  # 256 MiB in 256 KiB
    with pytest.raises(ForeignStoreError, match='far more memory'):
        store.features(1)
    path = chunk(exported)
    path.unlink()
    with pytest.raises(ForeignStoreError, match='missing'):
        store.features(1)
    with pytest.raises(IndexError):
        store.features(3)


def test_impossible_exports(tmp_path: Path, volume: np.ndarray, checkpoint: Path) -> None:
    fake = FakeSegmenter()
    one = fake.encode(planes_of(volume)[0].image())
    other = Embedding(one.features, (9, 9), (1024, 1024), 'b')
    with pytest.raises(ValueError, match='one size'):
        export_micro_sam(tmp_path / 's', volume, [one, other], 'vit_t', checkpoint)
    (tmp_path / 's').mkdir()
    with pytest.raises(FileExistsError, match='name a new folder'):
        export_micro_sam(tmp_path / 's', volume, [one], 'vit_t', checkpoint)

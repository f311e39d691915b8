from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mobilesam.engine import DiskStore, Embedding, EmbeddingStore, default_cache_folder

CHILD = Path(__file__).parents[1] / 'support' / 'store_child.py'
needs_fork = pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks processes to kill them')


def key_of(number: int) -> str:
    return f'{number:040x}'


def embedding(number: int = 1) -> Embedding:
    features = np.random.default_rng(number).normal(size=(16, 8, 8)).astype(np.float16)
    return Embedding(features, (30, 40), (768, 1024), key_of(number))


def entry(folder: Path, number: int = 1) -> Path:
    return folder / 'embeddings.zarr' / key_of(number)


def same(one: Embedding | None, other: Embedding) -> bool:
    return (
        one is not None
        and np.array_equal(one.features, other.features)
        and (one.key, one.original_size, one.input_size)
        == (other.key, other.original_size, other.input_size)
    )


def test_another_process_finds_what_was_written(tmp_path: Path) -> None:
    written = embedding()
    assert DiskStore(tmp_path).write(written)
    store = DiskStore(tmp_path)
    assert written.key in store
    assert same(store.read(written.key), written)
    assert store.read(key_of(2)) is None
    assert key_of(2) not in store
    assert not list((tmp_path / 'writing').iterdir())


def test_entries_are_zarr_that_anybody_can_read(tmp_path: Path) -> None:
    import zarr

    written = embedding()
    DiskStore(tmp_path).write(written)
    group = zarr.open_group(tmp_path / 'embeddings.zarr', mode='r')
    array = group[written.key]
    assert isinstance(array, zarr.Array)
    assert array.metadata.zarr_format == 3
    assert array.chunks == array.shape
    np.testing.assert_array_equal(np.asarray(array[...]), written.features)


def test_the_default_folder_is_in_the_users_cache(own_home: Path) -> None:
    folder = default_cache_folder()
    assert folder == DiskStore().folder
    if sys.platform == 'linux':
        assert own_home / 'cache' in folder.parents
    assert not folder.exists(), 'looking at a store must not make folders'


@pytest.mark.parametrize('key', ['', 'one', '../../etc', 'A' * 40, 'a' * 65, 'a/b' * 8])
def test_only_fingerprints_are_names(tmp_path: Path, key: str) -> None:
    store = DiskStore(tmp_path)
    strange = Embedding(np.zeros((1, 2, 2), np.float16), (1, 1), (1, 1), key)
    assert not store.write(strange)
    assert store.read(key) is None
    assert key not in store
    assert not list(tmp_path.iterdir())


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path, at: int = 700) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def describe(path: Path, **changes: Any) -> None:
    """Change attributes (and, by dotted names, other members) of a description."""
    description = json.loads(path.read_text())
    for name, value in changes.items():
        if name in description:
            description[name] = value
        else:
            description['attributes']['napari_mobilesam'][name] = value
    path.write_text(json.dumps(description))


DAMAGE: dict[str, Any] = {
    'truncated chunk': lambda path: truncate(path / 'c/0/0/0'),
    'empty chunk': lambda path: os.truncate(path / 'c/0/0/0', 0),
    'flipped bit': lambda path: flip(path / 'c/0/0/0'),
    'flipped bit in the crc': lambda path: flip(path / 'c/0/0/0', -1),
    'truncated description': lambda path: truncate(path / 'zarr.json'),
    'description of nothing': lambda path: (path / 'zarr.json').write_text('[]'),
    'description no json': lambda path: (path / 'zarr.json').write_bytes(b'\xff\xfe\x00'),
    'deep description': lambda path: (path / 'zarr.json').write_text('[' * 60000),
    'endless description': lambda path: (path / 'zarr.json').write_bytes(b' ' * 2**17),
    'wrong checksum': lambda path: describe(path / 'zarr.json', checksum='0' * 32),
    'wrong size': lambda path: describe(path / 'zarr.json', original_size=[31, 40]),
    'impossible size': lambda path: describe(path / 'zarr.json', input_size=[0, -3]),
    'size of words': lambda path: describe(path / 'zarr.json', input_size='ab'),
    'another key': lambda path: describe(path / 'zarr.json', key=key_of(2)),
    'another version': lambda path: describe(path / 'zarr.json', version=2),
    'huge shape': lambda path: describe(path / 'zarr.json', shape=[2**40, 2, 2]),
    'other codecs': lambda path: describe(path / 'zarr.json', codecs=[{'name': 'zstd'}]),
    'pickles': lambda path: describe(path / 'zarr.json', data_type='object'),
    'no attributes': lambda path: describe(path / 'zarr.json', attributes={}),
}


@pytest.mark.parametrize('name', DAMAGE)
def test_a_damaged_entry_is_a_miss_with_a_notice(tmp_path: Path, name: str) -> None:
    notices: list[str] = []
    store = DiskStore(tmp_path, on_notice=notices.append)
    written, other = embedding(1), embedding(2)
    store.write(written)
    store.write(other)
    DAMAGE[name](entry(tmp_path))
    assert store.read(written.key) is None
    assert len(notices) == 1
    assert 'damaged' in notices[0]
    assert same(store.read(other.key), other)
    # it makes room for a good one
    assert store.write(written)
    assert same(store.read(written.key), written)
    assert len(notices) == 1


def test_a_missing_chunk_is_a_miss(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.write(embedding())
    (entry(tmp_path) / 'c/0/0/0').unlink()
    assert store.read(key_of(1)) is None
    assert store.write(embedding())
    assert same(store.read(key_of(1)), embedding())


def test_a_ruin_without_description_is_replaced(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    entry(tmp_path).mkdir(parents=True)
    (entry(tmp_path) / 'something').write_text('else')
    assert store.write(embedding())
    assert same(store.read(key_of(1)), embedding())


@pytest.mark.skipif(sys.platform == 'win32', reason='links need rights there')
def test_links_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    notices: list[str] = []
    elsewhere = tmp_path / 'elsewhere'
    DiskStore(elsewhere).write(embedding())
    store = DiskStore(tmp_path / 'store', on_notice=notices.append)
    store.write(embedding(2))
    entry(tmp_path / 'store').symlink_to(entry(elsewhere))
    (tmp_path / 'store/embeddings.zarr/notes.txt').write_text('mine')
    assert store.read(key_of(1)) is None
    assert 'link' in notices[0]
    assert store.info().foreign == 2
    assert store.info().entries == 1
    assert store.clear() == 1
    assert entry(tmp_path / 'store').is_symlink()
    assert (tmp_path / 'store/embeddings.zarr/notes.txt').read_text() == 'mine'
    assert same(DiskStore(elsewhere).read(key_of(1)), embedding())


def test_those_unused_longest_are_removed(tmp_path: Path) -> None:
    size = DiskStore(tmp_path / 'measure')
    size.write(embedding())
    one = size.info().nbytes
    store = DiskStore(tmp_path / 'store', budget_mib=3.5 * one / 2**20)
    for number in (1, 2, 3):
        store.write(embedding(number))
        long_ago = time.time() - 1000 + number
        os.utime(entry(tmp_path / 'store', number), (long_ago, long_ago))
    store.read(key_of(1))
    store.write(embedding(4))
    kept = [number for number in (1, 2, 3, 4) if key_of(number) in store]
    assert kept == [1, 3, 4]
    assert store.info().nbytes <= store.budget_mib * 2**20


def test_what_other_processes_wrote_counts_too(tmp_path: Path) -> None:
    other = DiskStore(tmp_path)
    for number in range(10):
        other.write(embedding(number))
    one = other.info().nbytes / 10
    store = DiskStore(tmp_path, budget_mib=4 * one / 2**20)
    store.write(embedding(11))
    assert store.info().entries <= 4
    assert key_of(11) in store


def test_verify_and_clear(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for number in (1, 2, 3):
        store.write(embedding(number))
    flip(entry(tmp_path, 2) / 'c/0/0/0')
    (entry(tmp_path, 3) / 'c/0/0/0').unlink()
    results = dict(store.verify())
    assert results[key_of(1)] is None
    assert 'decoded' in str(results[key_of(2)])
    assert 'missing' in str(results[key_of(3)])
    assert store.info().entries == 1
    stale = tmp_path / 'writing' / 'dead'
    stale.mkdir()
    os.utime(stale, (1, 1))
    assert store.clear() == 1
    assert store.info().entries == 0
    assert not list((tmp_path / 'writing').iterdir())


def test_a_place_that_is_none_keeps_nothing_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    notices: list[str] = []
    store = DiskStore(tmp_path / 'file' / 'cache', on_notice=notices.append)
    assert not store.write(embedding(1))
    assert not store.write(embedding(2))
    assert store.read(key_of(1)) is None
    assert len([notice for notice in notices if 'cannot be kept' in notice]) == 1
    assert store.info().entries == 0
    assert list(store.verify()) == []
    assert store.clear() == 0


def test_a_full_disk_in_the_middle_of_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[str] = []
    store = DiskStore(tmp_path, on_notice=notices.append)
    store.write(embedding(1))

    def full(folder: Path, _embedding: Embedding) -> int:
        folder.mkdir()
        (folder / 'zarr.json').write_text('{"zarr')
        raise OSError(errno.ENOSPC, 'No space left on device', str(folder))

    with monkeypatch.context() as patch:
        patch.setattr('napari_mobilesam.engine.disk.write_entry', full)
        assert not store.write(embedding(2))
        assert not store.write(embedding(3))
    assert len(notices) == 1
    assert 'No space left' in notices[0]
    assert not list((tmp_path / 'writing').iterdir())
    assert same(store.read(key_of(1)), embedding(1))
    assert store.write(embedding(2)), 'it goes on when there is room again'


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'small'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip('may not mount a file system of its own here')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=False)


def test_a_disk_that_is_really_full_and_one_that_is_read_only(small_disk: Path) -> None:
    notices: list[str] = []
    store = EmbeddingStore(4, DiskStore(small_disk, on_notice=notices.append))
    assert store.disk is not None
    for number in range(40):
        store.put(embedding(number))
    kept = store.disk.info().entries
    assert 5 < kept < 40
    assert len(notices) == 1
    assert 'No space left' in notices[0]
    assert all(same(store.get(key_of(number)), embedding(number)) for number in range(40))

    subprocess.run(['mount', '-o', 'remount,ro', str(small_disk)], check=True)
    again = EmbeddingStore(4, DiskStore(small_disk, on_notice=notices.append))
    found = [number for number in range(40) if again.get(key_of(number)) is not None]
    assert len(found) == kept
    assert all(same(again.get(key_of(number)), embedding(number)) for number in found)
    again.put(embedding(50))
    assert same(again.get(key_of(50)), embedding(50))
    assert len(notices) == 2
    assert 'Read-only' in notices[1]


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    # What matters to a killed process is the order of its calls, not how long a disk takes.
    shm = Path('/dev/shm')
    if not os.access(shm, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        yield Path(folder)


def run_child(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', str(CHILD), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@needs_fork
def test_kill_nine_at_twenty_moments_costs_one_entry_at_most(quick_folder: Path) -> None:
    report = run_child('kills', str(quick_folder), '7')
    assert len(report) == 20
    for run in report:
        assert run['right'] == run['present'], 'a wrong or damaged embedding was served'
        assert run['in_order']
        assert run['left_aside'] <= 2, 'more than the one entry in the making was lost'
        assert run['made_on_resume'] == 16 - run['present'], 'a resumed run makes the rest only'
        assert run['notices'] == []
    # the kills really fell into the middle of the work
    assert len({run['present'] for run in report}) > 5


@needs_fork
def test_several_processes_share_one_store(quick_folder: Path) -> None:
    report = run_child('together', str(quick_folder))
    assert report['codes'] == [0, 0, 0]
    assert report['checked']
    assert set(report['checked']) == {None}


def test_memory_then_disk(tmp_path: Path) -> None:
    disk = DiskStore(tmp_path)
    first = EmbeddingStore(4, disk)
    first.put(embedding())
    assert first.get(key_of(1)) is first.get(key_of(1))
    second = EmbeddingStore(4, disk)
    assert key_of(1) not in second, 'only memory is asked, this is for the GUI thread'
    found = second.get(key_of(1))
    assert same(found, embedding())
    assert second.get(key_of(1)) is found
    second.clear()
    assert same(second.get(key_of(1)), embedding())


def test_what_was_made_ahead_leaves_memory_first() -> None:
    one = embedding().nbytes
    store = EmbeddingStore(3 * one / 2**20)
    store.put(embedding(1))
    for number in (2, 3, 4, 5):  # outwards: 2 is the nearest
        store.put(embedding(number), ahead=True)
    assert [n for n in range(1, 6) if key_of(n) in store] == [1, 2, 3]
    store.put(embedding(6))
    assert [n for n in range(1, 7) if key_of(n) in store] == [1, 2, 6]


@pytest.mark.parametrize('budget', [-1, float('nan')])
def test_impossible_budget(tmp_path: Path, budget: float) -> None:
    with pytest.raises(ValueError, match='the budget is 0 MiB or more'):
        DiskStore(tmp_path, budget)


def test_features_of_nothing_but_zeros_are_written_too(tmp_path: Path) -> None:
    zeros = Embedding(np.zeros((4, 8, 8), np.float16), (8, 8), (1024, 1024), key_of(9))
    store = DiskStore(tmp_path)
    assert store.write(zeros)
    assert same(store.read(key_of(9)), zeros)

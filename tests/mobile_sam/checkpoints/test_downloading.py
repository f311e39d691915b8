from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xxhash

from mobile_sam.checkpoints import (
    CheckpointInfo,
    DownloadCancelled,
    DownloadError,
    DownloadInterruptedError,
    DownloadMismatchError,
    DownloadRefusedError,
    OfflineError,
    download,
    find,
    search,
    transfer,
)

if TYPE_CHECKING:
    from .conftest import Server

Published = Callable[..., CheckpointInfo]


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob('*')) if folder.is_dir() else []


@pytest.mark.parametrize('route', ['good', 'redirect', 'unannounced', 'slow'])
def test_gives_the_file_and_nothing_else(
    route: str, published: Published, server: Server, tmp_path: Path
) -> None:
    path = download(published(route), folder=tmp_path / 'new' / 'folder')
    assert path == tmp_path / 'new' / 'folder' / 'mobile_sam.pt'
    assert path.read_bytes() == server.payload
    assert listing(path.parent) == ['mobile_sam.pt']


def test_xxh128_and_unknown_size(published: Published, server: Server, tmp_path: Path) -> None:
    right = f'xxh128:{xxhash.xxh128_hexdigest(server.payload)}'
    assert download(published('good', known_hash=right, size=None), folder=tmp_path).is_file()
    wrong = f'xxh128:{xxhash.xxh128_hexdigest(b"")}'
    with pytest.raises(DownloadMismatchError, match='xxh128'):
        download(published('good', known_hash=wrong, size=None), folder=tmp_path / 'other')


@pytest.mark.parametrize('route', ['good', 'unannounced'])
def test_progress_goes_from_nothing_to_all(
    route: str, published: Published, server: Server, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    download(published(route), folder=tmp_path, progress=lambda *a: seen.append(a))
    size = len(server.payload)
    assert seen[0] == (0, size)
    assert seen[-1] == (size, size)
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {size}


@pytest.mark.parametrize(
    ('route', 'error', 'says'),
    [
        ('missing', DownloadRefusedError, '404.*mobile_sam'),
        ('cut', DownloadInterruptedError, 'broke off'),
        ('cutunannounced', DownloadMismatchError, 'expected 204800 bytes, found 102400'),
        ('wrong', DownloadMismatchError, 'expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}'),
        ('short', DownloadMismatchError, 'expected 204800 bytes, found 1000'),
        ('endless', DownloadMismatchError, 'expected 204800 bytes, found more'),
        ('login', DownloadMismatchError, 'web page'),
        ('silent', DownloadInterruptedError, 'did not answer in time'),
        ('stalled', DownloadInterruptedError, 'timed out'),
        ('http://127.0.0.1:9/closed', DownloadInterruptedError, 'Check the connection'),
    ],
)
def test_failure_is_named_and_leaves_nothing(
    route: str, error: type[DownloadError], says: str, published: Published, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        download(published(route), folder=tmp_path, timeout=(2, 0.3))
    assert listing(tmp_path) == []


def test_unknown_size_has_an_end_too(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, '_LIMIT', 1_000_000)
    with pytest.raises(DownloadMismatchError, match='expected 1000000 bytes, found more'):
        download(published('endless', size=None), folder=tmp_path)
    assert listing(tmp_path) == []


def test_failure_keeps_what_was_there(published: Published, tmp_path: Path) -> None:
    (tmp_path / 'mobile_sam.pt').write_bytes(b'older')
    with pytest.raises(DownloadError):
        download(published('cut'), folder=tmp_path)
    assert (tmp_path / 'mobile_sam.pt').read_bytes() == b'older'


def test_mirrors_are_tried_in_order(published: Published, server: Server, tmp_path: Path) -> None:
    info = published('missing', 'cut', 'wrong', 'good', 'slow')
    assert download(info, folder=tmp_path).read_bytes() == server.payload
    assert server.requests == ['/missing', '/cut', '/wrong', '/good']


def test_all_mirrors_failing_are_all_named(published: Published, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r'None of 2 places.*\(1\).*404.*\(2\).*sha256'):
        download(published('missing', 'wrong'), folder=tmp_path)
    assert listing(tmp_path) == []


def test_cancel_stops_and_leaves_nothing(
    published: Published, server: Server, tmp_path: Path
) -> None:
    seen: list[int] = []
    with pytest.raises(DownloadCancelled):
        download(
            published('slow', 'good'),
            folder=tmp_path,
            progress=lambda done, _: seen.append(done),
            cancelled=lambda: bool(seen) and seen[-1] > 50_000,
        )
    assert 50_000 < seen[-1] < len(server.payload)
    assert server.requests == ['/slow']  # the mirror is not asked
    assert listing(tmp_path) == []


def test_cancelled_before_it_begins_asks_nobody(
    published: Published, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(DownloadCancelled):
        download(published('good'), folder=tmp_path, cancelled=lambda: True)
    assert server.requests == []


@pytest.mark.parametrize('value', ['1', 'true', 'yes'])
def test_offline_asks_nobody(
    value: str,
    published: Published,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('NAPARI_MOBILESAM_OFFLINE', value)
    with pytest.raises(OfflineError, match='NAPARI_MOBILESAM_OFFLINE'):
        download(published('good'), folder=tmp_path)
    assert server.requests == []
    monkeypatch.setenv('NAPARI_MOBILESAM_OFFLINE', '0')
    assert download(published('good'), folder=tmp_path).is_file()


def test_proxy_is_honoured(
    published: Published, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No such host exists: only a proxy can have answered.
    url = 'http://weights.invalid/good'
    monkeypatch.setenv('http_proxy', server.address)
    assert download(published(url), folder=tmp_path).read_bytes() == server.payload
    assert server.requests == [url]


def test_unwritable_folder_is_said(published: Published, tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(DownloadError, match='cannot be written'):
        download(published('good'), folder=tmp_path / 'file' / 'below')


def test_stale_leftovers_go_and_fresh_ones_stay(published: Published, tmp_path: Path) -> None:
    old, fresh = tmp_path / '.download-old', tmp_path / '.download-fresh'
    for folder in (old, fresh):
        folder.mkdir()
        (folder / 'mobile_sam.pt.part').touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    for path in (old / 'mobile_sam.pt.part', old):
        os.utime(path, (two_days_ago, two_days_ago))
    download(published('good'), folder=tmp_path)
    assert not old.exists()
    assert (fresh / 'mobile_sam.pt.part').is_file()


CHILD = """
import sys
from pathlib import Path
from mobile_sam.checkpoints import CheckpointInfo, download
url, size, known_hash, folder, marker = sys.argv[1:]
info = CheckpointInfo('m', 'vit_t', 'mobile_sam.pt', (url,), int(size), known_hash, '', '', '')
download(info, folder=folder, progress=lambda done, total: done and Path(marker).touch())
"""


def child(info: CheckpointInfo, folder: Path, marker: Path) -> subprocess.Popen[bytes]:
    arguments = [info.urls[0], str(info.size), info.known_hash, str(folder), str(marker)]
    return subprocess.Popen([sys.executable, '-c', CHILD, *arguments])


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f'{path} never appeared'
        time.sleep(0.01)


def test_two_processes_at_once(published: Published, server: Server, tmp_path: Path) -> None:
    folder = tmp_path / 'cache'
    processes = [child(published('together'), folder, tmp_path / f'began{i}') for i in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert (folder / 'mobile_sam.pt').read_bytes() == server.payload
    assert listing(folder) == ['mobile_sam.pt']


def test_T25_interrupted_download_is_never_present(
    published: Published, server: Server, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T25: an interrupted, damaged or wrong file never counts as the checkpoint."""
    cache, marker = house / 'cache', house / 'began'
    process = child(published('stalled'), cache, marker)
    wait_for(marker)
    process.kill()
    process.wait(60)
    final = cache / 'mobile_sam.pt'
    assert not final.exists()

    monkeypatch.setattr(search, 'REGISTRY', {'mobile_sam': published('good')})
    assert find('mobile_sam').path.read_bytes() == server.payload
    for damaged in (b'', server.payload[:-1], server.payload[:-1] + b'?'):
        final.write_bytes(damaged)
        found = find('mobile_sam')
        assert found.notice is not None
        assert 'passed over' in found.notice
        assert found.path.read_bytes() == server.payload

    final.write_bytes(server.payload[:-1] + b'?')
    monkeypatch.setattr(search, 'REGISTRY', {'mobile_sam': published('http://127.0.0.1:9/x')})
    with pytest.raises(DownloadInterruptedError, match='passed over'):
        find('mobile_sam')


def test_nothing_is_printed(
    published: Published, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    download(published('good'), folder=tmp_path)
    assert capfd.readouterr() == ('', '')

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mobile_sam.checkpoints import (
    BUNDLED,
    BUNDLED_NAME,
    CheckpointInfo,
    CheckpointNotFoundError,
    DownloadCancelled,
    DownloadError,
    OfflineError,
    bundled_path,
    find,
    search,
)

if TYPE_CHECKING:
    from .conftest import Server

Published = Callable[..., CheckpointInfo]
FILE = 'mobile_sam.pt'


@pytest.fixture
def info(published: Published, house: Path, monkeypatch: pytest.MonkeyPatch) -> CheckpointInfo:
    """Make the server's file the whole registry, under two names."""
    info = published('good')
    other = dataclasses.replace(info, name='vit_t_lm', filename='vit_t_lm.pt')
    monkeypatch.setattr(search, 'REGISTRY', {'mobile_sam': info, 'vit_t_lm': other})
    return info


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_order(
    info: CheckpointInfo,
    server: Server,
    house: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundled = put(house / 'weights' / BUNDLED.filename, b'ours')
    explicit = put(tmp_path / 'mine.pt', b'mine')
    places = [
        put(tmp_path / 'elsewhere' / FILE, server.payload),
        put(house / 'weights' / FILE, server.payload),
        put(house / 'cache' / FILE, server.payload),
    ]
    monkeypatch.setenv('NAPARI_MOBILESAM_WEIGHTS', str(tmp_path / 'elsewhere'))
    assert find(explicit) == find(str(explicit))
    assert find(explicit).path == explicit
    assert find(explicit).info is None
    for place in places:
        found = find()
        assert found.path == place
        assert found.info == info
        assert found.notice is None
        place.unlink()
    assert server.requests == []

    assert find().path == places[-1]  # downloaded into the cache
    assert server.requests == ['/good']

    places[-1].unlink()
    found = find(allow_download=False)
    assert server.requests == ['/good']
    assert (found.path, found.info) == (bundled, BUNDLED)
    assert found.notice is not None
    assert f'{BUNDLED_NAME}, not mobile_sam' in found.notice
    assert 'not allowed' in found.notice


def test_offline_gives_bundled_and_says_so(
    info: CheckpointInfo, server: Server, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('NAPARI_MOBILESAM_OFFLINE', '1')
    with pytest.raises(OfflineError):
        find()
    put(house / 'weights' / BUNDLED.filename, b'ours')
    notice = find().notice
    assert notice is not None
    assert 'NAPARI_MOBILESAM_OFFLINE' in notice
    with pytest.raises(OfflineError):  # nothing stands in for what was asked for by name
        find('vit_t_lm')
    assert server.requests == []


def test_failed_download_gives_bundled_and_the_reason(
    published: Published, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, 'REGISTRY', {'mobile_sam': published('missing')})
    with pytest.raises(DownloadError, match='404'):
        find()
    put(house / 'weights' / BUNDLED.filename, b'ours')
    notice = find().notice
    assert notice is not None
    assert '404' in notice


def test_cancelled_download_gives_no_substitute(info: CheckpointInfo, house: Path) -> None:
    put(house / 'weights' / BUNDLED.filename, b'ours')
    with pytest.raises(DownloadCancelled):
        find(cancelled=lambda: True)


@pytest.mark.parametrize('damage', [b'', b'short', b'?' * 204_800])
def test_a_name_stands_for_exact_bytes(
    damage: bytes, info: CheckpointInfo, server: Server, house: Path
) -> None:
    wrong = put(house / 'weights' / FILE, damage)
    right = put(house / 'cache' / FILE, server.payload)
    found = find()
    assert found.path == right
    assert found.notice is not None
    assert str(wrong) in found.notice
    assert wrong.read_bytes() == damage  # the user's file is left alone


def test_environment_may_name_one_file(
    info: CheckpointInfo,
    server: Server,
    house: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = put(tmp_path / 'mine.pt', b'mine')
    monkeypatch.setenv('NAPARI_MOBILESAM_WEIGHTS', str(mine))
    found = find()
    assert (found.path, found.info) == (mine, None)
    assert found.notice is not None
    assert 'instead of mobile_sam' in found.notice
    # It is not what the other name stands for.
    assert find('vit_t_lm').path == house / 'cache' / 'vit_t_lm.pt'

    mine.write_bytes(server.payload)
    found = find()
    assert (found.path, found.info, found.notice) == (mine, info, None)


def test_environment_naming_nothing_is_an_error(
    info: CheckpointInfo, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('NAPARI_MOBILESAM_WEIGHTS', 'no/such/file.pt')
    with pytest.raises(CheckpointNotFoundError, match='NAPARI_MOBILESAM_WEIGHTS'):
        find()
    assert server.requests == []


def test_unknown_name_and_folder(house: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r'vit_q.*found nothing.*vit_t_lm'):
        find('vit_q')
    with pytest.raises(CheckpointNotFoundError, match='found a folder'):
        find(tmp_path)
    with pytest.raises(FileNotFoundError):  # what upstream's users expect of a missing file
        find(tmp_path / 'missing.pt')


def test_bundled_with_and_without(house: Path) -> None:
    assert bundled_path() is None
    with pytest.raises(CheckpointNotFoundError, match='mobilesam-microscopy'):
        find(BUNDLED_NAME)
    installed = put(house / 'mobile_sam' / 'weights' / BUNDLED.filename, b'ours')
    assert bundled_path() == installed
    checkout = put(house / 'weights' / BUNDLED.filename, b'ours')
    assert bundled_path() == checkout
    found = find(BUNDLED_NAME)
    assert (found.path, found.info, found.notice) == (checkout, BUNDLED, None)


def test_weights_beside_an_installed_package_are_not_ours(house: Path) -> None:
    put(house / 'weights' / BUNDLED.filename, b'somebody else')
    (house / 'pyproject.toml').unlink()
    assert bundled_path() is None

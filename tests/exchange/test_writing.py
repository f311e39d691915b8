"""Writing: whole or not at all, and never over what was not to be replaced."""

from __future__ import annotations

import errno
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import contents
from segmentations import segmentation as make

from napari_mobilesam.exchange import ExchangeError, export, load

segmentation = functools.cache(make)

WRITTEN = ['a.tif', 'a.ome.tif', 'a.png', 'a.json', 'a.geojson', 'a.zip', 'a.csv', 'a.ome.zarr']


def flat() -> Any:
    return segmentation((60, 60))


@pytest.mark.parametrize('name', WRITTEN)
def test_what_is_there_is_not_replaced_unasked(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text('precious')
    with pytest.raises(ExchangeError, match='there already'):
        export(flat(), path)
    assert path.read_text() == 'precious'


@pytest.mark.parametrize('name', WRITTEN)
def test_links_are_not_written_through(name: str, tmp_path: Path) -> None:
    (tmp_path / 'precious').write_text('precious')
    (tmp_path / name).symlink_to('precious')
    before = contents(tmp_path)
    with pytest.raises(ExchangeError, match='is a link'):
        export(flat(), tmp_path / name, overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('name', WRITTEN)
def test_a_full_or_read_only_disk_leaves_all_as_it_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(flat(), tmp_path / name)
    before = contents(tmp_path)

    def refuse(*_args: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for function in ('replace', 'rename'):
        monkeypatch.setattr(os, function, refuse)
    with pytest.raises(ExchangeError, match='Read-only file system'):
        export(segmentation((45, 45)), tmp_path / name, overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.name != 'posix' or os.geteuid() == 0, reason='root writes anywhere')
@pytest.mark.parametrize('name', WRITTEN)
def test_read_only_folders(name: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ExchangeError, match='Permission denied'):
        export(flat(), tmp_path / name)
    tmp_path.chmod(0o755)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize('name', WRITTEN)
def test_names_that_are_too_long_or_nowhere(name: str, tmp_path: Path) -> None:
    for path in (tmp_path / ('x' * 300 + name), tmp_path / 'nowhere' / name):
        with pytest.raises(ExchangeError) as caught:
            export(flat(), path)
        assert len(str(caught.value)) < 500
    (tmp_path / 'file').write_text('precious')
    with pytest.raises(ExchangeError):
        export(flat(), tmp_path / 'file' / name)
    assert list(contents(tmp_path)) == ['file']


@pytest.mark.parametrize('name', WRITTEN)
def test_unicode_and_long_names_work(name: str, tmp_path: Path) -> None:
    stem = 'Zähler 细胞 🔬 e\u0301 ' + 'x' * 190
    (path,) = export(flat(), tmp_path / f'{stem}{name[1:]}')
    assert path.exists()
    if not name.endswith('.csv'):
        assert np.array_equal(load(path, shape=(60, 60)).labels, flat().labels)


@pytest.mark.parametrize('name', WRITTEN)
def test_replacing_is_done_when_asked_for(name: str, tmp_path: Path) -> None:
    export(segmentation((45, 45)), tmp_path / name)
    before = contents(tmp_path)
    export(flat(), tmp_path / name, overwrite=True)
    after = contents(tmp_path)
    assert after != before
    assert set(after) <= set(before)  # nothing is left lying about


def test_a_folder_of_other_things_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / 'a.tif').mkdir()
    (tmp_path / 'a.tif' / 'thesis.docx').write_text('precious')
    with pytest.raises(ExchangeError, match='is a folder'):
        export(flat(), tmp_path / 'a.tif', overwrite=True)
    assert (tmp_path / 'a.tif' / 'thesis.docx').read_text() == 'precious'


@pytest.mark.parametrize(('name', 'form'), [('a.ome.zarr', None), ('masks', 'masks')])
def test_a_folder_of_other_things_is_not_replaced_by_a_folder(
    tmp_path: Path, name: str, form: str | None
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / 'thesis.docx').write_text('precious')
    with pytest.raises(ExchangeError, match='other things'):
        export(flat(), tmp_path / name, form, overwrite=True)
    assert (tmp_path / name / 'thesis.docx').read_text() == 'precious'


def test_an_unknown_option_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match='no option polygon'):
        export(flat(), tmp_path / 'a.tif', polygon=True)

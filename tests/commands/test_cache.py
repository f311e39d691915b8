"""Embeddings on disk from the command line."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from napari_mobilesam import cli
from napari_mobilesam.engine import DiskStore, Embedding, default_cache_folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ['cache', *arguments])


@pytest.fixture
def store() -> DiskStore:
    store = DiskStore()
    for number in range(3):
        features = np.full((4, 8, 8), number, np.float16)
        store.write(Embedding(features, (8, 8), (1024, 1024), f'{number:040x}'))
    return store


def test_path() -> None:
    result = run('path')
    assert (result.exit_code, result.output.strip()) == (0, str(default_cache_folder()))


def test_info(store: DiskStore) -> None:
    (store.folder / 'embeddings.zarr' / 'notes.txt').write_text('mine')
    assert run().output == run('info').output
    assert run().output.startswith('3 embeddings, 0.0 MiB, in ')
    assert '1 other files' in run().output
    assert run('info', '--folder', str(store.folder / 'no')).output.startswith('0 embeddings')


def test_verify(store: DiskStore) -> None:
    result = run('verify')
    assert (result.exit_code, result.stdout) == (0, '3 embeddings whole, 0 damaged\n')
    chunk = store.folder / 'embeddings.zarr' / f'{1:040x}' / 'c/0/0/0'
    chunk.write_bytes(chunk.read_bytes()[:-1])
    result = run('verify')
    assert (result.exit_code, result.stdout) == (1, '2 embeddings whole, 1 damaged\n')
    assert f'{1:040x}: its data have' in result.stderr
    assert run('verify').exit_code == 0


def test_clear(store: DiskStore) -> None:
    result = run('clear')
    assert (result.exit_code, store.info().entries) == (0, 0)
    assert result.output.startswith('Removed 3 embeddings from ')
    assert run('clear').output.startswith('Removed 0 embeddings from ')


def test_clear_that_may_not(store: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('napari_mobilesam.engine.disk.DiskStore._discard', lambda *_: False)
    result = run('clear')
    assert result.exit_code == 1
    assert 'cannot remove' in result.stderr

"""Files that are none, are broken, or mean harm."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from mobile_sam.checkpoints import (
    CheckpointError,
    CheckpointNotFoundError,
    DamagedCheckpointError,
    IncompatibleCheckpointError,
    UnsafeCheckpointError,
    load_model,
    load_state_dict,
    save_checkpoint,
)

PNG = b'\x89PNG\r\n\x1a\n' + bytes(100)


class Hostile:
    """Unpickled carelessly, it makes a folder: harmless, but seen."""

    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.trace,)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'file.pt'


@pytest.fixture
def good(vit_t: dict[str, Any], tmp_path: Path) -> Path:
    return save_checkpoint(vit_t, tmp_path / 'good.pt')


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        (b'', 'an empty file'),
        (b'just some text, of no use\n', 'found text'),
        (b'name,area\ncell,12\n', 'found text'),
        (PNG, 'a PNG picture'),
        (b'II*\x00' + bytes(50), 'a TIFF picture'),
        (b'<!DOCTYPE html><html></html>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n', 'git lfs pull'),
        (b'\x00\x01\x02\x03' * 100, r'found bytes b.*x00'),
        (b'\x80\x02garbage', 'damaged'),
        (b'\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f', 'damaged'),
        (b'PK\x03\x04garbage', 'cut short or broken'),
    ],
)
def test_what_is_no_checkpoint_is_named(content: bytes, says: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=says) as caught:
        load_state_dict(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match='found nothing'):
        load_state_dict(tmp_path / 'none.pt')
    with pytest.raises(CheckpointNotFoundError, match='found a folder'):
        load_state_dict(tmp_path)


@pytest.mark.parametrize('part', [0.01, 0.5, 0.999])
@pytest.mark.parametrize('new', [True, False], ids=['zip', 'pickle'])
def test_cut_short(part: float, new: bool, vit_t: dict[str, Any], path: Path) -> None:
    torch.save(vit_t, path, _use_new_zipfile_serialization=new)
    with path.open('r+b') as stream:
        stream.truncate(int(path.stat().st_size * part))
    with pytest.raises(DamagedCheckpointError, match='damaged'):
        load_state_dict(path)


def test_one_flipped_bit(good: Path) -> None:
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    good.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match='checksum'):
        load_state_dict(good)


def test_zip_of_other_things(good: Path, path: Path) -> None:
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('notes.txt', 'nothing')
    with pytest.raises(DamagedCheckpointError, match=r'not one that torch\.save wrote'):
        load_state_dict(path)
    with (
        zipfile.ZipFile(good) as source,
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    with pytest.raises(DamagedCheckpointError, match='compressed'):
        load_state_dict(path)


@pytest.mark.parametrize(
    'content',
    [[1, 2], {'a': 1}, {'model_state': {}}, {}, {1: torch.ones(1)}, torch.ones(2), {'state': {}}],
)
def test_tensors_in_no_known_form(content: object, path: Path) -> None:
    torch.save(content, path)
    with pytest.raises(IncompatibleCheckpointError, match='Expected a state dict'):
        load_state_dict(path)


def hostile_file(form: str, path: Path, trace: Path, state: dict[str, Any]) -> None:
    hostile = Hostile(trace)
    if form.startswith('protocol'):
        path.write_bytes(pickle.dumps(hostile, int(form[-1])))
    elif form == 'cut pickle':
        path.write_bytes(pickle.dumps(hostile, 2)[:-1])  # runs before its end is missed
    elif form == 'zip':
        torch.save(state | {'image_encoder.x': hostile}, path)
    elif form == 'wrapped':
        torch.save({'model_state': state, 'init': hostile}, path)
    elif form == 'older':
        torch.save(state | {'x': hostile}, path, _use_new_zipfile_serialization=False)
    elif form == 'zip protocol 4':
        torch.save({'x': hostile}, path, pickle_protocol=4)


FORMS = [*(f'protocol {p}' for p in range(6)), 'zip', 'wrapped', 'older', 'zip protocol 4']


@pytest.mark.parametrize('form', FORMS)
def test_hostile_file_is_unsafe_and_creates_nothing(
    form: str, vit_t: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    trace = tmp_path / 'trace'
    hostile_file(form, path, trace, vit_t)
    for load in (load_state_dict, load_model):
        with pytest.raises(UnsafeCheckpointError, match=r'unsafe.*mkdir') as caught:
            load(path)  # type: ignore[operator]
        assert 'not loaded' in str(caught.value)
    assert not trace.exists()


def test_hostile_files_do_harm_elsewhere(tmp_path: Path, path: Path) -> None:
    """Without this, the test above would pass with a harmless file too."""
    trace = tmp_path / 'trace'
    hostile_file('zip', path, trace, {})
    torch.load(path, weights_only=False)
    assert trace.is_dir()
    trace.rmdir()
    hostile_file('protocol 2', path, trace, {})
    pickle.loads(path.read_bytes())
    assert trace.is_dir()


def test_hostile_file_without_an_end(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / 'trace'
    hostile_file('cut pickle', path, trace, {})
    with pytest.raises(CheckpointError):
        load_state_dict(path)
    assert not trace.exists()


def test_objects_without_intent_are_named_too(path: Path) -> None:
    torch.save({'args': Path('x'), 'model': {}}, path)
    with pytest.raises(UnsafeCheckpointError, match=r"'pathlib\.(_local\.)?\w*Path'"):
        load_state_dict(path)


def test_torchscript_is_unsafe(path: Path) -> None:
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('program/data.pkl', b'\x80\x02c__torch__\nModel\n.')
        archive.writestr('program/code/__torch__.py', 'class Model(Module): ...')
    with pytest.raises(UnsafeCheckpointError, match=r'__torch__\.Model'):
        load_state_dict(path)


def test_names_inside_are_never_followed(good: Path, path: Path, tmp_path: Path) -> None:
    """A zip whose members want to lie elsewhere makes no file, whatever becomes of it."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, 'w') as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
        archive.writestr('../escaped.txt', 'x')
        archive.writestr('/escaped.txt', 'x')
    before = sorted(tmp_path.rglob('*'))
    with suppress(CheckpointError):
        load_state_dict(path)
    assert sorted(tmp_path.rglob('*')) == before
    assert not (tmp_path.parent / 'escaped.txt').exists()


def test_names_in_messages_are_tame(vit_t: dict[str, Any], path: Path) -> None:
    torch.save(vit_t | {'\x1b[31m' + 'x' * 10_000: torch.ones(1)}, path)
    with pytest.raises(IncompatibleCheckpointError) as caught:
        load_state_dict(path)
    assert '\x1b' not in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_unusual_paths(good: Path, tmp_path: Path) -> None:
    for name in ('Zellkérne für 2 µm.pt', 'no suffix', 'a#b%20c.pth'):
        shutil.copy(good, tmp_path / name)
        assert len(load_state_dict(tmp_path / name)) == 439


def test_of_a_training_runs_state_the_averaged_weights_are_read(tmp_path: Path) -> None:
    weights, average = {'w': torch.zeros(3)}, {'w': torch.ones(3)}
    content = {'model': weights, 'average': average, 'optimiser': {'state': {}}, 'step': 7}
    torch.save(content, tmp_path / 'state.pt')
    from mobile_sam.checkpoints.reading import read_tensors

    state, note = read_tensors(tmp_path / 'state.pt')
    assert state['w'].tolist() == [1, 1, 1]
    assert note is not None
    assert 'model' in note

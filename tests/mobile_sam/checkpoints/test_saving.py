from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

import mobile_sam
from mobile_sam.checkpoints import (
    DamagedCheckpointError,
    IncompatibleCheckpointError,
    load_state_dict,
    save_checkpoint,
)

State = dict[str, Any]
FIRST = 'image_encoder.patch_embed.seq.0.c.weight'
VARIANCE = 'image_encoder.patch_embed.seq.0.bn.running_var'


def test_half_file_has_upstreams_layout(vit_t: State, tmp_path: Path) -> None:
    path = save_checkpoint(vit_t, tmp_path / 'new' / 'x.pt')
    stored = torch.load(path, weights_only=True)
    assert list(stored) == list(vit_t)
    assert {k: v.shape for k, v in stored.items()} == {k: v.shape for k, v in vit_t.items()}
    for key, value in stored.items():
        assert value.dtype == (torch.int64 if 'num_batches' in key else torch.float16)
        assert not value.requires_grad
    elements = sum(value.numel() for value in vit_t.values())
    assert 2 * elements < path.stat().st_size < 2.05 * elements
    assert zipfile.ZipFile(path).testzip() is None


def test_whole_width_comes_back_bit_for_bit(vit_t: State, tmp_path: Path) -> None:
    loaded = load_state_dict(save_checkpoint(vit_t, tmp_path / 'x.pt', half=False))
    assert all(torch.equal(loaded[key], vit_t[key]) for key in vit_t)


def test_model_and_wrapped_model(tmp_path: Path) -> None:
    model = mobile_sam.setup_model()
    expected = model.state_dict()[FIRST].half().float()
    for given in (model, torch.nn.ModuleDict({'module': model})):
        loaded = load_state_dict(save_checkpoint(given, tmp_path / 'x.pt'))
        assert torch.equal(loaded[FIRST], expected)


def test_numbers_half_would_spoil_stay_float32(vit_t: State, tmp_path: Path) -> None:
    tiny = torch.full_like(vit_t[VARIANCE], 1e-7)
    large = torch.full_like(vit_t[FIRST], 1e5)
    path = save_checkpoint(vit_t | {VARIANCE: tiny, FIRST: large}, tmp_path / 'x.pt')
    loaded = load_state_dict(path)
    assert torch.equal(loaded[VARIANCE], tiny)
    assert torch.equal(loaded[FIRST], large)


def test_what_could_not_be_loaded_is_not_saved(vit_t: State, tmp_path: Path) -> None:
    path = tmp_path / 'x.pt'
    path.write_bytes(b'older')
    broken = torch.full_like(vit_t[FIRST], float('nan'))
    with pytest.raises(DamagedCheckpointError, match='NaN'):
        save_checkpoint(vit_t | {FIRST: broken}, path)
    with pytest.raises(IncompatibleCheckpointError, match='1 surplus'):
        save_checkpoint(vit_t | {'image_encoder.x': broken}, path)
    assert path.read_bytes() == b'older'
    assert list(tmp_path.iterdir()) == [path]


def test_older_file_is_replaced_not_written_over(vit_t: State, tmp_path: Path) -> None:
    path, second_name = tmp_path / 'x.pt', tmp_path / 'kept.pt'
    path.write_bytes(b'older')
    second_name.hardlink_to(path)  # sees whether anything is written into the file itself
    save_checkpoint(vit_t, path)
    assert second_name.read_bytes() == b'older'
    assert len(load_state_dict(path)) == 439


def test_failure_half_way_leaves_the_old_file(
    vit_t: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'x.pt'
    path.write_bytes(b'older')

    def full(_: object, stream: Any) -> None:
        stream.write(b'half of it')
        raise OSError('No space left on device')

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(OSError, match='No space'):
        save_checkpoint(vit_t, path)
    assert path.read_bytes() == b'older'
    assert list(tmp_path.iterdir()) == [path]

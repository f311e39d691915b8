from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mobile_sam


def test_registry_has_upstreams_names() -> None:
    registry = mobile_sam.sam_model_registry
    assert set(registry) == {'default', 'vit_h', 'vit_l', 'vit_b', 'vit_t'}
    assert registry['default'] is mobile_sam.build_sam_vit_h is mobile_sam.build_sam


@pytest.mark.parametrize(
    ('name', 'width', 'depth', 'parameters'),
    [
        ('vit_b', 768, 12, 93_735_472),
        ('vit_l', 1024, 24, 312_342_832),
        ('vit_h', 1280, 32, 641_090_608),
    ],
)
def test_original_architectures(name: str, width: int, depth: int, parameters: int) -> None:
    with torch.device('meta'):
        sam = mobile_sam.sam_model_registry[name]()
    assert len(sam.image_encoder.blocks) == depth
    assert sam.image_encoder.pos_embed.shape == (1, 64, 64, width)
    assert sum(p.numel() for p in sam.parameters()) == parameters


def test_built_in_evaluation_mode_and_float32() -> None:
    sam = mobile_sam.setup_model()
    assert not sam.training
    assert {t.dtype for t in sam.state_dict().values()} == {torch.float32, torch.int64}


def test_checkpoint_is_loaded_strictly(tmp_path: Path) -> None:
    state = mobile_sam.setup_model().state_dict()
    path = tmp_path / 'model.pt'
    torch.save(state, path)
    loaded = mobile_sam.sam_model_registry['vit_t'](checkpoint=path).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    'code',
    [
        'from mobile_sam import build_sam',
        'import mobile_sam.build_sam; from mobile_sam import build_sam',
        'from mobile_sam.build_sam import setup_model; from mobile_sam import build_sam',
        'from mobile_sam import sam_model_registry; from mobile_sam import build_sam',
    ],
)
def test_build_sam_is_the_function_however_imported(code: str) -> None:
    check = f'{code}; assert build_sam.__name__ == "build_sam_vit_h", build_sam'
    subprocess.run([sys.executable, '-c', check], check=True)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match='no attribute'):
        _ = mobile_sam.nonsense
    assert set(mobile_sam.__all__) <= set(dir(mobile_sam))

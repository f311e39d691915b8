from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import mobile_sam
from mobile_sam.checkpoints import (
    BUNDLED,
    BUNDLED_NAME,
    DamagedCheckpointError,
    IncompatibleCheckpointError,
    file_digest,
    infer_architecture,
    load_model,
    load_state_dict,
    search,
)

State = dict[str, Any]
FIRST = 'image_encoder.patch_embed.seq.0.c.weight'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'file.pt'


def same(loaded: State, expected: State) -> bool:
    return list(loaded) == list(expected) and all(
        torch.equal(loaded[key], expected[key]) for key in expected
    )


def wrap(state: State, form: str) -> Any:
    with_sam = {f'sam.{key}': value for key, value in state.items()}
    return {
        'bare': state,
        'ddp': {f'module.{key}': value for key, value in state.items()},
        'compiled ddp': {f'module._orig_mod.{key}': value for key, value in state.items()},
        'micro-sam': {'model_state': with_sam, 'decoder_state': {'d': torch.ones(3)}},
        'state_dict': {'state_dict': state, 'epoch': 3},
        'model': {'model': with_sam, 'optimizer': {'state': {}}},
        'parameters': {
            k: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for k, v in state.items()
        },
    }[form]


@pytest.mark.parametrize(
    'form', ['bare', 'ddp', 'compiled ddp', 'micro-sam', 'state_dict', 'model', 'parameters']
)
def test_every_form_gives_the_same_tensors(form: str, vit_t: State, path: Path) -> None:
    torch.save(wrap(vit_t, form), path)
    loaded = load_state_dict(path)
    assert same(loaded, vit_t)
    assert not any(value.requires_grad for value in loaded.values())


def test_older_pickle_format(vit_t: State, path: Path) -> None:
    torch.save(vit_t, path, _use_new_zipfile_serialization=False)
    assert same(load_state_dict(path), vit_t)


def test_order_of_the_file_does_not_matter(vit_t: State, path: Path) -> None:
    torch.save(dict(reversed(vit_t.items())), path)
    assert same(load_state_dict(path), vit_t)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_T22_only_float32_and_int64_come_out(dtype: torch.dtype, vit_t: State, path: Path) -> None:
    """T22: whatever width a file stores, nothing but float32 and int64 reaches the model."""
    stored = {k: v.to(dtype) if v.is_floating_point() else v.int() for k, v in vit_t.items()}
    torch.save(stored, path)
    loaded = load_state_dict(path)
    assert {k: v.dtype for k, v in loaded.items()} == {k: v.dtype for k, v in vit_t.items()}
    assert {v.dtype for v in loaded.values()} == {torch.float32, torch.int64}
    assert torch.equal(loaded[FIRST], stored[FIRST].float())
    model = load_model(path).model
    assert {v.dtype for v in model.state_dict().values()} == {torch.float32, torch.int64}


def test_tensors_do_not_hang_on_the_file(vit_t: State, path: Path) -> None:
    torch.save(vit_t, path)
    loaded = load_state_dict(path)
    path.write_bytes(b'')  # a mapped file would now be gone under the tensors
    assert same(loaded, vit_t)


def test_layout_is_the_published_one(goldens: Path, vit_t: State) -> None:
    spec = json.loads((goldens / 'state_dict_spec.json').read_text())
    assert [[k, list(v.shape), str(v.dtype).removeprefix('torch.')] for k, v in vit_t.items()] == [
        entry[:3] for entry in spec['entries']
    ]


def meta_state(architecture: str) -> State:
    with torch.device('meta'):
        return dict(mobile_sam.sam_model_registry[architecture]().state_dict())


@pytest.mark.parametrize('architecture', ['vit_t', 'vit_b', 'vit_l', 'vit_h'])
def test_architecture_is_inferred(architecture: str) -> None:
    assert infer_architecture(meta_state(architecture)) == architecture


def test_architecture_that_is_none_of_ours() -> None:
    state = meta_state('vit_b')
    del state['image_encoder.blocks.11.norm1.weight']
    assert infer_architecture(state) == 'vit_b'  # a missing tensor is for the layout to say
    shorter = {k: v for k, v in state.items() if not k.startswith('image_encoder.blocks.11.')}
    with pytest.raises(IncompatibleCheckpointError, match='768 wide with 11 blocks'):
        infer_architecture(shorter)
    with pytest.raises(IncompatibleCheckpointError, match=r'found 2 others: conv1.weight, fc.bias'):
        infer_architecture({'conv1.weight': torch.ones(1), 'fc.bias': torch.ones(1)})


def changed(state: State, change: str) -> State:
    state = dict(state)
    last = list(state)[-1]
    if change == 'missing':
        for key in list(state)[10:15]:
            del state[key]
    elif change == 'surplus':
        state['image_encoder.extra'] = torch.ones(2)
    elif change == 'misshaped':
        state[last] = torch.ones(3, 3)
    elif change == 'integers':
        state[last] = state[last].to(torch.int32)
    elif change == 'complex':
        state[last] = state[last].to(torch.complex64)
    elif change == 'sparse':
        state[last] = state[last].to_sparse()
    elif change == 'huge':
        state[last] = torch.ones(1).expand(1 << 40)
    elif change == 'mixed prefix':
        state['module.' + last] = state.pop(last)
    return state


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ('missing', r'439 tensors of vit_t, found 434: 5 missing \(.*, .*, .*, …\)\. Choose'),
        ('surplus', r'found 440: 1 surplus \(image_encoder\.extra\)'),
        ('misshaped', r'1 misshaped \(mask_decoder\..* is \(3, 3\), expected \(4,\)\)'),
        ('integers', r'is torch.int32, expected floats'),
        ('complex', r'is torch.complex64, expected floats'),
        ('sparse', r'sparse'),
        ('huge', r'is \(1099511627776,\), expected \(4,\)'),
        ('mixed prefix', r'1 missing .*; 1 surplus \(module\.'),
    ],
)
@pytest.mark.filterwarnings('ignore:Validating sparse tensor')
def test_wrong_tensors_are_named(change: str, says: str, vit_t: State, path: Path) -> None:
    torch.save(changed(vit_t, change), path)
    with pytest.raises(IncompatibleCheckpointError, match=says) as caught:
        load_state_dict(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize('number', [float('nan'), float('inf'), 1e300])
def test_numbers_that_are_none(number: float, vit_t: State, path: Path) -> None:
    broken = vit_t[FIRST].double()
    broken[1, 2, 0, 1] = number
    torch.save(vit_t | {FIRST: broken}, path)
    with pytest.raises(DamagedCheckpointError, match=r'NaN or infinity in 1 tensors.*seq\.0\.c'):
        load_state_dict(path)


def test_another_architecture_than_the_model(vit_t: State, path: Path) -> None:
    torch.save(vit_t, path)
    assert load_state_dict(path, model=mobile_sam.setup_model())
    with pytest.raises(IncompatibleCheckpointError, match='Expected vit_b, found vit_t'):
        load_state_dict(path, model=mobile_sam.sam_model_registry['vit_b']())


def test_load_model(vit_t: State, path: Path) -> None:
    torch.save(wrap(vit_t, 'micro-sam'), path)
    loaded = load_model(path)
    assert same(dict(loaded.model.state_dict()), vit_t)
    assert not any(module.training for module in loaded.model.modules())
    assert loaded.digest == hashlib.sha256(path.read_bytes()).hexdigest() == file_digest(path)
    assert loaded.architecture == 'vit_t'
    assert loaded.name == 'file.pt'  # a file's name, so that nobody takes it for a registry's
    assert loaded.notice == 'Left out of file.pt: decoder_state.'


def test_load_model_tells_of_a_substitute(vit_t: State, house: Path) -> None:
    torch.save(vit_t, house / 'weights' / BUNDLED.filename)
    loaded = load_model()  # offline, as all tests are
    assert loaded.name == BUNDLED_NAME
    assert loaded.notice is not None
    assert 'not mobile_sam' in loaded.notice
    assert load_model(BUNDLED_NAME).notice is None


def test_registry_entry_must_be_its_architecture(
    vit_t: State, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = house / 'cache' / 'x.pt'
    file.parent.mkdir()
    torch.save(vit_t, file)
    info = replace(
        BUNDLED, name='x', filename='x.pt', architecture='vit_b',
        known_hash=f'sha256:{file_digest(file)}',
    )  # fmt: skip
    monkeypatch.setattr(search, 'REGISTRY', {'x': info})
    with pytest.raises(IncompatibleCheckpointError, match='Expected vit_b, found vit_t'):
        load_model('x')


def test_builder_reads_checkpoints_through_this(vit_t: State, path: Path) -> None:
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in vit_t.items()}, path)
    model = mobile_sam.sam_model_registry['vit_t'](checkpoint=path)
    assert torch.equal(model.state_dict()[FIRST], vit_t[FIRST].half().float())


def test_builder_refuses_another_architecture(vit_t: State, path: Path) -> None:
    torch.save(vit_t, path)
    with pytest.raises(IncompatibleCheckpointError, match='Expected vit_b, found vit_t'):
        mobile_sam.sam_model_registry['vit_b'](checkpoint=path)

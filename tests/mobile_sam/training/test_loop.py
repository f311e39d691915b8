from __future__ import annotations

import csv
import dataclasses
import logging
import math
from pathlib import Path

import pytest
import torch

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.training import TrainConfig
from mobile_sam.training.__main__ import parser
from mobile_sam.training.auxiliary import auxiliary_targets
from mobile_sam.training.batches import CropSource
from mobile_sam.training.logs import CSV_NAME
from mobile_sam.training.loop import EXPORT_NAME, STATE_NAME, Trainer, train
from mobile_sam.training.state import save_atomically


@pytest.fixture
def config(folder: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=folder,
        out=tmp_path / 'run',
        steps=4,
        crop_sizes=(64,),
        crop_weights=(1.0,),
        batch=2,
        prompts=2,
        save_minutes=0,
        lr=3e-4,
        threads=torch.get_num_threads(),
    )


@pytest.fixture(autouse=True)
def no_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, 'validate', lambda self: None)


class Killed(BaseException):
    """Stands for a kill: nothing in the loop can catch it."""


def test_a_killed_run_resumes_to_the_same_weights_and_log(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    whole = train(config)
    broken = dataclasses.replace(config, out=config.out.with_name('killed'))
    original = Trainer.train_step

    def step(self: Trainer, batch: object) -> dict[str, float]:
        if self.step == 2 and not (broken.out / 'again').exists():
            raise Killed
        return original(self, batch)

    monkeypatch.setattr(Trainer, 'train_step', step)
    with pytest.raises(Killed):
        train(broken)
    assert not (broken.out / EXPORT_NAME).exists()
    (broken.out / 'again').touch()
    trainer = Trainer(broken)
    assert trainer.step == 2
    resumed = trainer.run()
    first, second = (torch.load(p, weights_only=True) for p in (whole, resumed))
    for name, value in first.items():
        torch.testing.assert_close(second[name].float(), value.float(), rtol=1e-2, atol=1e-4)


def test_the_export_is_float16_and_loads_strictly(config: TrainConfig):
    path = train(dataclasses.replace(config, steps=1))
    assert path.stat().st_size < 22e6
    state = torch.load(path, weights_only=True)
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float16}
    build_sam_vit_t().load_state_dict(state, strict=True)
    rows = list(csv.DictReader((config.out / CSV_NAME).read_text().splitlines()))
    assert [int(r['step']) for r in rows] == [1]
    assert float(rows[0]['loss']) > 0


def test_the_loss_falls(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    # The same batch again and again: whatever it is, it must be learned.
    monkeypatch.setattr(
        CropSource,
        '__call__',
        lambda self, step, made={}: made.setdefault(0, _ORIGINAL(self, 0)),
    )
    trainer = Trainer(dataclasses.replace(config, steps=40, warmup=0.1, corrections=(1.0,)))
    trainer._set_mode()
    losses = []
    for _ in range(25):
        losses.append(trainer.train_step(trainer.source(0))['loss'])
        trainer.step += 1
    assert min(losses[-3:]) < 0.6 * losses[0]


_ORIGINAL = CropSource.__call__


def test_a_state_of_another_phase_is_refused(config: TrainConfig):
    trainer = Trainer(config)
    trainer.save()
    assert (config.out / STATE_NAME).is_file()
    with pytest.raises(ValueError, match='--init'):
        Trainer(dataclasses.replace(config, phase='frames'))


def test_bad_gradients_change_nothing(config: TrainConfig, caplog: pytest.LogCaptureFixture):
    trainer = Trainer(config)
    batch = trainer.source(0)
    before = {k: v.clone() for k, v in trainer.average.state.items()}
    batch.images[0, 0, 0, 0] = float('nan')
    with caplog.at_level(logging.WARNING):
        trainer.train_step(batch)
    assert 'not finite' in caplog.text
    weights = dict(trainer.model.named_parameters())
    assert all(torch.equal(before[name], value) for name, value in weights.items())


def test_bfloat16_learns_in_float32(config: TrainConfig):
    """The autocast path of GPUs, on the CPU: weights and gradients stay float32."""
    trainer = Trainer(dataclasses.replace(config, amp=True, corrections=(0.0, 1.0)))
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    row = trainer.train_step(trainer.source(0))
    assert math.isfinite(row['loss'])
    assert math.isfinite(row['grad'])
    assert row['grad'] > 0
    parameters = dict(trainer.model.named_parameters())
    assert {p.dtype for p in parameters.values()} == {torch.float32}
    assert {p.grad.dtype for p in parameters.values() if p.grad is not None} == {torch.float32}
    # Encoder, prompt encoder and decoder all moved.
    for part in ('image_encoder.layers.1', 'prompt_encoder.point', 'mask_decoder.transformer'):
        assert any(
            not torch.equal(before[name], value)
            for name, value in parameters.items()
            if name.startswith(part)
        )


def test_a_compiled_encoder_learns_the_models_own_weights(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    compiled = []

    class Compiled(torch.nn.Module):
        """As torch.compile: another module over the same weights, with names of its own."""

        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self._orig_mod = module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            compiled.append(images.shape)
            return self._orig_mod(images)

    monkeypatch.setattr(torch, 'compile', Compiled)
    path = train(dataclasses.replace(config, compile=True, steps=2))
    assert [shape[-1] for shape in compiled] == [64, 64]
    plain = train(dataclasses.replace(config, steps=2, out=config.out.with_name('plain')))
    first, second = (torch.load(p, weights_only=True) for p in (path, plain))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_resumed_run_logs_what_a_whole_one_does(config: TrainConfig):
    """The means of 20 steps reach back beyond the kill."""
    trainer = Trainer(config)
    trainer.recent = [{'loss': 1.0}]
    trainer.save()
    assert Trainer(config).recent == [{'loss': 1.0}]


def test_saving_leaves_the_old_file_when_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / 'state.pt'
    save_atomically({'a': 1}, path)

    def interrupted(*args: object) -> None:
        raise Killed

    monkeypatch.setattr(torch, 'save', interrupted)
    with pytest.raises(Killed):
        save_atomically({'a': 2}, path)
    monkeypatch.undo()
    assert torch.load(path, weights_only=True) == {'a': 1}


def test_every_setting_is_an_option(tmp_path: Path):
    given = '--data a --out b --minutes 3 --no-augment --crop-sizes 224 64 --modalities em'
    found = vars(parser().parse_args(given.split()))
    assert set(found) == {f.name for f in dataclasses.fields(TrainConfig)}
    assert found['crop_sizes'] == [224, 64]
    assert found['modalities'] == ['em']
    assert found['augment'] is False


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'steps': None}, 'minutes'),
        ({'minutes': 3.0}, 'minutes'),
        ({'phase': 'x'}, 'phase'),
        ({'crop_sizes': (100,)}, 'multiples of 16'),
        ({'corrections': (0.5,)}, 'sum to 1'),
        ({'crop_weights': (1.0, 1.0)}, 'same'),
    ],
)
def test_wrong_settings_are_named(config: TrainConfig, change: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(config, **change)


def test_auxiliary_targets_point_to_the_centre():
    import numpy as np

    labels = np.zeros((1, 16, 16), np.int32)
    labels[0, 4:12, 4:12] = 1
    maps = auxiliary_targets(labels, 2.0)[0]
    assert maps[0].sum() == 16
    # The middle of cells 2…5 is 3.5; cell 2 is 1.5 cells of 4 model pixels away.
    assert maps[2, 2, 3] == pytest.approx(1.5 * 4 / 32)
    assert maps[3, 3, 5] == pytest.approx(-1.5 * 4 / 32)
    assert maps[1, 0, 0] == 0
    assert maps[1, 2, 3] == 1


def test_a_new_decoder_may_start_over_a_trained_encoder(config: TrainConfig, tmp_path: Path):
    torch.manual_seed(5)
    first = build_sam_vit_t(checkpoint=None)
    torch.save(first.state_dict(), tmp_path / 'first.pt')
    begun = dataclasses.replace(config, init=tmp_path / 'first.pt', decoder='start')
    model = Trainer(begun).model
    kept = dict(first.named_parameters())
    same = {name: torch.equal(value, kept[name]) for name, value in model.named_parameters()}
    assert all(value for name, value in same.items() if name.startswith('image_encoder'))
    drawn = 'mask_decoder.transformer.layers.0.self_attn.q_proj.weight'
    assert not same[drawn]
    # The start ties queries and keys between tokens and image.
    attention = model.mask_decoder.transformer.layers[0].cross_attn_token_to_image
    assert torch.equal(attention.q_proj.weight, attention.k_proj.weight)


def test_rounded_products_are_asked_for_and_leave_positions_exact(config: TrainConfig):
    before = torch.get_float32_matmul_precision()
    try:
        rounded = Trainer(dataclasses.replace(config, round_products=True))
        assert torch.get_float32_matmul_precision() == 'medium'
        places = rounded.model.prompt_encoder.get_dense_pe()
        torch.set_float32_matmul_precision('highest')
        assert torch.equal(rounded.model.prompt_encoder.get_dense_pe(), places)
    finally:
        torch.set_float32_matmul_precision(before)

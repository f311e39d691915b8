from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.checkpoints import load_model, save_checkpoint
from mobile_sam.training import TrainConfig, distill
from mobile_sam.training.crops import Window
from mobile_sam.training.data import Reader, read_items
from mobile_sam.training.distill import DistillBatch, DistillSource, TeacherEmbeddings
from mobile_sam.training.logs import CSV_NAME
from mobile_sam.training.loop import EXPORT_NAME, Trainer, train
from mobile_sam.training.model_step import answer, position_slices


@pytest.fixture(scope='module')
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small teacher: a vit_t from other random weights than any student's."""
    torch.manual_seed(99)
    return save_checkpoint(build_sam_vit_t(), tmp_path_factory.mktemp('teacher') / 'teacher.pt')


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which embeddings stay from test to test: whole frames take long."""
    return tmp_path_factory.mktemp('embeddings')


@pytest.fixture
def config(folder: Path, teacher: Path, cache: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=folder,
        out=tmp_path / 'run',
        phase='distill',
        teacher=teacher,
        teacher_cache=cache,
        steps=60,
        crop_sizes=(64,),
        crop_weights=(1.0,),
        batch=2,
        limit=1,
        lr=2e-3,
        weight_decay=0,
        ema=0.9,
        save_minutes=1e6,
        validate_minutes=1e6,
        threads=torch.get_num_threads(),
    )


@pytest.fixture(autouse=True)
def no_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, 'validate', lambda self: None)


def agreement(trainer: Trainer, batch: DistillBatch, windows: list[Window]) -> float:
    """Mean IoU of masks for clicks in the middle of windows, from both encoders."""
    with torch.no_grad():
        mine = trainer.model.image_encoder.eval()(batch.images)
        positions = position_slices(trainer.model, windows)
        middle = torch.tensor([[[w.left + 32.0, w.top + 32.0], [0, 0]] for w in windows])
        labels = torch.tensor([[1, -1]]).expand(len(windows), 2)
        first, second = (
            answer(trainer.model, features, positions, middle, labels)[0]
            for features in (mine, batch.wanted)
        )
        # The teacher is untrained: its masks are split where half of its pixels are above.
        threshold = second.flatten(2).median(2).values[..., None, None]
        first, second = first > threshold, second > threshold
        both, either = (masks.sum((2, 3)) for masks in (first & second, first | second))
    trainer.model.image_encoder.train()
    return float((both / either.clamp(min=1)).mean())


def test_the_loss_falls_and_masks_agree(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    windows: list[Window] = []
    original = distill.true_window

    def seen(*arguments: object) -> Window:
        windows.append(original(*arguments))
        return windows[-1]

    monkeypatch.setattr(distill, 'true_window', seen)
    trainer = Trainer(config)
    # The same windows again and again: what can be learned of them must be learned.
    batch = trainer.source(0)
    before = agreement(trainer, batch, windows)
    losses = []
    for _ in range(24):
        losses.append(trainer.train_step(batch)['loss'])
        trainer.step += 1
    after = agreement(trainer, batch, windows)
    assert losses[-1] < losses[0] / 4
    assert after > before + 0.1
    # Prompt encoder and decoder are the teacher's, to the number.
    truth = load_model(config.teacher).model
    for name in ('prompt_encoder', 'mask_decoder'):
        given, kept = (getattr(m, name).state_dict() for m in (truth, trainer.model))
        assert all(torch.equal(given[key], kept[key]) for key in given)


def test_embeddings_are_kept_by_content_and_teacher(teacher: Path, tmp_path: Path):
    loaded = load_model(teacher)
    embeddings = TeacherEmbeddings(loaded, tmp_path)
    image = np.zeros((8, 8, 3), np.uint8)
    calls = []

    def encode(image: np.ndarray) -> np.ndarray:
        calls.append(image)
        return np.full((256, 64, 64), len(calls), np.float16)

    embeddings._encode = encode  # type: ignore[method-assign]
    assert embeddings(image)[0, 0, 0] == 1
    assert embeddings(image.copy())[0, 0, 0] == 1
    assert embeddings(image + 1)[0, 0, 0] == 2
    # The same bytes in another shape are another picture.
    assert embeddings(image.reshape(4, 16, 3))[0, 0, 0] == 3
    other = TeacherEmbeddings(dataclasses.replace(loaded, digest='another'), tmp_path)
    assert other.key(image) != embeddings.key(image)
    assert {p.suffix for p in tmp_path.iterdir()} == {'.npy'}
    assert len(list(tmp_path.iterdir())) == 3
    # What is cut short, or of another kind, is made again.
    path = tmp_path / f'{embeddings.key(image)}.npy'
    path.write_bytes(path.read_bytes()[:1000])
    assert embeddings(image)[0, 0, 0] == 4
    np.save(path, np.zeros((3, 3)))
    assert embeddings(image)[0, 0, 0] == 5
    assert embeddings(image)[0, 0, 0] == 5


def test_an_interrupted_write_leaves_nothing(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    embeddings = TeacherEmbeddings(load_model(teacher), tmp_path)
    embeddings._encode = lambda image: np.zeros((256, 64, 64), np.float16)  # type: ignore[method-assign]

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, 'save', interrupted)
    with pytest.raises(KeyboardInterrupt):
        embeddings(np.zeros((8, 8, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_batch_follows_from_the_step_and_fits_the_teacher(
    config: TrainConfig, folder: Path, teacher: Path, tmp_path: Path
):
    embeddings = TeacherEmbeddings(load_model(teacher), tmp_path)
    rows, cols = np.indices((64, 64), dtype=np.float16)
    embeddings._encode = lambda image: np.stack([rows, cols] * 128)  # type: ignore[method-assign]
    source = DistillSource(embeddings, read_items(folder), Reader(), config)
    first, again, other = source(3), source(3), source(4)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.wanted, again.wanted)
    assert not torch.equal(first.wanted, other.wanted)
    assert first.images.shape == (2, 3, 64, 64)
    assert first.wanted.shape == (2, 256, 4, 4)
    # Pictures of 64 x 80 fill 51 rows of tokens: no window shows nothing but padding.
    for step in range(30):
        assert source(step).wanted[:, 0].amin((1, 2)).max() < 51
    whole = DistillSource(
        embeddings, read_items(folder), Reader(), dataclasses.replace(config, crop_sizes=(1024,))
    )
    assert whole(0).wanted.shape == (2, 256, 64, 64)


def test_a_run_from_teacher_to_weights(config: TrainConfig, teacher: Path):
    config = dataclasses.replace(config, steps=2, batch=1)
    seen = []
    path = train(config, lambda trainer, row: seen.append((trainer.step, row['loss'])))
    assert path == config.out / EXPORT_NAME
    assert [step for step, _ in seen] == [1, 2]
    load_model(path)
    (row,) = csv.DictReader((config.out / CSV_NAME).read_text().splitlines())
    assert float(row['loss']) == pytest.approx(np.mean([loss for _, loss in seen]), rel=1e-4)
    assert row['iou_click'] == 'nan'
    assert Trainer(config).step == 2


def test_a_distillation_needs_a_teacher_and_nothing_else_does(config: TrainConfig):
    with pytest.raises(ValueError, match='needs a teacher'):
        dataclasses.replace(config, teacher=None)
    with pytest.raises(ValueError, match='needs a teacher'):
        dataclasses.replace(config, phase='crops')

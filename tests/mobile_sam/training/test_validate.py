from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.checkpoints import save_checkpoint
from mobile_sam.modeling import Sam
from mobile_sam.training.config import TrainConfig
from mobile_sam.training.data import Item, Reader, read_items
from mobile_sam.training.evaluate import main
from mobile_sam.training.frames import FrameSource
from mobile_sam.training.validate import (
    Evaluator,
    choose_items,
    choose_objects,
    iou,
    table,
    write_report,
)


@pytest.fixture(scope='module')
def model() -> Sam:
    torch.manual_seed(0)
    return build_sam_vit_t()


def test_iou_by_hand():
    found = np.array([[[1, 1, 0]], [[0, 0, 0]]], bool)
    wanted = np.array([[[0, 1, 1]], [[1, 0, 0]]], bool)
    assert iou(found, wanted).tolist() == pytest.approx([1 / 3, 0])


def test_the_choice_is_fixed_and_strata_take_turns():
    path = Path('x')
    items = [Item(f'{s}{i}', 'm', s, f'{s}{i}', path, path) for s in 'ab' for i in range(9)]
    chosen = choose_items(items, 4)
    assert sorted(i.stratum for i in chosen) == ['a', 'a', 'b', 'b']
    assert choose_items(reversed(items), 4) == chosen


def test_objects_are_chosen_over_all_sizes(folder: Path):
    sample = Reader()(read_items(folder)[0])
    areas = np.bincount(sample.labels.ravel())
    chosen = choose_objects(sample, 2)
    assert {areas[i] for i in chosen} == {areas[1:].min(), areas[1:].max()}


def test_a_perfect_answer_scores_one(folder: Path, model: Sam, monkeypatch: pytest.MonkeyPatch):
    """With the decoder replaced by the truth, every column of the report is perfect."""
    from mobile_sam.training import validate

    items = read_items(folder)[:1]
    labels = Reader()(items[0]).labels
    truth = labels[None] == np.array(choose_objects(Reader()(items[0]), None))[:, None, None]

    def predict(self: object, coords: object, kinds: object, previous: object) -> object:
        logits = torch.zeros(len(truth), 4, 1, 1)
        return logits, torch.ones(len(truth), 4)

    monkeypatch.setattr(validate.Answers, '__init__', lambda self, model, sample: None)
    monkeypatch.setattr(validate.Answers, 'predict', predict)
    monkeypatch.setattr(validate.Answers, 'native', lambda self, low: truth)
    report = Evaluator(items, corrections=2)(model)
    assert report.macro.click == report.macro.box == report.macro.oracle == 1
    assert report.macro.corrected == (1, 1)
    assert report.macro.calibration == 0


def test_a_report_of_an_untrained_model(folder: Path, model: Sam, tmp_path: Path):
    report = Evaluator(read_items(folder), images=1, objects=1, corrections=1)(model)
    assert set(report.modalities) == {'fluorescence', 'em'}
    assert report.macro.objects == 2
    lines = table(report).splitlines()
    assert lines[0].startswith('| modality | images | objects | 1 click')
    assert lines[4].startswith('| macro | 2 | 2 |')
    write_report(report, tmp_path / 'report.json')
    assert json.loads((tmp_path / 'report.json').read_text())['macro']['images'] == 2


def test_a_model_in_training_mode_is_refused(folder: Path, model: Sam):
    model.train()
    try:
        with pytest.raises(ValueError, match='eval'):
            Evaluator(read_items(folder), images=1)(model)
    finally:
        model.eval()


def test_frames_are_embedded_once(folder: Path, model: Sam, tmp_path: Path):
    config = TrainConfig(
        data=folder,
        out=tmp_path,
        steps=1,
        phase='frames',
        batch=1,
        prompts=3,
        cached_frames=1,
        views=(1.0,),
    )
    source = FrameSource(model, read_items(folder), Reader(), config)
    batch = source(0)
    assert batch.images.shape == (1, 256, 64, 64)
    assert batch.targets.shape == (3, 256, 256)
    assert torch.equal(source(1).images, batch.images)
    assert not torch.equal(source(1).coords, batch.coords)


def test_weights_are_compared_from_the_command_line(
    folder: Path, model: Sam, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    weights = save_checkpoint(model, tmp_path / 'some.pt')
    given = ['--data', str(folder), '--weights', str(weights), '--json', str(tmp_path / 'out')]
    with caplog.at_level('INFO'):
        main([*given, '--images', '1', '--objects', '1', '--corrections', '0'])
    assert '| macro |' in caplog.text
    report = json.loads((tmp_path / 'out' / 'some.json').read_text())
    # Every fifth group, from the first: one of three, and one of two.
    assert report['macro']['objects'] == 2

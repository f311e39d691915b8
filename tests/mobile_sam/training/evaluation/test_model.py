from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_sam.automatic_mask_generator import SamAutomaticMaskGenerator
from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.checkpoints import LoadedModel
from mobile_sam.modeling import Sam
from mobile_sam.predictor import SamPredictor
from mobile_sam.training.data import Reader, Sample, read_items
from mobile_sam.training.evaluation import Evaluator, EverythingSettings, SamContestant
from mobile_sam.training.evaluation.asking import Answers, Asked


@pytest.fixture(scope='module')
def model() -> Sam:
    torch.manual_seed(0)
    return build_sam_vit_t()


@pytest.fixture(scope='module')
def sample(folder: Path) -> Sample:
    return Reader()(read_items(folder)[0])


@pytest.fixture(scope='module')
def look(model: Sam, sample: Sample) -> Answers:
    return SamContestant(model).look(sample)


@pytest.fixture(scope='module')
def predictor(look: Answers) -> SamPredictor:
    return look.predictor


def test_clicks_and_corrections_are_the_predictors(look: Answers, predictor: SamPredictor):
    asked = Asked.clicks(np.array([[20.0, 30.0], [40.0, 10.0]]))
    reply = look.answer(asked)
    shift = 0.5 - 0.5 * 80 / 1024  # the predictor multiplies; here centres of pixels are placed
    masks, scores, low = predictor.predict(np.array([[30, 20]]) + shift, np.array([1]))
    assert reply.masks.shape == (2, 3, 64, 80)
    assert (reply.masks[0] == masks).all()
    np.testing.assert_allclose(reply.scores[0], scores, atol=1e-5)
    best = reply.best()
    asked = asked.with_points(np.array([[5.0, 6.0], [7.0, 8.0]]), np.array([False, True]))
    _, memory = reply.chosen(best)
    again = look.answer(asked, memory)
    masks, _, _ = predictor.predict(
        np.array([[30, 20], [6, 5]]) + shift, np.array([1, 0]), mask_input=low[best[0]][None],
        multimask_output=False,
    )  # fmt: skip
    assert again.masks.shape == (2, 1, 64, 80)
    assert (again.masks[0] == masks).mean() > 0.999


def test_boxes_are_the_engines(look: Answers, predictor: SamPredictor, sample: Sample):
    """The same numbers reach the model as from the plugin, for the box drawn around an object."""
    from napari_mobilesam.engine import Prompts, SamSegmenter

    box = (9.5, 10.5, 30.5, 25.5)
    seen: list[torch.Tensor] = []
    handle = predictor.model.prompt_encoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs['boxes']), with_kwargs=True
    )
    reply = look.answer(Asked.rectangles(np.array([box])))
    loaded = LoadedModel(predictor.model, 'd' * 64, 'vit_t', 'random')
    segmenter = SamSegmenter(loaded, 'cpu')
    segmenter.decode(segmenter.encode(sample.image), Prompts(box=box))
    handle.remove()
    assert reply.masks.shape == (1, 1, 64, 80)
    np.testing.assert_allclose(seen[0].numpy(), seen[1].numpy(), rtol=1e-6)


def test_everything_is_labels_from_the_generator(
    look: Answers, sample: Sample, monkeypatch: pytest.MonkeyPatch
):
    made = []

    def generate(self: SamAutomaticMaskGenerator, image: np.ndarray) -> list[dict[str, object]]:
        made.append((self, image))
        return [{'segmentation': sample.labels == 2, 'predicted_iou': 0.9}]

    monkeypatch.setattr(SamAutomaticMaskGenerator, 'generate', generate)
    labels = look.everything()
    assert ((labels == 1) == (sample.labels == 2)).all()
    ((generator, image),) = made
    assert image is sample.image
    assert generator.pred_iou_thresh == EverythingSettings().pred_iou_thresh


def test_a_model_in_training_mode_is_refused(folder: Path, model: Sam):
    model.train()
    try:
        with pytest.raises(ValueError, match='eval'):
            Evaluator(read_items(folder), images=1)(model)
    finally:
        model.eval()

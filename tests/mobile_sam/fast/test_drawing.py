"""A sketch of a mask is the mask, with less drawn of what is far from its contour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import coins
from skimage.transform import resize
from torch import Tensor

from mobile_sam.checkpoints import BUNDLED_NAME, load_model
from mobile_sam.fast.crew import Crew
from mobile_sam.fast.decoder import Attended, FastDecoder
from mobile_sam.fast.drawing import in_doubt
from mobile_sam.fast.encoder import FastTinyViT
from mobile_sam.modeling import Sam

POINTS = torch.tensor([[150.0, 200.0], [512.0, 512.0], [900.0, 100.0], [330.0, 740.0]])


@pytest.fixture(scope='module')
def model() -> Sam:
    return load_model(BUNDLED_NAME).model


@pytest.fixture(scope='module')
def features(model: Sam) -> Tensor:
    grey = torch.from_numpy(resize(coins()[:, :303], (1024, 1024), preserve_range=True)).float()
    pixels = model.preprocess(grey.expand(1, 3, -1, -1))
    return FastTinyViT(model.image_encoder)(pixels)[0]


def attended(model: Sam, features: Tensor, members: int = 1, sketching: bool = False) -> Attended:
    fast = FastDecoder(model.prompt_encoder, model.mask_decoder, Crew(members))
    with torch.inference_mode():
        sparse, _ = model.prompt_encoder(
            points=(POINTS[:, None], torch.ones(len(POINTS), 1, dtype=torch.int64)),
            boxes=None,
            masks=None,
        )
        return fast.attend(fast.image_side(features), sparse, None, True, sketching)


def test_sketch_has_the_same_contours(model: Sam, features: Tensor) -> None:
    found = attended(model, features)
    shares = []
    for prompt in range(len(POINTS)):
        for masks in ([int(found.scores[prompt].argmax())], None):
            full, sketch = found.draw(prompt, masks), found.sketch(prompt, masks)
            assert sketch.shape == full.shape
            for threshold in (-1.0, 0.0, 1.0):
                wrong = ((full > threshold) != (sketch > threshold)).sum()
                assert wrong <= (0 if threshold == 0 else 0.001 * (full > threshold).sum())
            shares.append(float(torch.isclose(full, sketch, atol=1e-4).float().mean()))
    # of the logits not nearly all are drawn, but all near the contours are
    assert 0.05 < min(shares) < 0.4
    assert max(shares) < 1


def test_a_crew_sketches_the_same(model: Sam, features: Tensor) -> None:
    one, three = (attended(model, features, members) for members in (1, 3))
    for prompt in range(len(POINTS)):
        torch.testing.assert_close(one.sketch(prompt), three.sketch(prompt), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('members', [1, 2])
def test_a_sketch_that_was_known_of_before_is_the_same(
    model: Sam, features: Tensor, members: int
) -> None:
    expected = attended(model, features, members)
    begun = attended(model, features, members, sketching=True)
    assert torch.equal(begun.scores, expected.scores)
    for prompt in range(len(POINTS)):
        assert torch.equal(begun.sketch(prompt), expected.sketch(prompt))
        assert torch.equal(begun.sketch(prompt, [1]), expected.sketch(prompt, [1]))
        assert torch.equal(begun.draw(prompt), expected.draw(prompt))


def test_where_all_is_in_doubt_all_is_drawn(small_sam: Sam) -> None:
    noise = torch.randn(256, 8, 8, generator=torch.Generator().manual_seed(0))
    found = attended(small_sam, noise)  # random weights draw logits about 0
    assert torch.equal(found.sketch(0), found.draw(0))


def test_doubt() -> None:
    coarse = np.full((1, 8, 8), -9, np.float32)
    assert not in_doubt(coarse).any()
    coarse[0, 2, 3] = 9.0  # the other side: this cell, and all that touch it
    expected = np.zeros((8, 8), bool)
    expected[1:4, 2:5] = True
    assert np.array_equal(in_doubt(coarse), expected)
    coarse[0, 2, 3] = -1.5  # the same side, but near the threshold
    assert np.array_equal(in_doubt(coarse), expected)
    coarse[0, 2, 3] = -6.0  # within the margin and a quarter of the difference: 2 + 0.75
    assert not in_doubt(coarse).any()
    both = np.concatenate([np.full_like(coarse, 9), coarse])
    assert np.array_equal(in_doubt(both), in_doubt(coarse))
    coarse[0, 2, 3] = -2.6  # a steep slope may hide more within a cell than a gentle one
    assert np.array_equal(in_doubt(coarse), expected)
    assert not in_doubt(np.full_like(coarse, -2.6)).any()

"""What another encoder does to the masks of the same objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mobile_sam.modeling import Sam
from mobile_sam.training.data import Sample
from mobile_sam.training.evaluation.encoders import (
    EncoderLoss,
    encoder_loss,
    pictures_of_each_kind,
)
from mobile_sam.training.simulate import KINDS


@pytest.fixture(scope='module')
def samples() -> list[Sample]:
    return list(pictures_of_each_kind(3, sides=(96,)))


def test_each_kind_once_for_each_side(samples: list[Sample]) -> None:
    assert len(samples) == len(KINDS)
    assert all(sample.image.shape == (96, 96, 3) for sample in samples)
    assert all(sample.labels.any() for sample in samples)
    again, others = (list(pictures_of_each_kind(seed, sides=(96,))) for seed in (3, 4))
    for one, same, other in zip(samples, again, others, strict=True):
        np.testing.assert_array_equal(one.image, same.image)
        assert not np.array_equal(one.image, other.image)


def test_the_same_encoder_loses_nothing(small_sam: Sam, samples: list[Sample]) -> None:
    encode = torch.inference_mode()(small_sam.image_encoder)
    loss = encoder_loss(small_sam, encode, samples[:2], objects=3)
    assert loss.objects == 6
    assert abs(loss.largest) < 1e-3
    assert 0 < loss.click[0] < 1
    assert 0 < loss.box[0] < 1


def test_another_encoder_gives_other_masks(small_sam: Sam, samples: list[Sample]) -> None:
    def encode(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return small_sam.image_encoder(x.flip(-1))

    same = encoder_loss(small_sam, small_sam.image_encoder, samples[:2], objects=3)
    other = encoder_loss(small_sam, encode, samples[:2], objects=3)
    assert other.click[0] == pytest.approx(same.click[0])
    assert other.box[0] == pytest.approx(same.box[0])
    assert other.click[1] != pytest.approx(same.click[1], abs=1e-4)


def test_the_larger_loss_counts() -> None:
    assert EncoderLoss(1, (0.8, 0.7), (0.9, 0.85)).largest == pytest.approx(0.1)
    assert EncoderLoss(1, (0.8, 0.9), (0.9, 0.91)).largest == pytest.approx(-0.01)

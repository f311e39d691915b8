from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mobile_sam import setup_model
from mobile_sam.modeling import Sam


@pytest.fixture(scope='module')
def sam() -> Sam:
    torch.manual_seed(0)
    return setup_model()


def test_preprocess_normalises_then_pads_with_zeros(sam: Sam) -> None:
    x = torch.full((3, 100, 1024), 255.0)
    out = sam.preprocess(x)
    assert out.shape == (3, 1024, 1024)
    assert out[0, 0, 0] == pytest.approx((255 - 123.675) / 58.395)
    assert (out[:, 100:] == 0).all()


def test_too_large_an_image_is_refused(sam: Sam) -> None:
    with pytest.raises(ValueError, match='at most 1024'):
        sam.preprocess(torch.zeros(3, 1025, 10))


def test_postprocess_takes_the_padding_off(sam: Sam) -> None:
    low = torch.full((1, 1, 256, 256), -1.0)
    low[..., :128, :] = 1.0  # the upper half of the frame is the image
    out = sam.postprocess_masks(low, (512, 1024), (50, 100))
    assert out.shape == (1, 1, 50, 100)
    assert (out[..., :49, :] > 0).all()


def test_mean_and_std_are_no_part_of_the_state(sam: Sam) -> None:
    assert not [key for key in sam.state_dict() if key.startswith('pixel')]


def test_decoder_refuses_a_wrong_number_of_images(sam: Sam) -> None:
    sparse = torch.zeros(3, 2, 256)
    dense = torch.zeros(3, 256, 4, 4)
    with pytest.raises(ValueError, match='found 2'):
        sam.mask_decoder(torch.zeros(2, 256, 4, 4), torch.zeros(1, 256, 4, 4), sparse, dense, True)


def test_decoder_takes_any_grid_and_one_embedding_per_prompt(sam: Sam) -> None:
    features = torch.randn(2, 256, 6, 10)
    sparse, dense = torch.randn(2, 2, 256), torch.randn(2, 256, 6, 10)
    encoding = sam.prompt_encoder.pe_layer((6, 10))[None]
    with torch.inference_mode():
        masks, iou = sam.mask_decoder(features, encoding, sparse, dense, multimask_output=True)
        first, _ = sam.mask_decoder(features[:1], encoding, sparse[:1], dense[:1], True)
    assert masks.shape == (2, 3, 24, 40)
    assert iou.shape == (2, 3)
    torch.testing.assert_close(masks[:1], first, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('multimask', [True, False])
def test_forward_equals_the_parts(
    sam: Sam, multimask: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The encoder itself is the goldens' matter; a cheap stand-in keeps this test quick.
    def encode(images: Tensor) -> Tensor:
        pooled = torch.nn.functional.adaptive_avg_pool2d(images, 64)
        return pooled.repeat(1, 86, 1, 1)[:, :256]

    monkeypatch.setattr(sam.image_encoder, 'forward', encode)
    image = torch.rand(3, 768, 1024) * 255
    points = torch.tensor([[[100.0, 50.0]], [[900.0, 700.0]]]), torch.ones(2, 1)
    record = {
        'image': image,
        'original_size': (96, 128),
        'point_coords': points[0],
        'point_labels': points[1],
    }
    box = {
        'image': image,
        'original_size': (48, 64),
        'boxes': torch.tensor([[0.0, 0.0, 500.0, 500.0]]),
        'mask_inputs': torch.randn(1, 1, 256, 256),
    }
    first, second = sam([record, box], multimask_output=multimask)
    count = 3 if multimask else 1
    assert first['masks'].shape == (2, count, 96, 128)
    assert first['masks'].dtype == torch.bool
    assert second['masks'].shape == (1, count, 48, 64)
    assert second['low_res_logits'].shape == (1, count, 256, 256)
    with torch.inference_mode():
        sparse, dense = sam.prompt_encoder(points=points, boxes=None, masks=None)
        features = encode(sam.preprocess(image)[None])
        low, iou = sam.mask_decoder(
            features, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask
        )
        full = sam.postprocess_masks(low, (768, 1024), (96, 128))
    torch.testing.assert_close(first['low_res_logits'], low)
    torch.testing.assert_close(first['iou_predictions'], iou)
    assert torch.equal(first['masks'], full > 0)

"""The image encoder at 1024², a picture and a stack of 16, against the plain form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_encoder import plain_encode

from mobile_sam import setup_model
from mobile_sam.checkpoints import BUNDLED_NAME, LoadedModel, load_model
from mobile_sam.fast.backends import OpenVino, installed
from mobile_sam.fast.encoder import FastTinyViT
from mobile_sam.fast.quantised import prepared, quantise
from mobile_sam.modeling import TinyViT
from mobile_sam.training.evaluation.encoders import pictures_of_each_kind
from mobile_sam.utils.onnx import export_prepared_encoder
from napari_mobilesam.engine import SamSegmenter


@pytest.fixture(scope='module')
def encoder() -> TinyViT:
    # Random weights: the time is the same, the features mean nothing.
    torch.manual_seed(0)
    return setup_model().image_encoder


@pytest.fixture(scope='module')
def pixels() -> torch.Tensor:
    return torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(1))


def test_encoder_modules(compare: Any, encoder: TinyViT, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        compare(
            'encoder, as its modules compute it',
            lambda: plain_encode(encoder, pixels),
            lambda: encoder(pixels),
        )


def test_encoder(compare: Any, encoder: TinyViT, pixels: torch.Tensor) -> None:
    fast = FastTinyViT(encoder)
    with torch.inference_mode():
        compare(
            'encoder 1024², one image',
            lambda: plain_encode(encoder, pixels),
            lambda: fast(pixels),
            floor=1.8,
            aim=2.6,
        )


def test_predictor(compare: Any, encoder: TinyViT, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        compare(
            'encoder 1024², made anew each time, as by SamPredictor',
            lambda: plain_encode(encoder, pixels),
            lambda: FastTinyViT(encoder)(pixels),
        )


@pytest.mark.parametrize('kind', ['', ', int8'])
def test_openvino(compare: Any, pixels: torch.Tensor, tmp_path: Path, kind: str) -> None:
    backend = OpenVino()
    if installed(backend) is None:
        pytest.skip('OpenVINO is not installed')
    model = load_model(BUNDLED_NAME).model
    graph = export_prepared_encoder(model.image_encoder, 1024, tmp_path / 'encoder.onnx')
    if kind:
        some = (prepared(model, sample.image) for sample in pictures_of_each_kind(seed=1))
        quantise(graph, some, tmp_path / 'rounded.onnx')
        graph = tmp_path / 'rounded.onnx'
    encode = backend.load(graph, torch.get_num_threads())
    with torch.inference_mode():
        compare(
            f'encoder 1024², OpenVINO{kind}',
            lambda: plain_encode(model.image_encoder, pixels),
            lambda: encode(pixels),
            aim=3,
        )


def test_stack(compare: Any) -> None:
    model = setup_model()
    segmenter = SamSegmenter(LoadedModel(model, '0' * 64, 'vit_t', 'random'), 'cpu')
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (16, 512, 512, 3), dtype=np.uint8))

    def plain() -> None:
        with torch.inference_mode():
            for image in images:
                pixels = segmenter._picture(image, '').pixels
                batch = model.preprocess(torch.from_numpy(pixels)[None].float())
                plain_encode(model.image_encoder, batch).half().numpy()

    compare(
        'stack of 16 slices',
        plain,
        lambda: list(segmenter.encode_many(images)),
        rounds=5,
        floor=1.8,
        aim=2.6,
    )

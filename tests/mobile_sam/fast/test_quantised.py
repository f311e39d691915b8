"""Encoders of 8-bit integers: rounded for real, by the pictures they are given, and in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_encoder import SIDE, Encoder
from torch import Tensor

from mobile_sam import SamPredictor
from mobile_sam.fast.backends import OnnxRuntime
from mobile_sam.fast.quantised import prepared, quantise
from mobile_sam.modeling import Sam
from mobile_sam.utils.onnx import export_prepared_encoder


def picture(seed: int) -> Tensor:
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope='module')
def rounded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Tensor]], Path]:
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    folder = tmp_path_factory.mktemp('graphs')
    graph = export_prepared_encoder(Encoder().eval(), SIDE, folder / 'encoder.onnx')

    def rounded(pictures: list[Tensor]) -> Path:
        path = folder / f'{len(list(folder.iterdir()))}.onnx'
        quantise(graph, pictures, path)
        return path

    return rounded


def distance(graph: Path) -> float:
    x = picture(9)
    with torch.inference_mode():
        expected = Encoder().eval()(x)
        return float((OnnxRuntime().load(graph, 1)(x) - expected).norm() / expected.norm())


def test_features_are_nearly_the_same(rounded: Callable[[list[Tensor]], Path]) -> None:
    graph = rounded([picture(seed) for seed in range(4)])
    assert 1e-4 < distance(graph) < 0.03


def test_pictures_say_how_large_values_become(rounded: Callable[[list[Tensor]], Path]) -> None:
    assert distance(rounded([picture(seed) / 20 for seed in range(4)])) > 0.2


def test_only_products_are_rounded(rounded: Callable[[list[Tensor]], Path]) -> None:
    onnx = pytest.importorskip('onnx')
    nodes = onnx.load(str(rounded([picture(1)]))).graph.node
    made = {name: node for node in nodes for name in node.output}
    rounded_values = {
        name
        for node in nodes
        if node.op_type == 'DequantizeLinear'
        and node.input[0] in made
        and made[node.input[0]].op_type == 'QuantizeLinear'
        for name in node.output
    }
    takers = [node.op_type for node in nodes if rounded_values & set(node.input)]
    assert sorted(takers) == ['Conv', 'MatMul']


def test_a_picture_is_prepared_as_the_predictor_does(
    small_sam: Sam, small_image: np.ndarray
) -> None:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    with torch.inference_mode():
        features = small_sam.image_encoder(prepared(small_sam, small_image))
    torch.testing.assert_close(features, predictor.features, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('set_by_user', [None, '0'])
def test_onnx_runtime_reports_nothing(
    rounded: Callable[[list[Tensor]], Path], tmp_path: Path, set_by_user: str | None
) -> None:
    """It would keep a number of the computer in the cache folder, and send what it notes there."""
    code = f"""
import json, os
from pathlib import Path
from mobile_sam.fast.backends import OnnxRuntime
OnnxRuntime().load(Path({str(rounded([picture(1)]))!r}), 1)
print(json.dumps(os.environ['ORT_DISABLE_TELEMETRY']))
"""
    environment = {**os.environ, 'XDG_CACHE_HOME': str(tmp_path / 'cache')}
    environment.pop('ORT_DISABLE_TELEMETRY')
    if set_by_user is not None:
        environment['ORT_DISABLE_TELEMETRY'] = set_by_user
    found = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, check=True, text=True
    )
    assert json.loads(found.stdout) == (set_by_user or '1')
    if set_by_user is None:
        assert not list(tmp_path.rglob('*'))

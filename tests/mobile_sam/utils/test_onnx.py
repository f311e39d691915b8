"""Exported models give in onnxruntime what the model gives in torch."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobile_sam import SamPredictor
from mobile_sam.modeling import Sam
from mobile_sam.utils import onnx as onnx_utils
from mobile_sam.utils.onnx import EncoderOnnxModel, SamOnnxModel, export_decoder, export_encoder
from mobile_sam.utils.transforms import ResizeLongestSide

SIDE = 128


def inputs(n_points: int, has_mask: bool = False, size: tuple[int, int] = (90, 120)) -> Any:
    """Arguments of the decoder by name, of a model for 128 pixels."""
    make = torch.Generator().manual_seed(n_points)
    return {
        'image_embeddings': torch.randn(1, 256, SIDE // 16, SIDE // 16, generator=make),
        'point_coords': torch.rand(1, n_points, 2, generator=make) * SIDE,
        'point_labels': torch.tensor([[1.0, -1.0, 0.0, 2.0, 3.0][:n_points]]),
        'mask_input': torch.randn(1, 1, SIDE // 4, SIDE // 4, generator=make),
        'has_mask_input': torch.tensor([float(has_mask)]),
        'orig_im_size': torch.tensor(size, dtype=torch.float32),
    }


def run(path: Path, arguments: dict[str, torch.Tensor]) -> list[np.ndarray]:
    runtime = pytest.importorskip('onnxruntime')
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return session.run(None, {name: tensor.numpy() for name, tensor in arguments.items()})


@pytest.fixture(scope='module')
def decoder_file(small_sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip('onnxscript')
    return export_decoder(small_sam, tmp_path_factory.mktemp('onnx') / 'decoder.onnx')


def test_signatures_are_those_of_the_reference() -> None:
    assert list(inspect.signature(SamOnnxModel.forward).parameters)[1:] == list(inputs(1))
    assert list(inspect.signature(SamOnnxModel).parameters) == [
        'model',
        'return_single_mask',
        'use_stability_score',
        'return_extra_metrics',
    ]


def test_decoder_agrees_with_the_predictor(small_sam: Sam, small_image: np.ndarray) -> None:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    coords, labels = np.array([[30.0, 20.0], [70.0, 80.0]]), np.array([1, 0])
    scaled = predictor.transform.apply_coords(np.vstack([coords, [[0, 0]]]), (90, 120))
    arguments = inputs(3) | {
        'image_embeddings': predictor.get_image_embedding(),
        'point_coords': torch.from_numpy(scaled).float()[None],
        'point_labels': torch.tensor([[1.0, 0.0, -1.0]]),
    }
    masks, scores, low_res = SamOnnxModel(small_sam, return_single_mask=False)(**arguments)
    for multimask, where in ((True, slice(1, 4)), (False, slice(0, 1))):
        expected = predictor.predict(coords, labels, multimask_output=multimask, return_logits=True)
        for theirs, ours in zip(expected, (masks, scores, low_res), strict=True):
            np.testing.assert_allclose(ours[0, where].numpy(), theirs, atol=1e-5)


def test_box_is_two_labelled_points(small_sam: Sam, small_image: np.ndarray) -> None:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    corners = predictor.transform.apply_boxes([10, 20, 60, 70], (90, 120)).reshape(1, 2, 2)
    arguments = inputs(2) | {
        'image_embeddings': predictor.get_image_embedding(),
        'point_coords': torch.from_numpy(corners).float(),
        'point_labels': torch.tensor([[2.0, 3.0]]),
    }
    expected = predictor.predict(box=[10, 20, 60, 70])[2]
    low_res = SamOnnxModel(small_sam, return_single_mask=False)(**arguments)[2]
    np.testing.assert_allclose(low_res[0, 1:].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize('size', [(90, 120), (333, 257), (128, 128), (31, 500), (2, 3)])
def test_resampling_by_matrices_is_resizing(small_sam: Sam, size: tuple[int, int]) -> None:
    logits = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    kept = ResizeLongestSide.get_preprocess_shape(*size, SIDE)
    expected = small_sam.postprocess_masks(logits, kept, size)
    model = SamOnnxModel(small_sam, return_single_mask=False)
    sizes = torch.tensor(size, dtype=torch.float32)
    assert model.resize_longest_image_size(sizes, SIDE).tolist() == list(kept)
    torch.testing.assert_close(
        model.mask_postprocessing(logits, sizes), expected, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(('n_points', 'best'), [(2, 2), (3, 0)])
def test_single_mask_is_the_best_that_is_meant(small_sam: Sam, n_points: int, best: int) -> None:
    masks = torch.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 8, 8)
    scores = torch.tensor([[0.9, 0.1, 0.8, 0.3]])
    model = SamOnnxModel(small_sam, return_single_mask=True)
    chosen, score = model.select_masks(masks, scores, n_points)
    assert chosen.shape == (1, 1, 8, 8)
    assert (chosen == best).all()
    assert score.tolist() == [[pytest.approx(scores[0, best].item())]]


def test_extra_metrics_and_stability(small_sam: Sam) -> None:
    model = SamOnnxModel(
        small_sam, return_single_mask=False, use_stability_score=True, return_extra_metrics=True
    )
    masks, scores, stability, areas, low_res = model(**inputs(2))
    assert masks.shape == (1, 4, 90, 120)
    np.testing.assert_array_equal(areas.numpy(), (masks > 0).sum(dim=(-2, -1)).numpy())
    inner, outer = (((low_res > t).sum(dim=(-2, -1))) for t in (1.0, -1.0))
    np.testing.assert_allclose(scores.numpy(), (inner / outer).numpy())
    assert stability.shape == (1, 4)


@pytest.mark.parametrize('has_mask', [False, True])
@pytest.mark.parametrize(('n_points', 'size'), [(2, (90, 120)), (5, (333, 257))])
def test_exported_decoder(
    small_sam: Sam, decoder_file: Path, n_points: int, size: tuple[int, int], has_mask: bool
) -> None:
    arguments = inputs(n_points, has_mask, size)
    expected = SamOnnxModel(small_sam, return_single_mask=False)(**arguments)
    found = run(decoder_file, arguments)
    assert found[0].shape == (1, 4, *size)
    for ours, theirs in zip(expected, found, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)


@pytest.mark.slow
def test_exported_decoder_with_all_options(small_sam: Sam, tmp_path: Path) -> None:
    pytest.importorskip('onnxscript')
    options = dict.fromkeys(
        ('return_single_mask', 'use_stability_score', 'return_extra_metrics'), True
    )
    path = export_decoder(small_sam, tmp_path / 'decoder.onnx', **options)
    assert {p.name for p in tmp_path.iterdir()} == {'decoder.onnx'}  # weights inside
    for n_points in (2, 4):
        arguments = inputs(n_points)
        expected = SamOnnxModel(small_sam, **options)(**arguments)
        for ours, theirs in zip(expected, run(path, arguments), strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)


def test_exported_encoder_takes_any_size(small_sam: Sam, tmp_path: Path) -> None:
    pytest.importorskip('onnxscript')
    path = export_encoder(small_sam, tmp_path / 'encoder.onnx')
    for size in ((96, 128), (128, 50), (128, 128)):
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2)) * 255
        expected = EncoderOnnxModel(small_sam)(image)
        (found,) = run(path, {'image': image})
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_missing_exporter_is_named(
    small_sam: Sam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(RuntimeError, match='pip install onnx onnxscript'):
        export_encoder(small_sam, tmp_path / 'encoder.onnx')


def test_command_line(monkeypatch: pytest.MonkeyPatch, small_sam: Sam, tmp_path: Path) -> None:
    calls: list[tuple[str, Any]] = []
    # By way of sys.modules: the package's attribute of this name is a function.
    monkeypatch.setattr(
        sys.modules['mobile_sam.build_sam'],
        'sam_model_registry',
        {'vit_t': lambda checkpoint: calls.append(('build', checkpoint)) or small_sam},
    )
    for what in ('decoder', 'encoder'):
        monkeypatch.setattr(
            onnx_utils,
            f'export_{what}',
            lambda model, path, what=what, **options: calls.append((what, (path, options))),
        )
    arguments = ['--checkpoint', 'w.pt', '--decoder', 'd.onnx', '--encoder', 'e.onnx']
    assert onnx_utils.main([*arguments, '--return-single-mask']) == 0
    assert [name for name, _ in calls] == ['build', 'decoder', 'encoder']
    assert calls[0][1] == 'w.pt'
    path, options = calls[1][1]
    assert path == 'd.onnx'
    assert options['return_single_mask']
    assert not options['return_extra_metrics']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--checkpoint', 'w.pt'], 'expected --decoder or --encoder'),
        (['--checkpoint', 'w.pt', '--decoder', 'd', '--model-type', 'x'], 'found x'),
    ],
)
def test_command_line_says_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        onnx_utils.main(arguments)
    assert message in capsys.readouterr().err

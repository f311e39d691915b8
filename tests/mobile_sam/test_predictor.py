"""The predictor: what it takes, what it refuses, what it hands to the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mobile_sam import SamAutomaticMaskGenerator, SamPredictor
from mobile_sam.modeling import Sam

POINT = np.array([[40.0, 30.0]])
ONE = np.array([1])
BOX = np.array([10, 20, 60, 70])


@pytest.fixture(scope='module')
def _encoded(small_sam: Sam, small_image: np.ndarray) -> SamPredictor:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    return predictor


@pytest.fixture
def predictor(_encoded: SamPredictor) -> Iterator[SamPredictor]:
    yield _encoded
    assert _encoded.is_image_set, 'this predictor is shared: use a new one to reset or set images'


def test_new_predictor_has_no_image(small_sam: Sam) -> None:
    predictor = SamPredictor(small_sam)
    assert not predictor.is_image_set
    assert predictor.features is predictor.original_size is predictor.input_size is None
    assert predictor.device == torch.device('cpu')
    assert predictor.transform.target_length == 128
    for ask in (predictor.predict, predictor.get_image_embedding):
        with pytest.raises(RuntimeError, match='Expected an image, found none set'):
            ask()


def test_image_sizes_and_embedding(predictor: SamPredictor) -> None:
    assert predictor.original_size == (90, 120)
    assert predictor.input_size == (96, 128)
    assert predictor.get_image_embedding() is predictor.features
    assert predictor.get_image_embedding().shape == (1, 256, 8, 8)
    assert not predictor.get_image_embedding().requires_grad


def test_pictures_are_encoded_by_the_fast_form_with_the_weights_of_now(
    small_sam: Sam, small_image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, encoder = SamPredictor(small_sam), small_sam.image_encoder
    bias = encoder.neck[3].bias
    try:
        predictor.set_image(small_image)
        before = predictor.get_image_embedding()
        with torch.no_grad():
            bias.add_(1)
        predictor.set_image(small_image)
        after = predictor.get_image_embedding()
        handle = encoder.register_forward_hook(lambda *_: None)
        predictor.set_image(small_image)  # by the modules, then
        handle.remove()
    finally:
        with torch.no_grad():
            bias.sub_(1)
    torch.testing.assert_close(after, before + 1, atol=1e-4, rtol=0)
    torch.testing.assert_close(after, predictor.get_image_embedding(), atol=1e-4, rtol=1e-4)
    assert not torch.equal(after, predictor.get_image_embedding())  # in another order of sums
    monkeypatch.setattr(type(encoder), 'forward', None)
    predictor.set_image(small_image)
    with torch.autocast('cpu', torch.bfloat16), pytest.raises(TypeError):
        predictor.set_image(small_image)


def test_what_is_done_with_features_can_be_learnt(small_sam: Sam, small_image: np.ndarray) -> None:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    scale = torch.ones(1, requires_grad=True)
    (predictor.get_image_embedding() * scale).sum().backward()
    assert scale.grad is not None


def test_reset_forgets_everything(small_sam: Sam, small_image: np.ndarray) -> None:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    predictor.reset_image()
    assert not predictor.is_image_set
    assert predictor.features is predictor.original_size is predictor.input_size is None


@pytest.mark.parametrize('multimask', [True, False])
def test_predict_gives_arrays_of_the_promised_kind(
    predictor: SamPredictor, multimask: bool
) -> None:
    masks, iou, low_res = predictor.predict(POINT, ONE, multimask_output=multimask)
    count = 3 if multimask else 1
    assert masks.shape == (count, 90, 120)
    assert masks.dtype == bool
    assert iou.shape == (count,)
    assert low_res.shape == (count, 32, 32)
    assert iou.dtype == low_res.dtype == np.float32


def test_masks_are_logits_above_the_threshold(predictor: SamPredictor) -> None:
    masks, _, _ = predictor.predict(POINT, ONE)
    logits, _, _ = predictor.predict(POINT, ONE, return_logits=True)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(masks, logits > 0)


def test_lists_and_integers_do_as_prompts(predictor: SamPredictor) -> None:
    expected = predictor.predict(POINT, ONE, box=BOX)
    found = predictor.predict([[40, 30]], [True], box=BOX.tolist())
    np.testing.assert_array_equal(found[2], expected[2])
    found = predictor.predict(POINT, ONE, box=BOX[None].astype(np.float32))
    np.testing.assert_array_equal(found[2], expected[2])


def test_prompts_change_the_answer(predictor: SamPredictor) -> None:
    plain = predictor.predict(POINT, ONE)
    for other in (
        predictor.predict(POINT, 1 - ONE),
        predictor.predict(POINT + 50, ONE),
        predictor.predict(POINT, ONE, box=BOX),
        predictor.predict(POINT, ONE, mask_input=plain[2][:1]),
        predictor.predict(),
    ):
        assert np.abs(other[2] - plain[2]).max() > 1e-4


def test_ignored_points_stand_for_no_point(predictor: SamPredictor) -> None:
    """A call without a box is padded with one ignored point, wherever that is."""
    low_res = predictor.predict(POINT, ONE, box=BOX)[2]
    more = predictor.predict(np.vstack([POINT, [[7, 7]]]), [1, -1], box=BOX)[2]
    elsewhere = predictor.predict(np.vstack([POINT, [[70, 3]]]), [1, -1], box=BOX)[2]
    np.testing.assert_array_equal(more, elsewhere)
    assert np.abs(more - low_res).max() > 0


def test_numpy_and_torch_entries_agree(predictor: SamPredictor) -> None:
    size = predictor.original_size
    assert size is not None
    expected = predictor.predict(POINT, ONE, box=BOX)
    found = predictor.predict_torch(
        predictor.transform.apply_coords_torch(torch.from_numpy(POINT), size)[None],
        torch.from_numpy(ONE)[None],
        boxes=predictor.transform.apply_boxes_torch(torch.from_numpy(BOX), size),
    )
    assert found[0].dtype == torch.bool
    for ours, tensor in zip(expected, found, strict=True):
        np.testing.assert_allclose(ours, tensor[0].numpy(), atol=1e-5)


def test_batch_is_the_same_as_one_by_one(predictor: SamPredictor) -> None:
    coords = torch.tensor([[[20.0, 30.0]], [[100.0, 50.0]], [[64.0, 64.0]]])
    labels = torch.ones(3, 1, dtype=torch.int64)
    together = predictor.predict_torch(coords, labels, return_logits=True)
    assert together[0].shape == (3, 3, 90, 120)
    for i in range(3):
        alone = predictor.predict_torch(coords[i : i + 1], labels[i : i + 1], return_logits=True)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i], b[0], atol=1e-5, rtol=1e-4)


def test_one_mask_input_serves_all_objects(predictor: SamPredictor) -> None:
    boxes = torch.tensor([[0.0, 0, 50, 50], [20, 20, 90, 90]])
    mask = torch.linspace(-3, 3, 32 * 32).reshape(1, 1, 32, 32)
    one, _ = predictor.predict_low_res(None, None, boxes, mask)
    each, _ = predictor.predict_low_res(None, None, boxes, mask.repeat(2, 1, 1, 1))
    torch.testing.assert_close(one, each)


def test_bgr_is_rgb_turned_round(small_sam: Sam, small_image: np.ndarray) -> None:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    expected = predictor.features
    predictor.set_image(small_image[..., ::-1], image_format='BGR')
    assert torch.equal(predictor.features, expected)
    predictor.set_image(small_image, image_format='BGR')
    assert not torch.equal(predictor.features, expected)


def test_torch_image_is_the_same_image(small_sam: Sam, small_image: np.ndarray) -> None:
    predictor = SamPredictor(small_sam)
    predictor.set_image(small_image)
    expected = predictor.features
    resized = torch.from_numpy(predictor.transform.apply_image(small_image))
    predictor.set_torch_image(resized.permute(2, 0, 1)[None].double(), small_image.shape[:2])
    assert torch.equal(predictor.features, expected)
    assert predictor.original_size == (90, 120)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'image': np.zeros((9, 9), dtype=np.uint8)}, 'Expected a uint8 image .* stack grey'),
        ({'image': np.zeros((9, 9, 4), dtype=np.uint8)}, r'found uint8 of shape \(9, 9, 4\)'),
        ({'image': np.zeros((9, 9, 3))}, 'found float64'),
        ({'image': np.zeros((9, 9, 3), dtype=np.uint8), 'image_format': 'RGBA'}, "found 'RGBA'"),
    ],
)
def test_what_is_no_image_is_refused(
    small_sam: Sam, arguments: dict[str, Any], message: str
) -> None:
    predictor = SamPredictor(small_sam)
    with pytest.raises(ValueError, match=message):
        predictor.set_image(**arguments)
    assert not predictor.is_image_set


@pytest.mark.parametrize('shape', [(3, 96, 128), (2, 3, 96, 128), (1, 1, 96, 128), (1, 3, 96, 96)])
def test_wrong_torch_image_is_refused(small_sam: Sam, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='longest side is 128, found'):
        SamPredictor(small_sam).set_torch_image(torch.zeros(shape), (90, 120))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'point_coords': POINT}, 'found no point_labels'),
        ({'point_labels': ONE}, 'found no point_coords'),
        ({'point_coords': POINT[0], 'point_labels': ONE}, r'found \(2,\) and \(1,\)'),
        ({'point_coords': POINT, 'point_labels': [1, 0]}, r'found \(1, 2\) and \(2,\)'),
        ({'point_coords': [[np.nan, 1]], 'point_labels': [1]}, 'finite point coordinates'),
        ({'point_coords': POINT, 'point_labels': [2]}, 'labels 1 .* found \\[2\\]'),
        ({'box': [1, 2, 3]}, r'one box .* found \(3,\)'),
        ({'box': [[1, 2, 3, 4]] * 2}, 'call "predict_torch"'),
        ({'box': [1, 2, 3, np.inf]}, 'finite box'),
        ({'mask_input': np.zeros((32, 32))}, r'\(B, 1, 32, 32\), found \(1, 32, 32\)'),
        ({'mask_input': np.zeros((1, 256, 256))}, r'found \(1, 1, 256, 256\)'),
    ],
)
def test_wrong_prompts_are_refused(
    predictor: SamPredictor, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        predictor.predict(**arguments)


@pytest.mark.parametrize(
    ('coords', 'labels', 'boxes', 'mask', 'message'),
    [
        ((1, 1, 2), None, None, None, 'found .1, 1, 2. and None'),
        ((1, 2), (1,), None, None, 'Add a batch axis in front'),
        ((1, 2, 2), (1, 1), None, None, 'One label per point|one label per point'),
        (None, None, (2, 3), None, r'boxes of shape \(B, 4\), found \(2, 3\)'),
        (None, None, (2, 2, 4), None, r'found \(2, 2, 4\)'),
        ((3, 1, 2), (3, 1), (2, 4), None, r'batches of \[2, 3\]'),
        ((3, 1, 2), (3, 1), None, (2, 1, 32, 32), 'for each of 3 objects, found 2'),
    ],
)
def test_prompts_that_do_not_fit_together_are_refused(
    predictor: SamPredictor, coords: Any, labels: Any, boxes: Any, mask: Any, message: str
) -> None:
    tensors = [None if shape is None else torch.ones(shape) for shape in (coords, labels)]
    rest = [None if shape is None else torch.ones(shape) for shape in (boxes, mask)]
    with pytest.raises(ValueError, match=message):
        predictor.predict_torch(*tensors, *rest)


class _NoFloat64(TorchDispatchMode):
    """Refuse every operation on float64, but for the cast that gets rid of it."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [a for a in (*args, *(kwargs or {}).values(), out) if isinstance(a, torch.Tensor)]
        wide = any(tensor.dtype == torch.float64 for tensor in tensors)
        # A new axis or a selection on the host is no arithmetic, and ends before the cast.
        views = {'_to_copy', 'unsqueeze', 'slice', 'select', 'lift_fresh', 'detach'}
        assert not wide or func.overloadpacket.__name__ in views, f'float64 in {func}'
        return out


def test_T22_no_float64_reaches_the_model(small_sam: Sam, small_image: np.ndarray) -> None:
    """Apple's GPUs have no float64: one such tensor and nothing works there."""
    allowed = {torch.float32, torch.bfloat16, torch.float16, torch.int64}
    seen: dict[str, set[torch.dtype]] = {}

    def note(name: str) -> Any:
        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            flat = [*args, *kwargs.values()]
            flat = [t for item in flat for t in (item if isinstance(item, tuple) else (item,))]
            tensors = [t for t in flat if isinstance(t, torch.Tensor)]
            seen.setdefault(name, set()).update(t.dtype for t in tensors)

        return hook

    names = ('image_encoder', 'prompt_encoder', 'mask_decoder')
    hooks = [
        getattr(small_sam, name).register_forward_pre_hook(note(name), with_kwargs=True)
        for name in names
    ]
    predictor = SamPredictor(small_sam)
    with _NoFloat64():
        predictor.set_image(small_image)
        low_res = predictor.predict(POINT, ONE)[2]
        predictor.predict(POINT, ONE, box=BOX, mask_input=low_res[:1].astype(np.float64))
        wide = torch.tensor([[[4.0, 5.0]]], dtype=torch.float64)
        predictor.predict_torch(wide, torch.ones(1, 1, dtype=torch.int32))
        SamAutomaticMaskGenerator(
            small_sam, 3, crop_n_layers=1, pred_iou_thresh=-1, stability_score_thresh=-1
        ).generate(small_image)
    for hook in hooks:
        hook.remove()
    assert set(seen) == set(names)
    assert set.union(*seen.values()) <= allowed
    assert seen['prompt_encoder'] == {torch.float32, torch.int64}

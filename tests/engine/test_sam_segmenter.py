from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import iou
from tape import Tape

from mobile_sam import SamPredictor, setup_model
from mobile_sam.checkpoints import LoadedModel
from mobile_sam.fast import forms
from mobile_sam.fast.decoder import FastDecoder
from mobile_sam.fast.recorded import RecordedDecoder
from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    Embedding,
    EmbeddingStore,
    MaskPrompt,
    PlaneKey,
    PlaneSource,
    PromptOutsidePlaneError,
    Prompts,
    SamSegmenter,
    Segmenter,
    choose_device,
    fingerprint,
    precisions_of,
)
from napari_mobilesam.engine.encoding import SamEncoding

SHAPE = (90, 130)
PRECISIONS = ('float32', 'bfloat16')
POINT = Prompts(((40.3, 71.8),), (True,))
MASK = MaskPrompt(np.random.default_rng(1).normal(size=(256, 256)), SHAPE)
CASES = {
    'point': POINT,
    'negative point': Prompts(((10, 20),), (False,)),
    'points': Prompts(((40.3, 71.8), (0, 129), (60, 5.5)), (True, False, True)),
    'box': Prompts(box=(12.5, 30, 70, 101.25)),
    'both': Prompts(((40.3, 71.8), (20, 40)), (True, False), (12.5, 30, 70, 101.25)),
    'point in box': POINT.with_box((12.5, 30, 70, 101.25)),
    'mask': Prompts(mask=MASK),
    'point and mask': POINT.with_mask(MASK),
    'all': Prompts(((40.3, 71.8), (20, 40)), (True, False), (12.5, 30, 70, 101.25), MASK),
}


@pytest.fixture(scope='module')
def loaded() -> LoadedModel:
    torch.manual_seed(0)
    return LoadedModel(setup_model(), 'd' * 64, 'vit_t', 'random')


@pytest.fixture(scope='module')
def picture() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def segmenter(loaded: LoadedModel) -> SamSegmenter:
    return SamSegmenter(loaded, 'cpu')


@pytest.fixture(scope='module')
def embedding(segmenter: SamSegmenter, picture: NDArray[np.uint8]) -> Embedding:
    return segmenter.encode(picture)


@pytest.fixture(scope='module')
def predictor(loaded: LoadedModel, picture: NDArray[np.uint8]) -> SamPredictor:
    predictor = SamPredictor(loaded.model)
    predictor.set_image(picture)
    return predictor


def test_is_a_segmenter(segmenter: SamSegmenter) -> None:
    assert isinstance(segmenter, Segmenter)
    assert segmenter.digest == 'd' * 64
    assert segmenter.device == 'cpu'


def test_encodes_like_the_predictor(
    embedding: Embedding, predictor: SamPredictor, picture: NDArray[np.uint8]
) -> None:
    assert predictor.features is not None
    # the same sums in another order, rounded to float16
    expected = predictor.features[0].numpy()
    np.testing.assert_allclose(embedding.features, expected, rtol=1e-3, atol=1e-4)
    assert embedding.original_size == predictor.original_size == SHAPE
    assert embedding.input_size == predictor.input_size
    assert embedding.key == fingerprint(picture, 'd' * 64)


@pytest.mark.parametrize('name', CASES)
def test_decodes_like_the_predictor(
    name: str, segmenter: SamSegmenter, embedding: Embedding, predictor: SamPredictor
) -> None:
    prompts = CASES[name]
    predictor.features = torch.from_numpy(embedding.features[None].astype(np.float32))
    # The predictor multiplies coordinates; the engine knows that they are those of pixel centres.
    height, width = embedding.input_size
    shift = 0.5 - 0.5 * np.array(SHAPE[::-1]) / (width, height)
    points = np.array(prompts.points)[:, ::-1] + shift if prompts.points else None
    box = None
    if prompts.box is not None:
        box = (np.array(prompts.box).reshape(2, 2)[:, ::-1] + shift).reshape(4)
    masks, scores, logits = predictor.predict(
        point_coords=points,
        point_labels=np.array(prompts.positive, int) if prompts.points else None,
        box=box,
        mask_input=None if prompts.mask is None else prompts.mask.logits[None],
        multimask_output=name == 'point',
    )
    candidates = segmenter.decode(embedding, prompts)
    assert len(candidates) == (3 if name == 'point' else 1)
    np.testing.assert_allclose(candidates.logits, logits, rtol=0, atol=1e-5)
    np.testing.assert_allclose(candidates.scores, scores, rtol=0, atol=1e-6)
    for i, mask in enumerate(masks):
        # random weights leave many logits near 0, where rounding decides
        assert (candidates.mask(i) != mask).mean() < 1e-3
    assert 0 < np.mean(masks) < 1  # there was something to compare


def test_many_are_decoded_like_each_alone(segmenter: SamSegmenter, embedding: Embedding) -> None:
    wishes = [*CASES.values(), *reversed(CASES.values())]
    found = list(segmenter.decode_many(embedding, wishes))
    assert len(found) == len(wishes)
    for wish, candidates in zip(wishes, found, strict=True):
        alone = segmenter.decode(embedding, wish)
        np.testing.assert_allclose(candidates.logits, alone.logits, rtol=0, atol=2e-5)
        np.testing.assert_allclose(candidates.scores, alone.scores, rtol=0, atol=2e-6)


def test_many_can_be_cancelled_and_are_checked_first(
    segmenter: SamSegmenter, embedding: Embedding
) -> None:
    token = CancelToken()
    found = segmenter.decode_many(embedding, [POINT] * 1000, token)
    assert len(next(found)) == 3
    token.cancel()
    with pytest.raises(Cancelled):
        list(found)
    assert list(segmenter.decode_many(embedding, [])) == []
    with pytest.raises(ValueError, match='number 1 of 2 has none'):
        segmenter.decode_many(embedding, [POINT, Prompts()])
    with pytest.raises(PromptOutsidePlaneError):
        segmenter.decode_many(embedding, [POINT, Prompts(((95, 3),), (True,))])


def test_hover_is_the_best_of_a_click(segmenter: SamSegmenter, embedding: Embedding) -> None:
    click = segmenter.decode(embedding, POINT)
    hover = segmenter.hover(embedding, POINT.points[0])
    assert len(hover) == 1
    assert hover.score() == pytest.approx(click.score(), abs=1e-6)
    np.testing.assert_allclose(hover.logits[0], click.logits[click.best], rtol=0, atol=1e-5)
    for rank, index in enumerate((*click.order, click.best)):
        hover = segmenter.hover(embedding, POINT.points[0], rank)
        np.testing.assert_allclose(hover.logits[0], click.logits[index], rtol=0, atol=1e-5)
        others = [click.score(i) for i in click.order if i != index]
        np.testing.assert_allclose(hover.others, others, atol=1e-6)
    with pytest.raises(PromptOutsidePlaneError):
        segmenter.hover(embedding, (95, 3))


def test_points_propose_what_is_good_of_a_click(
    segmenter: SamSegmenter, embedding: Embedding
) -> None:
    points = [(40.3, 71.8), (10.0, 20.0), (60.0, 5.5), (80.0, 100.0), (1.0, 1.0)]
    clicks = [segmenter.decode(embedding, Prompts((point,), (True,))) for point in points]
    scores = np.sort([click.scores for click in clicks], axis=None)
    gap = int(np.argmax(np.diff(scores)))  # no score is so near that rounding decides
    least = float(scores[gap : gap + 2].mean())
    found = list(segmenter.propose(embedding, points, least))
    assert len(found) == len(points)
    for click, offer in zip(clicks, found, strict=True):
        good = click.scores > least
        if offer is None:
            assert not good.any()
            continue
        np.testing.assert_allclose(offer.scores, click.scores[good], rtol=0, atol=1e-6)
        np.testing.assert_allclose(offer.logits, click.logits[good], rtol=0, atol=1e-5)
    assert list(segmenter.propose(embedding, points, 1e6)) == [None] * 5
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        list(segmenter.propose(embedding, points, 0.0, token))


def test_a_recorded_decoder_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
    loaded: LoadedModel,
    segmenter: SamSegmenter,
    embedding: Embedding,
    picture: NDArray[np.uint8],
) -> None:
    """As on a graphics card, with two pictures in turn; see `mobile_sam.fast.recorded`."""
    tape, plain = Tape(), forms.decoder_form

    def recorded(model: Any, crew: Any) -> RecordedDecoder:
        form = plain(model, crew)
        assert isinstance(form, FastDecoder)
        return RecordedDecoder(form, tape.record)

    monkeypatch.setattr(forms, 'decoder_form', recorded)
    on_card = SamSegmenter(loaded, 'cpu')
    other = segmenter.encode(255 - picture)
    for turn in range(2):
        for place in (embedding, other):
            at = (40.3, 71.8 - turn)
            found, expected = on_card.hover(place, at), segmenter.hover(place, at)
            assert iou(found.mask(), expected.mask()) > 0.99
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
            for prompts in CASES.values():
                found, expected = on_card.decode(place, prompts), segmenter.decode(place, prompts)
                np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
                np.testing.assert_allclose(found.logits, expected.logits, atol=1e-3)
    assert len(tape.recorded) > 4
    assert len(tape.played) > 20


def test_T8_decoding_remembers_nothing(
    segmenter: SamSegmenter, embedding: Embedding, picture: NDArray[np.uint8]
) -> None:
    other = segmenter.encode(np.ascontiguousarray(picture[:50, :40, ::-1]))
    before = segmenter.decode(embedding, POINT)
    inner = segmenter.decode(other, Prompts(((3, 4),), (True,)))
    after = segmenter.decode(embedding, POINT)
    np.testing.assert_array_equal(before.logits, after.logits)
    assert before.mask().shape == after.mask().shape == SHAPE
    assert inner.mask().shape == (50, 40)


def test_encoding_and_decoding_are_done_by_the_same_threads(
    loaded: LoadedModel, picture: NDArray[np.uint8]
) -> None:
    def crews() -> set[int | None]:
        return {thread.ident for thread in threading.enumerate() if thread.name == 'crew'}

    before, segmenter = crews(), SamSegmenter(loaded, 'cpu')
    embedding = segmenter.encode(picture)
    ours = crews() - before
    segmenter.decode(embedding, POINT)
    assert crews() - before == ours
    threads = torch.get_num_threads()
    assert len(ours) == (min(threads, 8) if threads > 1 else 0)


def test_T22_only_float32_and_whole_numbers_reach_the_model(
    loaded: LoadedModel, segmenter: SamSegmenter, picture: NDArray[np.uint8]
) -> None:
    seen: set[torch.dtype] = set()

    def tensors(value: Any) -> list[torch.Tensor]:
        if isinstance(value, torch.Tensor):
            return [value]
        if isinstance(value, dict):
            value = tuple(value.values())
        if isinstance(value, tuple | list):
            return [tensor for item in value for tensor in tensors(item)]
        return []

    def note(module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        seen.update(tensor.dtype for tensor in tensors((args, kwargs)))

    hooks = [
        module.register_forward_pre_hook(note, with_kwargs=True)
        for module in loaded.model.modules()
    ]
    try:
        embedding = segmenter.encode(picture)
        for prompts in CASES.values():
            segmenter.decode(embedding, prompts)
    finally:
        for hook in hooks:
            hook.remove()
    assert torch.float32 in seen
    assert seen <= {torch.float32, torch.int64, torch.int32}


def test_no_gradients_and_no_global_state(segmenter: SamSegmenter, embedding: Embedding) -> None:
    segmenter.decode(embedding, POINT)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled()


@pytest.mark.parametrize(
    'picture',
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_not_a_picture(segmenter: SamSegmenter, picture: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match='as made by to_rgb8'):
        segmenter.encode(picture)


def test_prompts_have_to_be_there(segmenter: SamSegmenter, embedding: Embedding) -> None:
    with pytest.raises(ValueError, match='at least one point, a box or a mask'):
        segmenter.decode(embedding, Prompts())
    with pytest.raises(PromptOutsidePlaneError, match='90 rows and 130 columns'):
        segmenter.decode(embedding, Prompts(((95, 3),), (True,)))


@pytest.mark.parametrize(
    ('cuda', 'mps', 'expected'),
    [(True, True, 'cuda'), (False, True, 'mps'), (False, False, 'cpu')],
)
def test_device(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: mps)
    assert choose_device() == expected
    assert choose_device('cuda:1') == 'cuda:1'


class Model:
    """Stands for a model on a device (torch's 'meta') that fails until it is on the CPU."""

    def __init__(self, encode: Callable[[str], None], move: Callable[[str], None]) -> None:
        self.image_encoder = self._encoder
        self._encoder.__func__.img_size = 64  # type: ignore[attr-defined]
        self.moves: list[str] = []
        self._fail_encode, self._fail_move = encode, move

    def eval(self) -> Model:
        return self

    def to(self, device: str) -> Model:
        self.moves.append(device)
        self._fail_move(device)
        return self

    def preprocess(self, batch: torch.Tensor) -> torch.Tensor:
        return batch

    def _encoder(self, batch: torch.Tensor) -> torch.Tensor:
        self._fail_encode(batch.device.type)
        return torch.zeros(1, 256, 4, 4, device=batch.device)


def fail_on_device(message: str) -> Callable[[str], None]:
    def fail(device: str) -> None:
        if device != 'cpu':
            raise RuntimeError(message)

    return fail


def nothing(device: str) -> None:
    pass


def test_known_key_is_taken(picture: NDArray[np.uint8]) -> None:
    loaded = LoadedModel(Model(nothing, nothing), 'digest', 'vit_t', 'stub')  # type: ignore[arg-type]
    assert SamSegmenter(loaded, 'cpu').encode(picture, key='known').key == 'known'


@pytest.mark.parametrize('stage', ['encode', 'move'])
def test_out_of_memory_falls_back_to_the_cpu_and_says_so(
    stage: str, picture: NDArray[np.uint8]
) -> None:
    fail = fail_on_device('CUDA out of memory. Tried to allocate 2 GiB')
    model = Model(fail if stage == 'encode' else nothing, fail if stage == 'move' else nothing)
    notices: list[str] = []
    loaded = LoadedModel(model, 'digest', 'vit_t', 'stub')  # type: ignore[arg-type]
    segmenter = SamSegmenter(loaded, 'meta', notices.append)
    assert segmenter.encode(picture).features.shape == (256, 4, 4)
    assert segmenter.device == 'cpu'
    segmenter.encode(picture)
    (notice,) = notices
    assert 'meta ran out of memory' in notice
    assert 'CPU' in notice


class SmallMemory:
    """A decoder on a device whose memory suffices for so many objects at a time."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.sizes: list[int] = []

    def decode(self, _embedding: Embedding, objects: Any) -> list[Any]:
        if len(objects) > self.capacity:
            raise torch.OutOfMemoryError('Allocation on device')
        self.sizes.append(len(objects))
        return [(np.full((1, 8, 8), n), np.ones(1)) for n in range(len(objects))]


@pytest.mark.parametrize(('capacity', 'expected'), [(99, [16, 4]), (5, [4] * 5), (1, [1] * 20)])
def test_fewer_objects_at_a_time_before_the_cpu_takes_over(
    capacity: int,
    expected: list[int],
    embedding: Embedding,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = LoadedModel(Model(nothing, nothing), 'digest', 'vit_t', 'stub')  # type: ignore[arg-type]
    notices: list[str] = []
    segmenter = SamSegmenter(loaded, 'meta', notices.append)
    decoder = SmallMemory(capacity)
    monkeypatch.setattr(segmenter, '_decoder', lambda: decoder)
    assert len(list(segmenter.decode_many(embedding, [POINT] * 20))) == 20
    assert decoder.sizes == expected
    assert segmenter.device == 'meta', 'still'
    assert len(notices) == {99: 0, 5: 2, 1: 4}[capacity]
    assert all('meta' in notice and 'at a time' in notice for notice in notices)
    assert len(list(segmenter.decode_many(embedding, [POINT] * 3))) == 3
    assert len(notices) == {99: 0, 5: 2, 1: 4}[capacity], 'remembered'

    decoder.capacity = 0
    with pytest.raises(torch.OutOfMemoryError):
        list(segmenter.decode_many(embedding, [POINT] * 2))
    assert segmenter.device == 'cpu', 'which had no memory either, here'
    assert 'going on with the CPU' in notices[-1]


def test_precision_is_part_of_the_key_and_ends_with_the_device(
    picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('napari_mobilesam.engine.sam_segmenter.precisions_of', lambda _: PRECISIONS)
    source = PlaneSource(PlaneKey('image', (0, 1), ()), picture, rgb=True)

    def embed(precision: str, fail: Callable[[str], None] = nothing) -> Embedding:
        loaded = LoadedModel(Model(fail, nothing), 'd', 'vit_t', 'stub')  # type: ignore[arg-type]
        segmenter = SamSegmenter(loaded, 'cpu' if fail is nothing else 'meta', None, precision)
        assert segmenter.precision == precision
        annotator = Annotator(segmenter, store)
        embedding = annotator.embed(source)
        assert annotator.is_embedded(source)
        assert segmenter.digest == 'd'
        return embedding

    store = EmbeddingStore()
    exact, half = embed('float32'), embed('bfloat16')
    assert exact.key == fingerprint(source.image(), 'd')
    assert half.key != exact.key
    assert len(store) == 2

    def full(device: str) -> None:
        if device != 'cpu':
            raise torch.OutOfMemoryError('Allocation on device')

    store.clear()
    monkeypatch.setattr(
        torch, 'autocast', lambda *_, **__: nullcontext()
    )  # there is none for 'meta'
    assert embed('bfloat16', full).key == exact.key, 'it was the CPU that made it, in float32'


def test_bfloat16_is_for_devices_that_gain_by_it(loaded: LoadedModel) -> None:
    assert precisions_of('cpu') == ('float32',)
    segmenter = SamSegmenter(loaded, 'cpu', None, 'bfloat16')
    assert segmenter.precision == 'float32'
    assert segmenter.encoding_digest == segmenter.digest


def test_the_encoder_computes_in_the_precision_asked_for() -> None:
    class Small:
        image_encoder = torch.nn.Conv2d(3, 8, 16, 16)

        def preprocess(self, x: torch.Tensor) -> torch.Tensor:
            return x / 255

    picture = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    (exact,), (half,) = (SamEncoding(Small(), 'cpu', p).start([picture])() for p in PRECISIONS)
    assert exact.dtype == half.dtype == np.float16
    assert 0 < np.abs(exact.astype(float) - half).max() < 0.05
    assert SamEncoding(Small(), 'cpu', 'bfloat16').name == 'torch, bfloat16'
    assert not torch.is_autocast_enabled('cpu'), 'T20: nothing is left switched on'


def test_other_errors_are_not_taken_for_it(picture: NDArray[np.uint8]) -> None:
    model = Model(fail_on_device('shape mismatch'), nothing)
    loaded = LoadedModel(model, 'digest', 'vit_t', 'stub')  # type: ignore[arg-type]
    segmenter = SamSegmenter(loaded, 'meta')
    with pytest.raises(RuntimeError, match='shape mismatch'):
        segmenter.encode(picture)
    assert segmenter.device == 'meta'


@pytest.fixture
def pictures() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (20 + i, 32, 3), dtype=np.uint8) for i in range(7)]


def crowded(capacity: int, sizes: list[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Stand for an encoder on a device whose memory suffices for so many pictures."""

    def encode(batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > capacity:
            raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')
        sizes.append(len(batch))
        return batch[:, :1, :4, :4].clone()

    return encode


def test_a_stack_gives_what_its_pictures_give(
    segmenter: SamSegmenter, pictures: list[NDArray[np.uint8]]
) -> None:
    some = pictures[:2]
    many = list(segmenter.encode_many(iter(some), keys=['first', 'second']))
    assert [embedding.key for embedding in many] == ['first', 'second']
    assert segmenter.backend == 'torch, strips'
    for embedding, image in zip(many, some, strict=True):
        alone = segmenter.encode(image)
        np.testing.assert_array_equal(embedding.features, alone.features)
        assert embedding.original_size == alone.original_size == image.shape[:2]
        assert alone.key == fingerprint(image, 'd' * 64)


@pytest.mark.parametrize(
    ('capacity', 'expected'), [(8, [4, 3]), (3, [2, 2, 2, 1]), (1, [1, 1, 1, 1, 1, 1, 1])]
)
def test_too_many_for_the_device_are_halved(
    capacity: int,
    expected: list[int],
    pictures: list[NDArray[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, sizes = Model(nothing, nothing), []
    notices: list[str] = []
    loaded = LoadedModel(model, 'digest', 'vit_t', 'stub')  # type: ignore[arg-type]
    segmenter = SamSegmenter(loaded, 'cpu', notices.append)
    encoding = segmenter._encoder()
    monkeypatch.setattr(encoding, 'batch', 4)
    monkeypatch.setattr(encoding, '_encode', crowded(capacity, sizes))
    monkeypatch.setattr(model, 'preprocess', lambda x: pad_to(x, 64))
    found = list(segmenter.encode_many(pictures))
    assert sizes == expected
    assert len(notices) == {8: 0, 3: 1, 1: 2}[capacity]
    assert segmenter.at_once == {8: 4, 3: 2, 1: 1}[capacity]
    assert all('at a time' in notice for notice in notices)
    assert [embedding.original_size[0] for embedding in found] == [20, 21, 22, 23, 24, 25, 26]


def pad_to(x: torch.Tensor, side: int) -> torch.Tensor:
    return torch.nn.functional.pad(x, (0, side - x.shape[2], 0, side - x.shape[1]))


def test_pictures_before_a_bad_one_are_encoded(pictures: list[NDArray[np.uint8]]) -> None:
    loaded = LoadedModel(Model(nothing, nothing), 'digest', 'vit_t', 'stub')  # type: ignore[arg-type]
    found = SamSegmenter(loaded, 'cpu').encode_many([*pictures[:2], np.zeros((4, 4))])  # type: ignore[list-item]
    assert [next(found).original_size, next(found).original_size] == [(20, 32), (21, 32)]
    with pytest.raises(ValueError, match='as made by to_rgb8'):
        next(found)


def test_a_stack_can_be_cancelled(pictures: list[NDArray[np.uint8]]) -> None:
    loaded = LoadedModel(Model(nothing, nothing), 'digest', 'vit_t', 'stub')  # type: ignore[arg-type]
    token = CancelToken()
    found = SamSegmenter(loaded, 'cpu').encode_many(pictures, cancel=token)
    assert next(found).original_size == (20, 32)
    token.cancel()
    with pytest.raises(Cancelled):
        list(found)


def test_memory_kept_for_the_next_picture_is_given_back(
    loaded: LoadedModel, pictures: list[NDArray[np.uint8]]
) -> None:
    segmenter = SamSegmenter(loaded, 'cpu')
    segmenter.release()
    before = segmenter.encode(pictures[0]).features
    form = segmenter._encoder()._encode
    assert form.buffer_bytes > 0
    segmenter.release()
    assert form.buffer_bytes == 0
    np.testing.assert_array_equal(segmenter.encode(pictures[0]).features, before)

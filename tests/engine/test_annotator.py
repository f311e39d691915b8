from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeSegmenter
from numpy.typing import NDArray

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    DiskStore,
    EmbeddingStore,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
    PromptOutsidePlaneError,
    Prompts,
    Segmenter,
    Worker,
)

KEY = PlaneKey('image', (0, 1))
SOON = 10


def cells(shape: tuple[int, int] = (80, 120)) -> NDArray[np.uint16]:
    """Two bright rectangles on a dark ground."""
    pixels = np.full(shape, 100, np.uint16)
    pixels[10:30, 20:50] = 900
    pixels[50:70, 60:100] = 1000
    return pixels


def click(row: float, column: float) -> Prompts:
    return Prompts(((row, column),), (True,))


class Counting:
    """An array that counts how often it is read."""

    def __init__(self, data: NDArray) -> None:
        self.data, self.shape, self.dtype, self.reads = data, data.shape, data.dtype, 0

    def __getitem__(self, index: object) -> NDArray:
        self.reads += 1
        return self.data[index]


@pytest.fixture
def fake() -> FakeSegmenter:
    return FakeSegmenter()


@pytest.fixture
def annotator(fake: FakeSegmenter) -> Annotator:
    return Annotator(fake)


def test_the_fake_is_a_segmenter(fake: FakeSegmenter) -> None:
    assert isinstance(fake, Segmenter)


def test_a_click_on_a_cell_gives_that_cell(annotator: Annotator) -> None:
    source = PlaneSource(KEY, cells())
    prediction = annotator.predict(source, click(20, 30))
    assert prediction.key == KEY
    assert prediction.prompts == click(20, 30)
    assert prediction.model_digest == 'fake'
    assert len(prediction.candidates) == 3
    mask = prediction.candidates.mask()
    expected = np.zeros((80, 120), bool)
    expected[10:30, 20:50] = True
    assert (mask & expected).sum() / (mask | expected).sum() > 0.9
    box = annotator.predict(source, Prompts(box=(45, 55, 75, 105))).candidates
    assert len(box) == 1
    assert box.mask()[60, 80]
    assert not box.mask()[20, 30]


def test_a_plane_is_read_and_encoded_once(annotator: Annotator, fake: FakeSegmenter) -> None:
    array = Counting(cells())
    source = PlaneSource(KEY, array)
    assert not annotator.is_embedded(source)
    for _ in range(3):
        annotator.predict(source, click(20, 30))
    annotator.embed(source)
    assert annotator.is_embedded(source)
    assert (array.reads, len(fake.encoded), len(fake.decoded)) == (1, 1, 3)


def test_T7_same_name_other_pixels(annotator: Annotator, fake: FakeSegmenter) -> None:
    first = annotator.embed(PlaneSource(KEY, cells()))
    second = annotator.embed(PlaneSource(KEY, cells()[::-1]))
    assert first.key != second.key
    assert len(fake.encoded) == 2


def test_T7_other_name_same_pixels(annotator: Annotator, fake: FakeSegmenter) -> None:
    first = annotator.embed(PlaneSource(KEY, cells()))
    second = annotator.embed(PlaneSource(PlaneKey('renamed', (0, 1)), cells()))
    assert first is second
    assert len(fake.encoded) == 1


def test_T7_edited_in_place(annotator: Annotator) -> None:
    pixels = cells()
    first = annotator.embed(PlaneSource(KEY, pixels))
    pixels[0, 0] = 5000
    pixels[:5] = 4000
    second = annotator.embed(PlaneSource(KEY, pixels))  # a new source, as its doc asks
    assert first.key != second.key


def test_T7_contrast_change(annotator: Annotator) -> None:
    keys = {
        annotator.embed(PlaneSource(KEY, cells(), mapping)).key
        for mapping in (
            IntensityMapping('displayed', limits=(0, 1000)),
            IntensityMapping('displayed', limits=(0, 2000)),
            IntensityMapping('displayed', limits=(0, 2000), gamma=2),
        )
    }
    assert len(keys) == 3


def test_T7_other_model() -> None:
    store = EmbeddingStore()
    first, second = FakeSegmenter('a'), FakeSegmenter('b')
    source = PlaneSource(KEY, cells())
    one = Annotator(first, store).embed(source)
    other = Annotator(second, store).embed(source)
    assert one.key != other.key
    assert len(second.encoded) == 1
    assert len(store) == 2


def test_T8_alternating_between_two_sizes(annotator: Annotator, fake: FakeSegmenter) -> None:
    sources = [PlaneSource(KEY, cells()), PlaneSource(KEY, cells((200, 110)))]
    for _ in range(3):
        for source in sources:
            mask = annotator.predict(source, click(60, 80)).candidates.mask()
            assert mask.shape == source.shape
            assert mask[60, 80]
            assert not mask[20, 30]
    assert len(fake.encoded) == 2


def test_dropped_from_the_store_is_made_again(fake: FakeSegmenter) -> None:
    annotator = Annotator(fake, EmbeddingStore(2))
    first, second = PlaneSource(KEY, cells()), PlaneSource(KEY, cells()[::-1])
    for source in (first, second, first):
        annotator.embed(source)
    assert len(fake.encoded) == 3
    assert annotator.is_embedded(first)
    assert not annotator.is_embedded(second)


def test_no_budget_at_all_still_works(fake: FakeSegmenter) -> None:
    annotator = Annotator(fake, EmbeddingStore(0))
    assert annotator.predict(PlaneSource(KEY, cells()), click(20, 30)).candidates.mask().any()


def test_a_source_is_not_kept_alive(annotator: Annotator) -> None:
    annotator.embed(PlaneSource(KEY, cells()))
    gc.collect()
    assert len(annotator._known) == 0


def test_stages_are_announced(annotator: Annotator) -> None:
    stages: list[str] = []
    source = PlaneSource(KEY, cells())
    annotator.predict(source, click(20, 30), on_stage=stages.append)
    assert stages == ['reading', 'encoding', 'decoding']
    stages.clear()
    annotator.predict(source, click(20, 30), on_stage=stages.append)
    assert stages == ['decoding']


@pytest.mark.parametrize(
    ('stage', 'encoded', 'decoded'), [('reading', 0, 0), ('encoding', 1, 0), ('decoding', 1, 1)]
)
def test_T11_cancel_is_looked_at_between_the_stages(
    annotator: Annotator, fake: FakeSegmenter, stage: str, encoded: int, decoded: int
) -> None:
    token = CancelToken()
    source = PlaneSource(KEY, cells())
    with pytest.raises(Cancelled):
        annotator.predict(
            source, click(20, 30), token, lambda now: token.cancel() if now == stage else None
        )
    assert (len(fake.encoded), len(fake.decoded)) == (encoded, decoded)
    # what was paid for is kept
    assert annotator.is_embedded(source) == bool(encoded)


def test_cancelled_before_it_began(annotator: Annotator) -> None:
    array = Counting(cells())
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        annotator.embed(PlaneSource(KEY, array), token)
    assert array.reads == 0


def test_prompts_are_checked_before_anything_is_read(annotator: Annotator) -> None:
    array = Counting(cells())
    with pytest.raises(ValueError, match='at least one point, a box or a mask'):
        annotator.predict(PlaneSource(KEY, array), Prompts())
    with pytest.raises(PromptOutsidePlaneError, match='80 rows and 120 columns'):
        annotator.predict(PlaneSource(KEY, array), click(-5, 3))
    assert array.reads == 0


def test_a_hover_never_encodes(annotator: Annotator, fake: FakeSegmenter) -> None:
    source = PlaneSource(KEY, cells())
    assert annotator.hover(source, (20, 30)) is None
    assert fake.encoded == []
    annotator.embed(source)
    prediction = annotator.hover(source, (20, 30))
    assert prediction is not None
    assert prediction.key == KEY
    assert prediction.prompts == click(20, 30)
    assert len(prediction.candidates) == 1
    np.testing.assert_array_equal(
        prediction.mask(), annotator.predict(source, click(20, 30)).mask()
    )
    assert annotator.hover(source, (-5, 30)) is None


def test_many_objects_of_a_plane(annotator: Annotator, fake: FakeSegmenter) -> None:
    source = PlaneSource(KEY, cells())
    wishes = [click(20, 30), Prompts(box=(10, 10, 40, 60)), click(20, 31)]
    stages: list[str] = []
    found = list(annotator.predict_many(source, wishes, on_stage=stages.append))
    assert stages == ['reading', 'encoding', 'decoding']
    assert [prediction.prompts for prediction in found] == wishes
    for wish, prediction in zip(wishes, found, strict=True):
        np.testing.assert_array_equal(prediction.mask(), annotator.predict(source, wish).mask())
    assert list(annotator.predict_many(PlaneSource(KEY, cells() + 1), [])) == []
    assert len(fake.encoded) == 1


def test_many_objects_are_checked_first_and_can_be_cancelled(annotator: Annotator) -> None:
    array = Counting(cells())
    source = PlaneSource(KEY, array)
    with pytest.raises(ValueError, match='number 1 of 2'):
        annotator.predict_many(source, [click(20, 30), Prompts()])
    with pytest.raises(PromptOutsidePlaneError):
        annotator.predict_many(source, [click(20, 30), click(-5, 30)])
    assert array.reads == 0
    token = CancelToken()
    found = annotator.predict_many(source, [click(20, 30)] * 5, token)
    assert next(found).mask()[20, 30]
    token.cancel()
    with pytest.raises(Cancelled):
        next(found)


def test_an_error_of_the_model_comes_through(annotator: Annotator, fake: FakeSegmenter) -> None:
    source = PlaneSource(KEY, cells())
    fake.fail_with = RuntimeError('broken')
    with pytest.raises(RuntimeError, match='broken'):
        annotator.embed(source)
    assert not annotator.is_embedded(source)
    fake.fail_with = None
    assert annotator.embed(source).original_size == (80, 120)


def test_T27_a_click_while_encoding_gets_its_mask() -> None:
    gate = threading.Event()
    fake = FakeSegmenter(gate=gate)
    annotator = Annotator(fake)
    source = PlaneSource(KEY, cells())
    masks: list[NDArray] = []
    errors: list[Exception] = []
    with Worker() as worker:
        worker.submit('embed', lambda token: annotator.embed(source, token), on_error=errors.append)
        assert fake.started.wait(SOON)
        for column in (30, 31, 32):
            worker.submit(
                'predict',
                lambda token, column=column: annotator.predict(source, click(20, column), token),
                lambda prediction: masks.append(prediction.candidates.mask()),
                errors.append,
            )
        gate.set()
        assert worker.wait_idle(SOON)
    assert errors == []
    assert len(fake.encoded) == 1
    assert fake.decoded == [click(20, 32)]
    (mask,) = masks
    assert mask[20, 32]
    assert fake.threads == {'napari-mobilesam'}


def test_T11_going_on_to_another_plane_while_encoding() -> None:
    gate = threading.Event()
    fake = FakeSegmenter(gate=gate)
    annotator = Annotator(fake)
    stack = np.stack([cells(), cells()[::-1]])
    sources = [PlaneSource(PlaneKey('i', (1, 2), (z,)), stack) for z in (0, 1)]
    shown: list[PlaneKey] = []
    with Worker() as worker:

        def ask(z: int) -> None:
            worker.submit(
                'predict',
                lambda token: annotator.predict(sources[z], click(20, 30), token),
                lambda prediction: shown.append(prediction.key),
            )

        ask(0)
        assert fake.started.wait(SOON)
        ask(1)
        gate.set()
        assert worker.wait_idle(SOON)
    assert shown == [sources[1].key]
    assert len(fake.decoded) == 1  # the first was given up after its encoding


def test_a_second_opening_encodes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    volume = rng.integers(0, 4000, (4, 40, 50), np.uint16)

    def open_it(array: np.ndarray, name: str, mapping: IntensityMapping, digest: str) -> int:
        fake = FakeSegmenter(digest)
        annotator = Annotator(fake, EmbeddingStore(64, DiskStore(tmp_path / 'cache')))
        for z in range(4):
            annotator.embed(PlaneSource(PlaneKey(name, (1, 2), (z,)), array, mapping))
        return len(fake.encoded)

    np.save(tmp_path / 'stack.npy', volume)
    first = np.load(tmp_path / 'stack.npy', mmap_mode='r')
    assert open_it(first, 'layer 1', IntensityMapping(), 'model') == 4
    assert open_it(first, 'layer 1', IntensityMapping(), 'model') == 0
    (tmp_path / 'stack.npy').rename(tmp_path / 'moved.npy')
    moved = np.load(tmp_path / 'moved.npy', mmap_mode='r')
    assert open_it(moved, 'another name', IntensityMapping(), 'model') == 0
    assert open_it(moved, 'layer 1', IntensityMapping('full'), 'model') == 4
    assert open_it(moved, 'layer 1', IntensityMapping(), 'another model') == 4

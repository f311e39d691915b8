from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou, plane

from napari_mobilesam.engine import (
    Annotator,
    Frame,
    IntensityMapping,
    MaskPrompt,
    PlaneKey,
    PlaneSource,
    Prompts,
)

KEY = PlaneKey('i', (0, 1))


class Recorder:
    """An array that counts the pixels that are asked of it."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.shape = data.shape
        self.dtype = data.dtype
        self.pixels = 0

    def __getitem__(self, index: object) -> np.ndarray:
        part = self.data[index]
        self.pixels += part.size
        return part


def click(row: float, column: float) -> Prompts:
    return Prompts(((row, column),), (True,))


def test_around_holds_every_pixel_that_the_rectangle_touches() -> None:
    assert Frame.around(2.4, 3.6, 9.4, 7.5, (20, 20)) == Frame(2, 4, 8, 4)
    assert Frame.around(9.4, 7.5, 2.4, 3.6, (20, 20)) == Frame(2, 4, 8, 4)
    assert Frame.around(-50, -50, 50, 50, (7, 9)) == Frame.whole((7, 9))
    with pytest.raises(ValueError, match='meets the plane'):
        Frame.around(30, 0, 40, 5, (20, 20))


@pytest.mark.parametrize('values', [(-1, 0, 2, 2), (0, 0, 0, 2)])
def test_a_frame_has_pixels(values: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match='has pixels'):
        Frame(*values)


def test_prompts_go_in_and_masks_come_out() -> None:
    frame = Frame(10, 20, 40, 30)
    prompts = Prompts(((12.0, 25.0),), (True,), (11.0, 21.0, 20.0, 40.0))
    assert frame.holds(prompts)
    assert not frame.holds(click(9, 25))
    assert not frame.holds(Prompts(box=(11, 21, 60, 40)))
    local = frame.localised(prompts, (40, 30))
    assert local.points == ((2.0, 5.0),)
    assert local.box == (1.0, 1.0, 10.0, 20.0)
    # half as many pixels: pixel 0 of it lies over pixels 0 and 1
    assert frame.localised(click(10.5, 20.5), (20, 15)).points == ((0.0, 0.0),)
    assert frame.on_plane(slice(2, 5), slice(0, 3)) == (slice(12, 15), slice(20, 23))


def test_only_the_frame_is_read() -> None:
    data = Recorder(np.arange(5 * 40 * 50).reshape(5, 40, 50))
    whole = PlaneSource(PlaneKey('i', (2, 1), (3,)), data)
    source = whole.framed(Frame(7, 8, 9, 10))
    assert source.shape == (50, 40)
    np.testing.assert_array_equal(source.read(), data.data[3].T[7:16, 8:18])
    assert data.pixels == 90
    assert source.whole is whole
    assert source.framed(None) is whole
    assert source.framed(Frame.whole((50, 40))) is whole
    with pytest.raises(ValueError, match='within the plane'):
        PlaneSource(KEY, np.zeros((8, 8)), frame=Frame(0, 0, 9, 4))


def test_prompts_beside_the_frame_mean_the_whole_plane() -> None:
    whole = PlaneSource(KEY, np.zeros((40, 50)))
    source = whole.framed(Frame(0, 0, 10, 10))
    assert source.covering(click(5, 5)) is source
    assert source.covering(click(15, 5)) is whole
    assert whole.covering(click(15, 5)) is whole


def test_objects_in_a_frame_are_found_where_they_lie() -> None:
    annotator = Annotator(FakeSegmenter())
    frame = Frame(55, 30, 60, 70)
    source = PlaneSource(KEY, plane(), IntensityMapping('full')).framed(frame)
    prediction = annotator.predict(source, click(*CENTRES[1]))
    assert prediction.frame == frame
    mask = prediction.mask()
    assert mask.shape == (120, 160)
    assert iou(mask, disc((120, 160), CENTRES[1], RADIUS)) > 0.95
    # beside the frame: answered all the same, on the whole plane, both embeddings kept
    other = annotator.predict(source, click(*CENTRES[0]))
    assert other.frame == Frame.whole((120, 160))
    assert iou(other.mask(), disc((120, 160), CENTRES[0], RADIUS)) > 0.9
    assert len(annotator.store) == 2
    encoded = len(annotator.segmenter.encoded)  # type: ignore[attr-defined]
    annotator.predict(source, click(CENTRES[1][0] + 1, CENTRES[1][1]))
    assert len(annotator.segmenter.encoded) == encoded  # type: ignore[attr-defined]


class TestLevels:
    """Multiscale: coordinates are those of the finest level, pixels come from the right one."""

    def levels(self) -> tuple[Recorder, ...]:
        fine = np.kron(plane(), np.ones((32, 32), np.float32))
        return Recorder(fine), Recorder(fine[::2, ::2]), Recorder(fine[::16, ::16])

    def test_the_whole_plane_is_read_from_a_coarse_level(self) -> None:
        fine, middle, coarse = self.levels()
        source = PlaneSource(KEY, fine, coarser=(middle, coarse))
        assert source.shape == (3840, 5120)
        assert source.model_pixel == 5.0
        assert source.read().shape == (1920, 2560)  # the coarsest has fewer pixels than the model
        assert fine.pixels == coarse.pixels == 0

    def test_a_small_frame_is_read_from_the_finest(self) -> None:
        fine, middle, coarse = self.levels()
        source = PlaneSource(KEY, fine, coarser=(middle, coarse)).framed(Frame(101, 203, 700, 900))
        assert source.read().shape == (700, 900)
        assert source.frame == Frame(101, 203, 700, 900)
        assert middle.pixels == coarse.pixels == 0

    def test_a_frame_grows_to_whole_pixels_of_its_level(self) -> None:
        source = PlaneSource(KEY, self.levels()[0], coarser=self.levels()[1:])
        framed = source.framed(Frame(101, 203, 2000, 2100))
        assert framed.frame == Frame(100, 202, 2002, 2102)
        assert framed.read().shape == (1001, 1051)

    @pytest.mark.parametrize('frame', [None, Frame(1001, 600, 2301, 2401)])
    def test_masks_are_as_fine_as_the_plane(self, frame: Frame | None) -> None:
        fine, middle, coarse = self.levels()
        source = PlaneSource(KEY, fine, coarser=(middle, coarse)).framed(frame)
        centre = (CENTRES[1][0] * 32 + 15.5, CENTRES[1][1] * 32 + 15.5)
        prediction = Annotator(FakeSegmenter()).predict(source, click(*centre))
        mask = prediction.mask()
        assert mask.shape == (3840, 5120)
        assert iou(mask, fine.data > 100) < 0.5  # one disc of three
        rows, columns = np.nonzero(mask)
        assert abs(rows.mean() - centre[0]) < 10
        assert abs(columns.mean() - centre[1]) < 10
        assert np.sqrt(mask.sum() / np.pi) == pytest.approx((RADIUS + 0.5) * 32, rel=0.05)

    def test_fewer_planes_at_coarser_levels(self) -> None:
        fine = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((1, 4096, 8), np.uint8)
        source = PlaneSource(PlaneKey('i', (1, 2), (5,)), fine, coarser=(fine[1::2, ::2, ::2],))
        assert (source.read() == 5).all()
        assert source.read().shape == (2048, 4)


class TestMasks:
    """A mask prompt of the plane, as the frame's picture has to hear it."""

    def test_it_lies_where_it_lay(self) -> None:
        shape = (300, 400)
        mask = disc(shape, (120, 200), 30)
        frame = Frame(70, 110, 110, 190)
        prompts = Prompts(mask=MaskPrompt.from_mask(mask))
        assert frame.holds(prompts)
        local = frame.localised(prompts, frame.shape).mask
        assert local is not None
        assert local.shape == frame.shape
        expected = MaskPrompt.from_mask(mask[frame.rows, frame.columns])
        assert iou(local.logits > 0, expected.logits > 0) > 0.95
        assert (local.logits[149:] < 0).all(), 'padding is outside'

    def test_one_that_reaches_beyond_means_the_whole_plane(self) -> None:
        prompts = Prompts(mask=MaskPrompt.from_mask(disc((300, 400), (120, 200), 30)))
        assert not Frame(100, 110, 110, 190).holds(prompts)
        assert not Frame(70, 110, 60, 190).holds(prompts)
        assert Frame.whole((300, 400)).holds(prompts)

    def test_of_a_coarser_picture_only_the_size_is_told(self) -> None:
        mask = MaskPrompt.from_mask(disc((300, 400), (120, 200), 30))
        local = Frame.whole((300, 400)).localised(Prompts(mask=mask), (150, 200)).mask
        assert local == MaskPrompt(mask.logits, (150, 200))


def test_hovering_and_many_at_once_know_the_frame() -> None:
    annotator = Annotator(FakeSegmenter())
    frame = Frame(55, 30, 60, 70)
    source = PlaneSource(KEY, plane(), IntensityMapping('full')).framed(frame)
    assert annotator.hover(source, CENTRES[1]) is None
    annotator.embed(source)
    found = annotator.hover(source, CENTRES[1])
    assert found is not None
    assert iou(found.mask(), disc((120, 160), CENTRES[1], RADIUS)) > 0.9
    assert annotator.hover(source, CENTRES[0]) is None, 'the whole plane is not embedded'
    wishes = [click(*CENTRES[1]), click(CENTRES[1][0] + 2, CENTRES[1][1])]
    assert {found.frame for found in annotator.predict_many(source, wishes)} == {frame}
    both = [click(*centre) for centre in CENTRES[:2]]
    for found, centre in zip(annotator.predict_many(source, both), CENTRES, strict=False):
        assert found.frame == Frame.whole((120, 160))
        assert iou(found.mask(), disc((120, 160), centre, RADIUS)) > 0.9

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeSegmenter

from napari_mobilesam.engine import (
    Annotator,
    Cancelled,
    CancelToken,
    Embedding,
    EverythingOptions,
    Frame,
    PlaneKey,
    PlaneSource,
    Progress,
    Prompts,
    Proposal,
    segment_everything,
    segment_prompts,
)

SPOTS = [(20, 30, 12), (60, 90, 8), (75, 20, 10), (15, 100, 9)]
GRID = EverythingOptions(points_per_side=16, min_score=0.8, min_stability=0.5)


def picture() -> np.ndarray:
    rows, columns = np.mgrid[:100, :120]
    image = np.zeros((100, 120), np.uint8)
    for row, column, radius in SPOTS:
        image[np.hypot(rows - row, columns - column) < radius] = 200
    return image


@pytest.fixture
def fake() -> FakeSegmenter:
    return FakeSegmenter()


@pytest.fixture
def embedding(fake: FakeSegmenter) -> Embedding:
    return fake.encode(np.repeat(picture()[..., None], 3, axis=2))


def last(found: object) -> Progress:
    *_, end = found  # type: ignore[misc]
    return end


def masks(proposals: list[Proposal], shape: tuple[int, int]) -> list[np.ndarray]:
    made = []
    for proposal in proposals:
        mask = np.zeros(shape, bool)
        rows, columns, patch = proposal.patch()
        mask[rows, columns] = patch
        assert proposal.area == mask.sum()
        inside = np.argwhere(mask)
        assert proposal.box == (*inside.min(axis=0), *inside.max(axis=0))
        made.append(mask)
    return made


def assert_all_spots(found: list[np.ndarray]) -> None:
    rows, columns = np.mgrid[:100, :120]
    for row, column, radius in SPOTS:
        spot = np.hypot(rows - row, columns - column) < radius
        assert max((spot & mask).sum() / (spot | mask).sum() for mask in found) > 0.9


@pytest.mark.parametrize('skip', [True, False])
def test_every_object_is_found_once(fake: FakeSegmenter, embedding: Embedding, skip: bool) -> None:
    options = EverythingOptions(16, 0.8, 0.5, skip_covered=skip)
    end = last(segment_everything(fake, embedding, options))
    assert end.done == end.total == 256
    found = end.proposals.select(options)
    assert len(found) == len(SPOTS) + 1  # and the background
    assert_all_spots(masks(found, (100, 120)))


def test_covered_points_are_skipped(fake: FakeSegmenter, embedding: Embedding) -> None:
    found = last(segment_everything(fake, embedding, EverythingOptions(32, 0.8, 0.5)))
    skipping = len(fake.decoded)
    fake.decoded.clear()
    every = EverythingOptions(32, 0.8, 0.5, skip_covered=False)
    full = last(segment_everything(fake, embedding, every))
    assert len(fake.decoded) == found.done == 32 * 32
    assert len(found.proposals.select(every)) == len(full.proposals.select(every))
    # All but a few on each object, and those on its edge. The background is too large to hide any.
    on_spots = sum(picture()[int(r * 100), int(c * 120)] > 0 for r, c in unit_grid(32))
    assert on_spots > 90
    assert 1024 - on_spots < skipping < 1024 - on_spots / 2


def test_poor_masks_hide_no_points(fake: FakeSegmenter, embedding: Embedding) -> None:
    # of those that are to be found, none is better than 0.9
    for options in (EverythingOptions(16, 0.9, 0.5), EverythingOptions(16, 0.8, 1.1)):
        fake.decoded.clear()
        list(segment_everything(fake, embedding, options))
        assert len(fake.decoded) == 256


def unit_grid(side: int) -> list[tuple[float, float]]:
    return [((r + 0.5) / side, (c + 0.5) / side) for r in range(side) for c in range(side)]


def test_partial_results_and_cancel(fake: FakeSegmenter, embedding: Embedding) -> None:
    token = CancelToken()
    found = segment_everything(fake, embedding, GRID, token)
    first = next(found)
    assert 0 < first.done < first.total
    assert len(first.proposals) > 0
    token.cancel()
    with pytest.raises(Cancelled):
        list(found)
    assert first.proposals.select(GRID)  # what was found stays


def test_thresholds_are_applied_again_without_decoding(
    fake: FakeSegmenter, embedding: Embedding
) -> None:
    options = EverythingOptions(16, 0.8, 0.5, keep_score=0.3)
    proposals = last(segment_everything(fake, embedding, options)).proposals
    asked = len(fake.decoded)
    usual = len(proposals.select(options))
    assert len(proposals.select(EverythingOptions(16, 0.95, 0.5))) == 0
    assert len(proposals.select(EverythingOptions(16, 0.8, 1.5))) == 0
    assert len(proposals.select(EverythingOptions(16, 0.8, 0.5, min_area=300))) < usual
    assert len(proposals.select(EverythingOptions(16, 0.4, 0.5, max_overlap=1.1))) > usual
    assert len(fake.decoded) == asked


def test_stability_counts(fake: FakeSegmenter, embedding: Embedding) -> None:
    proposals = last(segment_everything(fake, embedding, GRID)).proposals
    for proposal in proposals.select(GRID):
        # Logits are 8 inside and -8 outside: the contour hardly moves
        assert 0.7 < proposal.stability <= 1
        assert proposal.stable(proposal.stability)
        assert not proposal.stable(proposal.stability + 1e-6)


def test_boxes_as_prompts(fake: FakeSegmenter, embedding: Embedding) -> None:
    boxes = [
        Prompts(box=(row - radius, column - radius, row + radius, column + radius))
        for row, column, radius in SPOTS
    ]
    reports = list(segment_prompts(fake, embedding, boxes, GRID))
    assert [(report.done, report.total) for report in reports] == [(4, 4)]
    assert_all_spots(masks(reports[-1].proposals.select(GRID), (100, 120)))
    assert list(segment_prompts(fake, embedding, [], GRID)) == []


def test_a_frame_of_a_plane(fake: FakeSegmenter, embedding: Embedding) -> None:
    frame = Frame(40, 30, 100, 120)
    proposals = last(segment_everything(fake, embedding, GRID, frame=frame)).proposals
    found = masks(proposals.select(GRID), (200, 200))
    assert_all_spots([mask[40:140, 30:150] for mask in found])
    for proposal, mask in zip(proposals.select(GRID), found, strict=True):
        (point,) = proposal.prompts.points
        assert mask[round(point[0]), round(point[1])]


def test_a_plane_is_embedded_first(fake: FakeSegmenter) -> None:
    source = PlaneSource(PlaneKey('image', (0, 1)), picture())
    stages: list[str] = []
    annotator = Annotator(fake)
    proposals = last(annotator.everything(source, GRID, on_stage=stages.append)).proposals
    assert stages == ['reading', 'encoding', 'decoding']
    assert_all_spots(masks(proposals.select(GRID), (100, 120)))


def test_no_grid() -> None:
    with pytest.raises(ValueError, match='at least one point per side'):
        EverythingOptions(points_per_side=0)


def test_thresholds_that_suit_the_model(fake: FakeSegmenter, embedding: Embedding) -> None:
    """Without options everything mode asks for no more than the model says of itself."""
    options = EverythingOptions.suiting(fake, points_per_side=8)
    assert (options.min_score, options.min_stability, options.points_per_side) == (0.8, 0.5, 8)

    class Modest(FakeSegmenter):
        @property
        def thresholds(self) -> tuple[float, float]:
            return 0.99, 1.0

    assert EverythingOptions.suiting(Modest()).min_score == 0.99
    *_, many = segment_everything(fake, embedding)
    *_, few = segment_everything(Modest(), embedding)
    assert len(few.proposals) < len(many.proposals)

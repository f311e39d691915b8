from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, plane

from napari_mobilesam.engine import Annotator, Frame, Patch, PlaneKey, PlaneSource, Prompts
from napari_mobilesam.engine.drawing import draw_hover, draw_labels, draw_patch, grid_within
from napari_mobilesam.engine.outline import CONTOUR, TINT


def test_a_candidate_is_drawn_to_the_pixel() -> None:
    mask = disc((120, 160), (30, 40), 14)
    drawing = draw_patch(Patch.of(mask))
    assert drawing.grid == (120, 160)
    assert drawing.frame == Frame(0, 0, 120, 160)
    row, column = drawing.corner
    height, width = drawing.values.shape
    drawn = mask[row : row + height, column : column + width]
    np.testing.assert_array_equal(drawing.values > 0, drawn)
    assert set(np.unique(drawing.values)) == {0, TINT, CONTOUR}


@pytest.mark.parametrize('shape', [(120, 160), (160, 120), (119, 157)])
def test_a_plane_beyond_the_limit_is_drawn_coarsely_in_the_same_place(
    shape: tuple[int, int],
) -> None:
    mask = disc(shape, (60, 50), 30)
    drawing = draw_patch(Patch.of(mask), limit=40)
    assert max(drawing.grid) == 40
    inside = np.argwhere(drawing.values) + drawing.corner
    centre = (inside.mean(axis=0) + 0.5) * np.divide(shape, drawing.grid) - 0.5
    np.testing.assert_allclose(centre, (60, 50), atol=1.5)
    area = len(inside) * np.prod(np.divide(shape, drawing.grid))
    assert area == pytest.approx(mask.sum(), rel=0.1)


@pytest.mark.parametrize('centre', [(30, 40), (1000, 1700), (1990, 3), (513, 1023)])
def test_of_a_large_plane_only_the_neighbourhood_is_drawn(centre: tuple[int, int]) -> None:
    mask = disc((2000, 1800), centre, 20)
    drawing = draw_patch(Patch.of(mask))
    assert max(drawing.frame.shape) <= 512
    assert drawing.grid == drawing.frame.shape
    part = mask[drawing.frame.rows, drawing.frame.columns]
    assert part.sum() == mask.sum()
    drawn = np.zeros(drawing.grid, bool)
    row, column = drawing.corner
    height, width = drawing.values.shape
    drawn[row : row + height, column : column + width] = drawing.values > 0
    np.testing.assert_array_equal(drawn, part)


def test_an_empty_mask() -> None:
    assert draw_patch(Patch.of(np.zeros((9, 9), bool))).values.size == 0


def test_grids() -> None:
    assert grid_within((30, 40), 40) == (30, 40)
    assert grid_within((3000, 4000), 400) == (300, 400)
    assert grid_within((1, 4000), 400) == (1, 400)


@pytest.mark.parametrize('frame', [None, Frame(10, 20, 60, 80)])
@pytest.mark.parametrize('limit', [512, 50])
def test_a_hover_lies_where_the_mask_lies(frame: Frame | None, limit: int) -> None:
    """On the plane or in a frame of it, and only the part under the mouse."""
    annotator = Annotator(FakeSegmenter())
    source = PlaneSource(PlaneKey('i', (0, 1)), plane()).framed(frame)
    assert annotator.hover(source, CENTRES[0]) is None, 'not embedded: nothing to show'
    annotator.embed(source)
    prediction = annotator.hover(source, CENTRES[0])
    assert prediction is not None
    drawing = draw_hover(prediction, prompted_only=True, limit=limit)
    assert max(drawing.grid) <= limit
    steps = np.divide(drawing.frame.shape, drawing.grid)
    places = (np.argwhere(drawing.values) + drawing.corner + 0.5) * steps - 0.5
    places += (drawing.frame.row, drawing.frame.column)
    np.testing.assert_allclose(places.mean(axis=0), CENTRES[0], atol=1)
    distances = np.linalg.norm(places - CENTRES[0], axis=1)
    assert distances.max() == pytest.approx(RADIUS, abs=2.5)
    assert drawing.n_pixels == pytest.approx(np.pi * RADIUS**2, rel=0.12)
    row, column = CENTRES[0]
    around = (row - RADIUS, column - RADIUS, row + RADIUS, column + RADIUS)
    np.testing.assert_allclose(drawing.extent, around, atol=2 * steps.max())


def test_parts_away_from_the_mouse_are_left_out_of_a_hover() -> None:
    class Untidy(FakeSegmenter):
        def _find(self, embedding, prompts):  # type: ignore[no-untyped-def]
            found = super()._find(embedding, prompts)
            logits = found.logits.copy()
            logits[:, 2:8, 2:8] = 8
            return type(found)(logits, found.scores, found.original_size, found.input_size)

    annotator = Annotator(Untidy())
    source = PlaneSource(PlaneKey('i', (0, 1)), plane())
    annotator.embed(source)
    prediction = annotator.hover(source, CENTRES[0])
    assert prediction is not None
    assert prediction.prompts == Prompts((CENTRES[0],), (True,))
    tidy, whole = (draw_hover(prediction, prompted_only=only) for only in (True, False))
    assert np.count_nonzero(whole.values) > np.count_nonzero(tidy.values) > 400


def test_many_objects_of_a_part_each_with_its_outline() -> None:
    labels = np.zeros((4, 6), np.int32)
    labels[:, :3], labels[:, 3:] = 1, 2
    drawing = draw_labels(labels, (10, 20), (40, 60))
    assert (drawing.corner, drawing.grid) == ((10, 20), (40, 60))
    assert drawing.values.tolist() == [[2] * 6, [2, 1, 2, 2, 1, 2], [2, 1, 2, 2, 1, 2], [2] * 6]
    coarse = draw_labels(np.kron(labels, np.ones((2, 2), np.int32)), (20, 40), (80, 120), 60)
    assert coarse.grid == (40, 60)
    assert coarse.corner == (10, 20)
    assert np.array_equal(coarse.values, drawing.values)

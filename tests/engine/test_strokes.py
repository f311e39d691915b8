from __future__ import annotations

import numpy as np
import pytest
from pictures import disc, iou

from napari_mobilesam.engine import MaskPrompt, Prompts
from napari_mobilesam.engine.prompts import Drawn
from napari_mobilesam.engine.strokes import (
    ellipse_outline,
    mask_outline,
    region_prompt,
    sample_stroke,
    trace_outline,
    unmade,
)


def test_points_of_a_stroke_are_evenly_spaced_and_not_at_its_ends() -> None:
    points = np.array(sample_stroke([(0, 0), (0, 60)]))
    assert points[:, 1].tolist() == [5, 15, 25, 35, 45, 55]
    assert not points[:, 0].any()


def test_the_same_stroke_gives_the_same_points_however_many_vertices_it_has() -> None:
    coarse = [(0, 0), (30, 0), (30, 40)]
    fine = [(row, 0) for row in range(31)] + [(30, column) for column in range(1, 41)]
    np.testing.assert_allclose(sample_stroke(coarse), sample_stroke(fine))


@pytest.mark.parametrize('line', [[(3, 4)], [(3, 4), (3, 4)], [(3, 4), (3.2, 4)]])
def test_a_dot_is_one_point(line: list[tuple[float, float]]) -> None:
    (point,) = sample_stroke(line)
    np.testing.assert_allclose(point, (3.1, 4), atol=0.2)


def test_no_stroke() -> None:
    with pytest.raises(ValueError, match='at least one vertex'):
        sample_stroke([])


@pytest.mark.parametrize('shape', [(120, 160), (3000, 2000)])
def test_a_region_is_its_inside(shape: tuple[int, int]) -> None:
    scale = shape[1] / 160
    outline = ellipse_outline(np.array([(20, 30), (20, 90), (80, 90), (80, 30)]) * scale, count=100)
    prompt = region_prompt(outline, shape)
    assert prompt is not None
    assert prompt.shape == shape
    cell = max(shape) / 256
    places = (np.argwhere(prompt.logits > 0) + 0.5) * cell
    np.testing.assert_allclose(places.mean(axis=0), np.array((50, 60)) * scale, atol=cell)
    assert len(places) * cell**2 == pytest.approx(np.pi * (30 * scale) ** 2, rel=0.05)


@pytest.mark.parametrize('outline', [[(500, 500), (500, 600), (600, 600)], [(1, 1), (2, 2)]])
def test_no_region_of_the_plane(outline: list[tuple[float, float]]) -> None:
    assert region_prompt(outline, (100, 100)) is None


def test_an_outline_that_is_traced_encloses_the_mask() -> None:
    mask = disc((120, 160), (50, 70), 25)
    mask[2:4, 2:4] = True  # another part
    mask[50, 70] = False  # a hole
    outline = trace_outline(mask)
    assert len(outline) < 60
    prompt = region_prompt(outline, (120, 160))
    assert prompt is not None
    rows, columns = np.indices((120, 160))
    inside = prompt.logits[(rows * 256 / 160).astype(int), (columns * 256 / 160).astype(int)] > 0
    assert iou(inside, disc((120, 160), (50, 70), 25)) > 0.95
    again = region_prompt(mask_outline(prompt), (120, 160))
    assert again is not None
    assert iou(again.logits > 0, prompt.logits > 0) > 0.94
    with pytest.raises(ValueError, match='empty'):
        trace_outline(np.zeros((4, 4), bool))


def test_prompts_are_taken_apart_into_what_was_clicked_and_drawn() -> None:
    line = Drawn('path', ((10, 10), (10, 40)), positive=False)
    sampled = sample_stroke(line.vertices)
    points, signs = ((3, 4), *sampled), (True, *(False,) * len(sampled))
    clicked, shapes = unmade(Prompts(points, signs, drawn=(line,)))
    assert clicked == [((3, 4), True)]
    assert shapes == [line]

    ellipse = Drawn('ellipse', ((5, 5), (5, 25), (45, 25), (45, 5)))
    mask = MaskPrompt.from_mask(disc((100, 80), (50, 40), 20))
    box = (30, 20, 70, 60)
    assert unmade(Prompts((), (), box, mask, (ellipse, line)))[1] == [ellipse, line]


def test_without_drawings_a_rectangle_or_an_outline_stands_for_it() -> None:
    _, (shape,) = unmade(Prompts(box=(30, 20, 70, 60)))
    assert shape == Drawn('rectangle', ((30, 20), (30, 60), (70, 60), (70, 20)))
    mask = disc((100, 80), (50, 40), 20)
    _, (shape,) = unmade(Prompts(box=(30, 20, 70, 60), mask=MaskPrompt.from_mask(mask)))
    assert shape.kind == 'polygon'
    corners = np.array(shape.vertices)
    np.testing.assert_allclose(corners.min(axis=0), (30, 20), atol=1)
    np.testing.assert_allclose(corners.max(axis=0), (70, 60), atol=1)
    assert unmade(Prompts()) == ([], [])


@pytest.mark.parametrize(
    ('kind', 'vertices'), [('circle', [(0, 0)]), ('path', []), ('path', [(0, float('inf'))])]
)
def test_shapes_that_cannot_be(kind: str, vertices: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match='shape'):
        Drawn(kind, tuple(vertices))

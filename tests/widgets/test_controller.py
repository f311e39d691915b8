"""The annotator without a window: from prompts to candidates to labels, past every trap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from napari.layers import Image, Labels, Points, Shapes
from pictures import CENTRES, RADIUS, disc, iou, plane, stack
from prompting import notifications, rectangle

from napari_mobilesam.engine import Candidates, IntensityMapping, OverlapRule
from napari_mobilesam.layers import PictureChoice

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


def test_opening_makes_the_layers_and_looks_at_the_plane(bench: Bench) -> None:
    one = bench(scale=(5, 0.2, 0.2), translate=(1, 2, 3))
    kinds = [type(layer) for layer in one.viewer.layers]
    assert kinds == [Image, Labels, Shapes, Points]
    for layer in one.viewer.layers:
        np.testing.assert_allclose(layer.scale, (5, 0.2, 0.2))
        np.testing.assert_allclose(layer.translate, (1, 2, 3))
    assert one.points.mode == 'add'
    assert one.viewer.layers.selection.active is one.points
    assert one.segmenter.encoded == [(120, 160, 3)]
    assert one.statuses[-1][1] == 'ready'


def test_a_click_gives_the_object_under_it(bench: Bench) -> None:
    one = bench()
    one.click(0, *FIRST)
    shown = one.controller.candidate
    assert iou(shown.mask(), disc((120, 160), FIRST, RADIUS)) > 0.9
    drawn = one.preview.data
    assert drawn.shape == (1, 120, 160)
    np.testing.assert_array_equal(drawn[0] > 0, shown.mask())
    assert set(np.unique(drawn)) == {0, 1, 2}


def test_commit_writes_one_object_and_arms_the_next(bench: Bench) -> None:
    one = bench()
    for label, centre in enumerate(CENTRES, start=1):
        one.click(0, *centre)
        mask = one.controller.candidate.mask()
        one.press('Enter')
        np.testing.assert_array_equal(one.labels.data[0] == label, mask)
        assert len(one.points.data) == 0
        assert one.controller.candidate is None
        assert not one.preview.data.any()
    assert not one.labels.data[1:].any()
    assert [record.label for record in one.controller.objects] == [1, 2, 3]
    assert one.controller.objects[0].prompts.points == (tuple(map(float, FIRST)),)


def test_the_next_plane_works_the_same(bench: Bench) -> None:
    one = bench(scale=(5, 0.2, 0.2))
    one.click(0, *FIRST)
    one.press('Enter')
    one.viewer.dims.set_current_step(0, 3)
    one.quiet()
    one.click(3, FIRST[0] + 6, FIRST[1])
    one.press('Enter')
    assert iou(one.labels.data[3] == 2, disc((120, 160), (FIRST[0] + 6, FIRST[1]), RADIUS)) > 0.9
    assert not one.labels.data[[1, 2, 4]].any()


def test_a_box_and_the_box_that_replaces_it(bench: Bench) -> None:
    one = bench()
    one.boxes.add_rectangles([rectangle(0, 10, 20, 50, 60)])
    one.quiet()
    assert iou(one.controller.candidate.mask(), disc((120, 160), FIRST, RADIUS)) > 0.9
    one.boxes.add_rectangles([rectangle(0, 60, 40, 100, 80)])
    one.quiet()
    assert len(one.boxes.data) == 1
    assert iou(one.controller.candidate.mask(), disc((120, 160), SECOND, RADIUS)) > 0.9


def test_candidates_go_round(bench: Bench) -> None:
    one = bench()
    one.click(0, *FIRST)
    sizes = [one.controller.candidate.n_pixels]
    for _ in range(3):
        one.press('N')
        sizes.append(one.controller.candidate.n_pixels)
    assert sizes[0] == sizes[3]
    assert len(set(sizes)) == 3
    one.press('Shift-Tab')
    assert one.controller.candidate.n_pixels == sizes[2]
    assert one.decoded == 1, 'another candidate is no other prediction'
    np.testing.assert_array_equal(one.preview.data[0] > 0, one.controller.candidate.mask())


class Untidy(FakeSegmenter):
    """A model whose masks have a speck in the upper left corner of the picture."""

    def decode(self, embedding: Any, prompts: Any) -> Candidates:
        found = super().decode(embedding, prompts)
        logits = found.logits.copy()
        logits[:, 2:8, 2:8] = 8
        return Candidates(logits, found.scores, found.original_size, found.input_size)


def test_parts_that_nobody_prompted_are_left_out(bench: Bench) -> None:
    one = bench(segmenter=Untidy())
    one.click(0, *FIRST)
    tidy = one.controller.candidate.n_pixels
    assert not one.controller.candidate.mask()[:8, :8].any()
    one.controller.set_prompted_only(False)
    one.quiet()
    assert one.controller.candidate.mask()[:8, :8].any()
    assert one.preview.data[0, :8, :8].any()
    one.controller.set_prompted_only(True)
    one.quiet()
    assert one.controller.candidate.n_pixels == tidy
    assert one.decoded == 1, 'the same prediction, drawn differently'
    one.controller.commit()
    assert np.count_nonzero(one.labels.data) == tidy


def test_clear_removes_the_prompts_of_this_plane_only(bench: Bench) -> None:
    one = bench()
    one.click(0, *FIRST)
    one.prompts.add_point((3, 1, 1))
    one.press('Escape')
    assert one.points.data.tolist() == [[3, 1, 1]]
    assert one.controller.candidate is None


def test_prompts_wait_on_their_plane(bench: Bench) -> None:
    one = bench()
    one.click(0, *FIRST)
    one.viewer.dims.set_current_step(0, 2)
    one.quiet()
    assert one.controller.candidate is None
    one.viewer.dims.set_current_step(0, 0)
    one.quiet()
    assert one.controller.candidate.source.key.index == (0,)


def test_enter_before_the_answer_commits_when_it_comes(bench: Bench) -> None:
    segmenter = FakeSegmenter(gate=threading.Event())
    segmenter.gate.set()
    one = bench(segmenter=segmenter)
    segmenter.gate.clear()
    one.prompts.add_point((0, *FIRST))
    one.controller.commit()
    assert not one.labels.data.any()
    segmenter.gate.set()
    one.quiet()
    assert one.labels.data[0].any()


def test_3d_disarms_and_2d_arms_again(bench: Bench) -> None:
    one = bench()
    one.click(0, *FIRST)
    one.viewer.dims.ndisplay = 3
    one.quiet()
    assert one.controller.candidate is None
    assert one.points.mode == 'pan_zoom'
    assert one.statuses[-1] == ('3D view: switch back to 2D to annotate.', 'warning')
    one.viewer.dims.ndisplay = 2
    one.quiet()
    assert one.points.mode == 'add'
    assert one.controller.candidate is not None


def test_a_click_beside_the_image_is_told(bench: Bench) -> None:
    one = bench()
    one.click(0, -20, -20)
    assert one.statuses[-1] == ('That is beside the image: click on it.', 'warning')
    one.press('Escape')
    one.click(0, *FIRST)
    assert one.controller.candidate is not None


def test_as_displayed_follows_the_contrast(bench: Bench) -> None:
    one = bench()
    one.controller.set_choice(PictureChoice(None))
    one.quiet()
    seen = len(one.segmenter.encoded)
    one.controller.image.contrast_limits = (0, 50)
    one.quiet()
    assert len(one.segmenter.encoded) == seen + 1
    one.controller.set_choice(PictureChoice(IntensityMapping(mode='full')))
    one.quiet()
    one.controller.image.contrast_limits = (0, 80)
    one.quiet()
    assert one.controller.source.mapping.mode == 'full'


def test_another_image(bench: Bench) -> None:
    one = bench()
    one.click(0, *FIRST)
    one.press('Enter')
    labels = one.labels
    second = one.viewer.add_image(plane(4), name='second')
    one.controller.set_image(second)
    one.quiet()
    assert labels in one.viewer.layers, 'what was committed stays'
    one.click(FIRST[0] + 4, FIRST[1])
    one.press('Enter')
    assert one.labels is not labels
    assert one.labels.data.shape == (120, 160)
    assert sum(isinstance(layer, Points) for layer in one.viewer.layers) == 1


def test_labels_of_the_users(bench: Bench) -> None:
    """Ids go on after the largest one; pixels of other objects stay theirs, or not."""
    one = bench()
    mine = np.zeros((5, 120, 160), np.uint16)
    mine[4, 0, 0] = 41
    mine[0, FIRST[0] :] = 7
    labels = one.viewer.add_labels(mine.copy())
    one.controller.set_labels(labels)
    one.quiet()
    one.click(0, *FIRST)
    one.press('Enter', one.points)
    written = labels.data == 42
    assert written.any()
    assert not written[0, FIRST[0] :].any()
    one.press('Control-Z')
    np.testing.assert_array_equal(labels.data, mine)
    one.controller.overlap = OverlapRule.REPLACE
    one.press('Enter')
    assert (labels.data[0, FIRST[0] :] == 42).any()
    labels.preserve_labels = True
    one.press('Control-Z')
    one.press('Enter')
    assert not (labels.data[0, FIRST[0] :] == 42).any(), "napari's own lock counts too"


def test_labels_that_cannot_be_written_are_told(bench: Bench) -> None:
    one = bench()
    odd = one.viewer.add_labels(np.zeros((5, 60, 80), int), scale=(1, 2, 2), name='odd')
    one.controller.set_labels(odd)
    one.click(0, *FIRST)
    with notifications() as told:
        one.press('Enter')
    assert ['pixels of "odd" are not those of' in message for message in told] == [True]
    assert not odd.data.any()
    assert one.controller.candidate is not None, 'nothing is lost'


def test_empty_labels_of_ours_go_with_us(bench: Bench) -> None:
    one = bench()
    one.close()
    assert [type(layer) for layer in one.viewer.layers] == [Image]


def test_labels_in_zarr(bench: Bench) -> None:
    """A commit and an undo work on labels in zarr too."""
    zarr = pytest.importorskip('zarr')
    one = bench()
    data = zarr.create_array({}, shape=stack().shape, chunks=(1, 60, 80), dtype='int32')
    labels = one.viewer.add_labels(data)
    one.controller.set_labels(labels)
    one.quiet()
    one.click(0, *FIRST)
    one.press('Enter')
    assert iou(np.asarray(data[0]) == 1, disc((120, 160), FIRST, RADIUS)) > 0.9
    one.press('Control-Z')
    assert not np.asarray(data[0]).any()

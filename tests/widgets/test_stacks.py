"""The stack section on a bench: the real controller, worker and panel, and no window."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from napari.layers import Tracks
from pictures import stack
from qtpy.QtWidgets import QFileDialog
from stage import CENTRE, COUNT, Stage

from napari_mobilesam.engine import IntensityMapping
from napari_mobilesam.layers import ImageChannel, PictureChoice
from napari_mobilesam.widgets.options import Options
from napari_mobilesam.widgets.stack_work import REST_MS


def test_an_object_is_followed_before_it_is_told_to_be_safe(stage: Callable[..., Stage]) -> None:
    at = stage()
    at.go(3)
    at.bench.click(3, CENTRE[0] + 6, CENTRE[1])
    told: list[Callable[[], object]] = []
    at.controller._committer.safely = told.append  # as a journal does, until the disk has it
    at.panel.propagate.click()
    at.rest()
    assert told
    (record,) = at.controller.objects
    assert at.slices(record.label) == list(range(COUNT))


def test_a_click_and_propagate_give_the_object_in_3d_as_one_step(
    stage: Callable[..., Stage],
) -> None:
    at = stage()
    at.go(3)
    at.bench.click(3, CENTRE[0] + 6, CENTRE[1])
    seen: list[int] = []
    at.stacks.following.found.connect(lambda step: seen.append(step.index))
    at.panel.propagate.click()  # commits the candidate first
    at.rest()
    assert seen == [4, 5, 6, 2, 1, 0]
    (record,) = at.controller.objects
    assert at.slices(record.label) == list(range(COUNT))
    assert all(at.right(record.label, z) for z in range(COUNT))
    assert record.bounds[0] == (0, COUNT)
    assert record.area == np.count_nonzero(at.controller.labels.data == record.label)
    assert 'Ctrl+Z takes it back' in at.words
    # the curve, and the reasons
    curve = at.stacks.following.curve(record.label)
    assert curve[3] == 1
    assert (curve > 0.5).all()
    assert 'Object 1: slices 0–6.' in at.panel.told.text()
    assert at.panel.told.text().count('the stack ends') == 2
    # nothing of it is shown twice
    assert at.controller._previews.stack.layer is None or not (
        at.controller._previews.stack.layer.data.any()
    )
    at.controller.undo()
    at.bench.quiet()
    assert at.slices(record.label) == [3]
    assert at.controller.objects[0].bounds[0] == (3, 4)
    at.controller.redo()
    at.bench.quiet()
    assert at.slices(record.label) == list(range(COUNT))


def test_a_corrected_slice_is_kept_and_its_neighbours_follow_it(
    stage: Callable[..., Stage],
) -> None:
    at = stage()
    label = at.commit(3)
    at.panel.propagate.click()
    at.rest()
    labels = at.controller.labels
    rows, columns = np.nonzero(labels.data[5] == label)
    right = columns > CENTRE[1]
    labels.data_setitem((np.full(right.sum(), 5), rows[right], columns[right]), 0)
    corrected = labels.data[5].copy()
    decoded, seen = at.bench.decoded, []
    at.stacks.following.found.connect(lambda step: seen.append(step.index))
    at.chosen = [label]
    at.panel.propagate.click()
    at.rest()
    assert seen == [4, 6]
    assert at.bench.decoded == decoded + 6  # three ways of prompting on each
    assert np.array_equal(labels.data[5], corrected)
    assert at.stacks.following.curve(label)[[3, 5]].tolist() == [1, 1]


def test_cancel_keeps_or_discards_what_is_done(stage: Callable[..., Stage]) -> None:
    at = stage()
    label = at.commit(0)
    at.stacks.following.found.connect(
        lambda step: at.panel.following.buttons[0].click() if step.index == 2 else None
    )
    at.panel.propagate.click()
    at.rest()
    assert at.slices(label) == [0, 1, 2]
    assert at.words.startswith('Stopped.')
    assert not at.panel.following.isVisibleTo(at.panel)
    at.stacks.following.found.connect(
        lambda step: at.panel.following.buttons[1].click() if step.index == 4 else None
    )
    at.chosen = [label]
    at.panel.propagate.click()
    at.rest()
    assert at.slices(label) == [0, 1, 2]
    decoded = at.bench.decoded
    at.panel.propagate.click()
    at.rest()
    assert at.slices(label) == list(range(COUNT))
    assert at.bench.decoded == decoded + 2 * 3  # slices 3 and 4 were found before


def test_forwards_only_and_what_is_on_the_way(stage: Callable[..., Stage]) -> None:
    at = stage()
    label = at.commit(3)
    at.panel.direction.setCurrentIndex(1)
    at.panel.which.setCurrentIndex(1)
    at.stacks.following.found.connect(lambda step: shown.append(at.stacks.following.masks(4)))
    shown: list[Any] = []
    at.panel.propagate.click()
    at.rest()
    assert at.slices(label) == [3, 4, 5, 6]
    assert label in shown[0]
    at.panel.direction.setCurrentIndex(0)
    at.panel.propagate.click()
    at.rest()
    assert at.slices(label) == list(range(COUNT))


def test_cut_fill_and_delete_are_one_step_each(stage: Callable[..., Stage]) -> None:
    at = stage()
    label = at.commit(0)
    at.panel.propagate.click()
    at.rest()
    whole = at.controller.labels.data.copy()
    at.chosen = [label]
    at.go(4)
    cut_below, cut_above, delete, fill = at.panel._edits
    for button, left in (
        (cut_below, [4, 5, 6]),
        (cut_above, [0, 1, 2, 3, 4]),
        (delete, [0, 1, 2, 3, 5, 6]),
    ):
        button.click()
        at.rest()
        assert at.slices(label) == left
        record = at.controller.session.get(label)
        assert record.bounds[0] == (left[0], left[-1] + 1)
        assert record.area == np.count_nonzero(at.controller.labels.data == label)
        if button is not delete:
            at.controller.undo()
            at.bench.quiet()
            assert np.array_equal(at.controller.labels.data, whole)
    fill.click()
    at.rest()
    filled, before = at.controller.labels.data[4] == label, whole[4] == label
    assert (filled & before).sum() > 0.9 * (filled | before).sum()
    fill.click()  # the same again
    at.rest()
    assert at.words == 'Nothing to change there.'
    at.go(6)
    fill.click()
    at.rest()
    assert 'not on both sides of slice 6' in at.words
    # a cut is an end: following again does not go past it
    at.go(2)
    cut_above.click()
    at.rest()
    at.panel.propagate.click()
    at.rest()
    assert at.slices(label) == [0, 1, 2]
    assert 'you marked that it ends here' in at.panel.told.text()


class Slowly(threading.Event):
    """Takes the place of an event that a stand-in waits for, and lets it pass after a while."""

    def wait(self, timeout: float | None = None) -> bool:
        time.sleep(0.15)
        return True


def test_all_slices_are_embedded_outwards_and_stand_back_for_a_click(
    stage: Callable[..., Stage],
) -> None:
    at = stage()
    at.go(3)
    at.bench.segmenter.gate = Slowly()  # as a model is: there is time for the click to be heard
    order: list[int] = []
    at.stacks.ahead.stepped.connect(lambda step: order.append(step.index))

    def click(_step: Any) -> None:
        if len(order) == 2:
            at.controller.add_point((3, CENTRE[0] + 6, CENTRE[1]))

    at.stacks.ahead.stepped.connect(click)
    at.panel.embed.click()
    assert at.panel.embedding.isVisibleTo(at.panel)
    at.bench.until(lambda: at.stacks.ahead.waiting)
    assert at.controller.candidate is not None
    assert len(order) <= 4  # the click was answered within a step or two
    at.rest()
    assert sorted(order) == list(range(COUNT))
    assert order[0] == 3
    assert {abs(index - 3) for index in order[1:3]} == {1}
    assert at.stacks.embedded == set(range(COUNT))
    assert 'All slices are embedded' in at.words
    encoded = len(at.bench.segmenter.encoded)
    assert encoded == COUNT
    at.commit(6)
    assert len(at.bench.segmenter.encoded) == encoded
    at.bench.quiet()
    assert at.panel.strip.text(6) == 'Slice 6 · embedded · 1 object'


def test_embedding_can_be_stopped_and_says_when_the_memory_is_full(
    stage: Callable[..., Stage],
) -> None:
    at = stage()
    stop = at.panel.embedding.buttons[0]
    stopping = at.stacks.ahead.stepped.connect(
        lambda step: stop.click() if step.done == 2 else None
    )
    at.panel.embed.click()
    at.rest()
    at.stacks.ahead.stepped.disconnect(stopping)
    assert 2 <= len(at.stacks.embedded) <= 3
    assert at.panel.embed.isVisibleTo(at.panel)
    at.bench.model.store.budget_mib = 8  # room for four
    at.panel.embed.click()
    at.rest()
    assert 'fills the memory' in at.words
    assert len(at.bench.segmenter.encoded) <= 5


def test_a_second_opening_embeds_nothing_unless_intensities_are_mapped_otherwise(
    bench: Callable[..., Any], tmp_path: Path
) -> None:
    image = stack(COUNT)
    encoded = []
    for number, layer in enumerate(('as it was', 'moved and renamed', 'other intensities')):
        file = tmp_path / str(number) / 'stack.npy'
        file.parent.mkdir()
        np.save(file, image)
        at = Stage(
            bench(
                image=np.load(file, mmap_mode='r'),
                name=layer,
                options=Options(disk_gib=1, cache_folder=str(tmp_path / 'cache')),
            )
        )
        if number == 2:
            at.controller.set_choice(PictureChoice(IntensityMapping(low=30.0)))
            at.bench.quiet()
        at.panel.embed.click()
        at.rest()
        assert at.stacks.embedded == set(range(COUNT))
        at.commit(2)
        at.panel.propagate.click()
        at.rest()
        assert len(at.slices(1)) == COUNT
        encoded.append(len(at.bench.segmenter.encoded))
    # the last one sees its first plane as the others do, before its intensities are changed
    assert encoded == [COUNT, 0, COUNT]


def test_find_on_all_slices_choose_thresholds_and_add(stage: Callable[..., Stage]) -> None:
    at = stage()
    find = at.panel.find
    at.go(2)
    find.where.scope.setCurrentIndex(2)
    find.run.click()
    at.rest()
    assert find.commit.text() == 'Add 3 objects'
    drawn = at.controller._previews.stack.layer
    assert drawn.data.any()
    decoded = at.bench.decoded
    find.area.setValue(5000)
    at.rest()
    assert find.commit.text() == 'Add 0 objects'
    assert not drawn.data.any()
    find.area.setValue(20)
    at.rest()
    assert at.bench.decoded == decoded
    find.commit.click()
    at.rest()
    assert len(at.controller.objects) == 3
    for record in at.controller.objects:
        assert at.slices(record.label) == list(range(COUNT))
        assert record.area == np.count_nonzero(at.controller.labels.data == record.label)
        assert record.bounds[1][1] - record.bounds[1][0] < 50
        assert record.score > 0.3
    assert not drawn.data.any()
    assert not find.commit.isVisibleTo(at.panel)
    at.controller.undo()
    at.bench.quiet()
    assert not at.controller.labels.data.any()
    # again: nothing is decoded twice, and discarded it leaves no trace
    find.run.click()
    at.rest()
    assert at.bench.decoded == decoded
    assert find.commit.text() == 'Add 3 objects'
    find.discard.click()
    at.rest()
    assert not drawn.data.any()


def test_find_through_time_gives_tracks(
    stage: Callable[..., Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('laptrack', reason='needs the extra [tracking]')
    at = stage()
    find = at.panel.find
    find.where.scope.setCurrentIndex(2)
    find.run.click()
    at.rest()
    assert find.links.isVisibleTo(find)
    assert not find.save.isVisibleTo(find)
    decoded = at.bench.decoded
    find.links.setCurrentIndex(1)
    at.rest()
    assert at.bench.decoded == decoded
    assert find.save.isVisibleTo(find)
    assert not find.overlap.isVisibleTo(find)
    assert 'Found 3 tracks, 0 divisions' in at.words
    find.distance.setValue(0.5)  # they move by 2 rows: nothing is the same any more
    at.rest()
    assert find.commit.text() == 'Add 0 objects'
    find.distance.setValue(30)
    at.rest()

    def choose(*_: object) -> tuple[str, str]:
        return str(tmp_path / 'tracks'), 'TrackMate (*.xml)'

    monkeypatch.setattr(QFileDialog, 'getSaveFileName', choose)
    find.save.click()
    at.rest()
    assert (tmp_path / 'tracks.xml').read_text().count('<TrackID ') == 3
    find.commit.click()
    at.rest()
    assert len(at.controller.objects) == 3
    (layer,) = [one for one in at.bench.viewer.layers if isinstance(one, Tracks)]
    assert 'a layer of their own' in at.words
    assert layer.data.shape == (3 * COUNT, 4)
    for label, *place in layer.data.round().astype(int):
        assert at.controller.labels.data[tuple(place)] == label
    # they go with the labels, and come back with them, by whichever key
    layers = at.bench.viewer.layers
    before, active = list(layers), layers.selection.active
    assert active is at.bench.points
    at.controller.undo()
    at.bench.quiet()
    assert layer not in layers
    assert not at.controller.labels.data.any()
    at.controller.labels.redo()
    at.bench.quiet()
    assert list(layers) == before
    assert at.controller.labels.data.any()
    at.controller.labels.undo()
    at.bench.quiet()
    assert layer not in layers
    at.controller.redo()
    at.bench.quiet()
    assert layer in layers
    assert layers.selection.active is active
    layers.remove(layer)  # the user's own wish stands
    at.controller.undo()
    at.controller.redo()
    at.bench.quiet()
    assert layer not in layers


def test_the_strip_shows_what_there_is_with_the_3d_view_on(stage: Callable[..., Stage]) -> None:
    at = stage()
    at.commit(3)
    at.bench.click(3, CENTRE[0] + 6, CENTRE[1])
    at.bench.viewer.dims.ndisplay = 3
    at.bench.quiet()
    assert at.controller.source is None
    at.controller.labels.data_setitem((np.array([5]), np.array([2]), np.array([2])), 9)
    at.bench.quiet()
    assert at.stacks.accepted == {3: 1, 5: 1}
    assert at.panel.strip.text(3) == 'Slice 3 · embedded · prompted · 1 object'
    assert at.panel.strip.text(5) == 'Slice 5 · 1 object'
    at.panel.strip.clicked.emit(5)  # a slice is seen in 2D
    at.bench.quiet()
    assert at.bench.viewer.dims.ndisplay == 2
    assert at.stacks.place.position == 5
    assert at.controller.source is not None


def test_a_slider_called_time_suggests_tracks_and_has_no_sides(
    stage: Callable[..., Stage],
) -> None:
    at = stage()
    assert not at.stacks.place.through_time
    at.stacks.place.axes = [(0, 'T', COUNT)]
    at.stacks.place.changed.emit()
    assert at.panel.find.links.currentData() is True
    assert at.panel.views.isHidden()


def test_find_on_one_slice_and_on_some(stage: Callable[..., Stage]) -> None:
    at = stage()
    find = at.panel.find
    at.go(2)
    find.run.click()
    at.rest()
    find.commit.click()
    at.rest()
    assert [at.slices(record.label) for record in at.controller.objects] == [[2]] * 3
    at.controller.undo()
    find.where.scope.setCurrentIndex(1)
    find.where.first.setValue(5)
    find.where.last.setValue(4)
    find.run.click()
    at.rest()
    find.commit.click()
    at.rest()
    assert [at.slices(record.label) for record in at.controller.objects] == [[4, 5]] * 3


def test_along_another_axis_with_anisotropic_voxels(stage: Callable[..., Stage]) -> None:
    volume = np.zeros((12, 64, 64), np.float32)
    z, y, x = np.indices(volume.shape)
    volume[((z - 6) * 4) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 <= 18**2] = 200
    at = Stage(stage().bench)
    at.bench.viewer.layers.clear()
    at.bench.viewer.add_image(volume, scale=(4, 1, 1), name='coarse in z')
    at.bench.viewer.dims.order = (1, 0, 2)  # y is the slider now, z goes down
    at.bench.viewer.dims.set_point(1, 30)
    at.bench.quiet()
    assert at.stacks.place.axis == 1
    assert at.stacks.place.position == 30
    at.controller.add_point((6, 30, 30))
    at.bench.quiet()
    at.panel.propagate.click()
    at.rest()
    (record,) = at.controller.objects
    found, truth = at.controller.labels.data == record.label, volume > 0
    assert (found & truth).sum() > 0.8 * (found | truth).sum()
    assert record.bounds[1][1] - record.bounds[1][0] > 28


def test_the_other_two_sides_are_asked_when_wished(stage: Callable[..., Stage]) -> None:
    volume = np.zeros((12, 64, 64), np.float32)
    z, y, x = np.indices(volume.shape)
    volume[((z - 6) * 4) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 <= 18**2] = 200
    at = Stage(stage().bench)
    at.bench.viewer.layers.clear()
    at.bench.viewer.add_image(volume, scale=(4, 1, 1), name='coarse in z')
    at.bench.viewer.dims.set_point(0, 24)
    at.bench.quiet()
    at.controller.add_point((6, 30, 30))
    at.bench.quiet()
    assert at.panel.views.isVisibleTo(at.panel._inner)
    at.panel.views.setChecked(True)
    told: list[tuple[int, int]] = []
    at.stacks.following.work.progressed.connect(
        lambda done, total, _left: told.append((done, total))
    )
    encoded = len(at.bench.segmenter.encoded)
    at.panel.propagate.click()
    at.rest()
    shapes = set(at.bench.segmenter.encoded[encoded:])
    assert shapes == {(64, 64, 3), (48, 64, 3)}, 'XZ and YZ planes, of cubic voxels'
    assert max(total for _, total in told) > 60
    assert all(done <= total for done, total in told)
    (record,) = at.controller.objects
    found, truth = at.controller.labels.data == record.label, volume > 0
    assert (found & truth).sum() > 0.8 * (found | truth).sum()
    assert at.stacks.following.curve(record.label)[6] == 1
    at.controller.undo()
    at.bench.quiet()
    assert at.slices(record.label) == [6], 'one step'


def test_a_blended_picture_without_sides_is_told_before_anything_is_followed(
    stage: Callable[..., Stage],
) -> None:
    at = stage()
    image = at.controller.image
    at.controller.set_choice(PictureChoice(content='rgb', rgb=(ImageChannel(image), None, None)))
    at.bench.quiet()
    at.go(3)
    at.bench.click(3, CENTRE[0] + 6, CENTRE[1])
    encoded = len(at.bench.segmenter.encoded)
    at.panel.views.setChecked(True)
    at.panel.propagate.click()
    at.rest()
    assert 'cannot be turned to its sides' in at.words
    assert len(at.bench.segmenter.encoded) == encoded
    at.panel.views.setChecked(False)
    at.panel.propagate.click()
    at.rest()
    (record,) = at.controller.objects
    assert len(at.slices(record.label)) > 1, 'nothing was lost by it'


def test_without_a_slider_there_is_nothing_to_do(stage: Callable[..., Stage]) -> None:
    at = stage()
    at.bench.viewer.layers.clear()
    at.bench.viewer.add_image(stack(1)[0])
    at.bench.quiet()
    assert at.panel.nothing.isVisibleTo(at.panel)
    assert not at.panel.strip.isVisibleTo(at.panel)
    at.stacks.embed_all()
    assert 'no stack' in at.words


def test_closing_while_embedding_waits_for_the_user(bench: Callable[..., Any], qtbot: Any) -> None:
    at = Stage(bench(image=stack(COUNT)))
    at.panel.embed.click()
    at.stacks.ahead.hold()
    at.bench.until(lambda: at.stacks.ahead.waiting)
    at.bench.bridge.close()  # as when the window goes
    qtbot.wait(REST_MS + 200)  # nothing is asked of a worker that is gone
    assert at.stacks.ahead.waiting


def test_leaving_the_image_ends_what_goes_on(bench: Callable[..., Any]) -> None:
    at = Stage(bench(image=stack(COUNT), segmenter=FakeSegmenter()))
    at.commit(0)
    at.panel.propagate.click()
    at.bench.viewer.layers.remove(at.controller.image)
    at.bench.quiet()
    assert not at.stacks.following.running
    assert at.stacks.following.labels == ()
    assert at.controller.image is None

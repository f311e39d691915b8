"""The annotator without a window, past every trap of its kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.key_bindings import KeymapHandler
from pictures import CENTRES, RADIUS, disc, iou, plane
from prompting import notifications, rectangle
from qtpy.QtCore import QTimer

from napari_mobilesam.layers import NEGATIVE, POLARITY, POSITIVE

Bench = Callable[..., Any]
FIRST, SECOND, THIRD = CENTRES


def test_t2_the_users_layers_stay_as_they_are(bench: Bench) -> None:
    """T2: every property of every layer of the user's, before and after a session."""
    picture = np.stack([plane(), plane(4)])
    one = bench(picture, scale=(5, 0.2, 0.3), translate=(1, 2, 3), colormap='magma', ready=False)
    user_labels = one.viewer.add_labels(np.ones((2, 120, 160), int), scale=(5, 0.2, 0.3))
    user_points = one.viewer.add_points([[0, 1, 1]], scale=(5, 0.2, 0.3))
    mine = [one.controller.image, user_labels, user_points]

    def snapshot(layer: Any) -> dict[str, Any]:
        data, state, _ = layer.as_layer_data_tuple()
        # objects without an == of their own
        for name in (
            'colormap',
            'text',
            'metadata',
            'affine',
            'units',
            'features',
            'feature_defaults',
        ):
            state[name] = str(state.get(name))
        return {**state, 'data': np.array(data), 'keys': dict(layer.keymap)}

    before = [snapshot(layer) for layer in mine]
    one.quiet()
    one.click(0, *FIRST)
    one.press('Enter')
    one.viewer.dims.set_current_step(0, 1)
    one.quiet()
    one.click(1, FIRST[0] + 4, FIRST[1])
    one.press('Enter')
    one.press('Control-Z')
    one.close()
    for layer, was in zip(mine, before, strict=True):
        now = snapshot(layer)
        assert now.keys() == was.keys()
        for name, value in was.items():
            np.testing.assert_equal(now[name], value, err_msg=f'{layer.name}: {name}')
    order = [layer for layer in one.viewer.layers if layer in mine]
    assert order == mine


def test_t5_one_gesture_one_prediction(bench: Bench) -> None:
    """T5: a click, a drag, a move, a flip and a deletion: one prediction each."""
    one = bench()
    counts = [one.decoded]

    def count() -> int:
        one.quiet()
        counts.append(one.decoded)
        return counts[-1] - counts[-2]

    one.points.add((0, *FIRST))
    assert count() == 1
    one.points.add([(0, FIRST[0] + 3, FIRST[1])])
    assert count() == 1
    # napari moves selected points this way, event by event
    one.points.selected_data = {1}
    for step in range(4):
        one.points._move([1], np.array((0, FIRST[0] + 4 + step, FIRST[1] + 1)))
    one.points.events.data(
        value=one.points.data,
        action='changed',
        data_indices=(1,),
        vertex_indices=((),),
    )
    assert count() == 1
    one.points.features = one.points.features.assign(
        **{POLARITY: one.points.features[POLARITY].cat.set_categories([POSITIVE, NEGATIVE])}
    )
    assert count() == 0, 'the same prompts again'
    one.points.selected_data = {1}
    one.points.remove_selected()
    assert count() == 1
    one.boxes.add_rectangles([rectangle(0, 10, 20, 50, 60)])
    assert count() == 1
    one.boxes.selected_data = {0}
    one.boxes.remove_selected()
    assert count() == 1
    one.press('Escape')
    assert count() == 0


def test_t6_polarity_is_a_feature_not_a_colour(bench: Bench) -> None:
    """T6: recolouring, pasting and undoing leave the meaning alone; colour follows meaning."""
    one = bench(plane())
    one.press('T')
    one.points.add(FIRST)  # negative first: the first one clicked gets no other colour
    one.points.selected_data = {0}
    one.press('T')
    one.points.add(SECOND)
    one.quiet()
    assert one.points.features[POLARITY].dtype == 'category'
    assert one.points.features[POLARITY].tolist() == [NEGATIVE, POSITIVE]
    negative, positive = one.points.face_color[:, :3]
    assert positive[1] > positive[0], 'green'
    assert negative[0] > negative[1], 'pink'
    prompts = one.segmenter.decoded[-1]
    assert prompts.positive == (False, True)

    one.points.face_color = 'yellow'
    one.points.selected_data = {0}
    one.points.current_face_color = 'green'
    one.points._copy_data()
    one.points._paste_data()
    one.quiet()
    assert one.points.features[POLARITY].tolist() == [NEGATIVE, POSITIVE, NEGATIVE]
    assert one.segmenter.decoded[-1].positive == (False, True, False)
    one.press('Control-Z')
    assert one.points.features[POLARITY].tolist() == [NEGATIVE, POSITIVE]
    one.press('Control-Shift-Z')
    assert one.points.features[POLARITY].tolist() == [NEGATIVE, POSITIVE, NEGATIVE]


def test_t7_same_name_other_pixels(bench: Bench) -> None:
    """T7: data replaced under the same name and layer is looked at anew."""
    one = bench(plane())
    one.click(*FIRST)
    one.controller.image.data = plane(30)
    one.quiet()
    assert len(one.segmenter.encoded) == 2
    one.press('Escape')
    one.click(FIRST[0] + 30, FIRST[1])
    truth = disc((120, 160), (FIRST[0] + 30, FIRST[1]), RADIUS)
    assert (one.controller.candidate.mask() & truth).sum() > 0.9 * truth.sum()
    one.controller.image.name = 'renamed'
    one.quiet()
    assert len(one.segmenter.encoded) == 2


def test_t9_the_event_loop_ticks_during_an_encode(bench: Bench) -> None:
    """T9: while the encoder holds the worker, the GUI thread goes on."""
    segmenter = FakeSegmenter(gate=threading.Event())
    one = bench(segmenter=segmenter, ready=False)
    one.until(segmenter.started.is_set)
    ticks: list[int] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(5)
    # Were anything waiting for the encoder, this would never come true: the gate is shut.
    one.until(lambda: len(ticks) > 40)
    timer.stop()
    assert one.bridge._worker.busy
    segmenter.gate.set()
    one.quiet()
    assert one.statuses[-1][1] == 'ready'


def test_t10_the_worker_touches_neither_napari_nor_qt(bench: Bench) -> None:
    """T10: all events of all layers come from the main thread; the model runs on the other."""
    one = bench(ready=False)
    threads: set[str] = set()

    def note(_event: Any) -> None:
        threads.add(threading.current_thread().name)

    one.controller.candidate_changed.connect(lambda _: threads.add(threading.current_thread().name))
    for layer in one.viewer.layers:
        layer.events.connect(note)
    one.viewer.layers.events.connect(note)
    one.quiet()
    one.click(0, *FIRST)
    one.preview.events.connect(note)
    one.press('N')
    one.press('Enter')
    one.viewer.dims.set_current_step(0, 1)
    one.quiet()
    assert threads == {'MainThread'}
    assert one.segmenter.threads
    assert 'MainThread' not in one.segmenter.threads


def test_t11_a_stale_answer_is_never_written(bench: Bench) -> None:
    """T11: the plane was left while the answer was made: it shows nowhere, and commits nowhere."""
    segmenter = FakeSegmenter()
    one = bench(segmenter=segmenter)
    segmenter.gate = threading.Event()
    segmenter.started.clear()
    one.prompts.add_point((0, *FIRST))
    one.until(segmenter.started.is_set)
    shown: list[Any] = []
    one.controller.candidate_changed.connect(shown.append)
    one.viewer.dims.set_current_step(0, 2)
    one.controller.commit()
    segmenter.gate.set()
    one.quiet()
    assert [candidate for candidate in shown if candidate is not None] == []
    assert not one.labels.data.any()


def test_t11_an_answer_on_its_way_to_the_gui_thread_can_still_be_stale(bench: Bench) -> None:
    """T11: the signal was sent, the user went on before it was delivered."""
    one = bench()
    one.prompts.add_point((0, *FIRST))
    one.controller._settle()
    assert one.bridge._worker.wait_idle(10)  # the answer is in the queue of the event loop
    one.viewer.dims.set_current_step(0, 2)
    one.quiet()
    assert one.controller.candidate is None
    assert one.preview is None or not one.preview.data.any()


def test_t12_only_our_own_layers_get_keys(bench: Bench) -> None:
    """T12: keymaps of napari's classes and of the viewer are identical, during and after."""
    from napari.utils.key_bindings import USER_KEYMAP

    def keymaps() -> list[dict[Any, Any]]:
        classes = (Points, Shapes, Labels, Image)
        return [dict(cls.class_keymap) for cls in classes] + [dict(USER_KEYMAP)]

    before = keymaps()
    one = bench()
    viewer_keys = dict(one.viewer.keymap), dict(type(one.viewer).class_keymap)
    one.click(0, *FIRST)
    one.press('Enter')
    assert keymaps() == before
    assert not one.labels.keymap, "the Labels layer is the user's"
    points = one.points
    one.close()
    assert keymaps() == before
    assert (dict(one.viewer.keymap), dict(type(one.viewer).class_keymap)) == viewer_keys
    assert not points.keymap


def test_t12_keys_of_the_active_layer_reach_the_controller(bench: Bench) -> None:
    """T12: through napari's own key handling, with napari's own bindings beside ours."""
    one = bench()
    handler = KeymapHandler()
    handler.keymap_providers = [one.points, one.viewer]
    assert one.controller.polarity == POSITIVE
    handler.press_key('T')
    assert one.controller.polarity == NEGATIVE
    handler.press_key('B')
    assert one.controller.tool == 'boxes'
    handler.keymap_providers = [one.boxes, one.viewer]
    handler.press_key('P')
    assert one.controller.tool == 'points'
    assert one.points.mode == 'add'


def test_t13_closing_leaves_nothing_connected(bench: Bench) -> None:
    """T13: as many callbacks on viewer and image after as before, also the third time."""
    one = bench()

    def connected() -> int:
        image, viewer = one.controller.image or one.viewer.layers[0], one.viewer
        groups = (viewer.events, viewer.layers.events, viewer.dims.events, image.events)
        callbacks = sum(
            len(emitter.callbacks) for group in groups for emitter in group.emitters.values()
        )
        return callbacks + len(viewer.layers.selection.events.active.callbacks)

    during = connected()
    layer_counts = len(one.viewer.layers)
    one.close()
    after = connected()
    assert after < during
    for _ in range(2):
        again = type(one)(one.qtbot, one.viewer, FakeSegmenter())
        again.quiet()
        assert connected() == during
        assert len(one.viewer.layers) == layer_counts
        again.click(0, *FIRST)
        assert again.decoded == 1
        thread = again.bridge._worker._thread
        again.close()
        assert connected() == after
        assert not thread.is_alive()


@pytest.mark.parametrize('name', ['points', 'boxes', 'preview', 'labels'])
@pytest.mark.parametrize('busy', [False, True])
def test_t14_layers_may_be_deleted_at_any_time(bench: Bench, name: str, busy: bool) -> None:
    """T14: a layer of ours is deleted, mid-encode or not; the next object works as before."""
    segmenter = FakeSegmenter(gate=threading.Event())
    segmenter.gate.set()
    one = bench(segmenter=segmenter)
    one.click(0, *FIRST)
    if busy:
        segmenter.gate.clear()
        segmenter.started.clear()
        one.prompts.add_point((0, FIRST[0] + 2, FIRST[1]))
        one.until(segmenter.started.is_set)
    one.viewer.layers.remove(getattr(one, name))
    segmenter.gate.set()
    one.quiet()
    one.controller.clear()
    one.controller.use_points()
    one.click(0, *SECOND)
    one.press('Enter')
    assert iou(one.labels.data[0] > 0, disc((120, 160), SECOND, RADIUS)) > 0.9
    assert one.labels in one.viewer.layers
    assert one.points in one.viewer.layers


def test_t14_layers_may_be_renamed(bench: Bench) -> None:
    """T14: nothing is found by its name."""
    one = bench()
    for layer in one.viewer.layers:
        layer.name = 'same name'
    one.click(0, *FIRST)
    one.press('Enter')
    assert one.labels.data[0].any()


def test_t14_the_image_is_deleted_mid_encode(bench: Bench) -> None:
    """T14: without its image the annotator is disarmed, and takes the next one by itself."""
    segmenter = FakeSegmenter(gate=threading.Event())
    one = bench(segmenter=segmenter, ready=False)
    one.until(segmenter.started.is_set)
    one.prompts.add_point((0, *FIRST))
    one.viewer.layers.remove(one.controller.image)
    segmenter.gate.set()
    one.quiet()
    assert one.controller.image is None
    assert len(one.viewer.layers) == 0
    assert one.statuses[-1] == ('Open an image to begin.', 'ready')
    second = one.viewer.add_image(plane(4))
    one.until(lambda: one.controller.image is second)
    one.quiet()
    one.click(FIRST[0] + 4, FIRST[1])
    assert one.controller.candidate is not None


def test_t18_one_undo_takes_back_one_commit(bench: Bench) -> None:
    """T18: labels, session and prompts go back and forth together."""
    one = bench()
    one.click(0, *FIRST)
    one.press('Enter')
    one.click(0, *SECOND)
    one.press('Enter')
    both = one.labels.data.copy()
    one.press('Control-Z')
    assert set(np.unique(one.labels.data)) == {0, 1}
    assert [record.label for record in one.controller.objects] == [1]
    assert one.points.data.tolist() == [[0, *SECOND]], 'its prompts are back'
    assert iou(one.controller.candidate.mask(), disc((120, 160), SECOND, RADIUS)) > 0.9
    one.press('Control-Shift-Z')
    np.testing.assert_array_equal(one.labels.data, both)
    assert [record.label for record in one.controller.objects] == [1, 2]
    assert len(one.points.data) == 0
    for _ in range(2):  # the commit, then the click
        one.press('Control-Z')
    assert len(one.points.data) == 0
    assert set(np.unique(one.labels.data)) == {0, 1}
    for _ in range(2):
        one.press('Control-Z')
    assert not one.labels.data.any()
    for _ in range(4):
        one.press('Control-Shift-Z')
    np.testing.assert_array_equal(one.labels.data, both)
    assert [record.label for record in one.controller.objects] == [1, 2]


def test_t18_in_step_with_naparis_own_undo(bench: Bench) -> None:
    """T18: undo pressed in the Labels layer, with a stroke of the user's in between."""
    one = bench()
    one.click(0, *FIRST)
    one.press('Enter')
    one.labels.selected_label = 7
    one.labels.paint((4, 100, 100), 7)
    one.quiet()
    one.labels.undo()  # the stroke
    one.quiet()
    assert [record.label for record in one.controller.objects] == [1]
    one.labels.undo()  # the object
    one.quiet()
    assert one.controller.objects == ()
    assert not one.labels.data.any()
    one.labels.redo()
    one.quiet()
    assert [record.label for record in one.controller.objects] == [1]


def test_t18_ctrl_z_spares_a_stroke_painted_after_the_commit(bench: Bench) -> None:
    """T18: what was done last is undone first, also where the user did it with napari's brush."""
    one = bench()
    one.click(0, *FIRST)
    one.press('Enter')
    one.labels.paint((4, 100, 100), 7)
    one.quiet()
    one.press('Control-Z')
    assert set(np.unique(one.labels.data)) == {0, 1}
    assert len(one.controller.objects) == 1
    one.press('Control-Z')
    assert not one.labels.data.any()
    assert one.controller.objects == ()


def test_t27_a_click_while_encoding_is_answered(bench: Bench) -> None:
    """T27: the last click counts, whatever the worker was doing."""
    segmenter = FakeSegmenter(gate=threading.Event())
    one = bench(segmenter=segmenter, ready=False)
    one.until(segmenter.started.is_set)
    one.prompts.add_point((0, *FIRST))
    one.qtbot.wait(20)
    one.prompts.clear(one.controller.source.key)
    one.prompts.add_point((0, *SECOND))
    one.qtbot.wait(20)
    segmenter.gate.set()
    one.quiet()
    assert iou(one.controller.candidate.mask(), disc((120, 160), SECOND, RADIUS)) > 0.9
    assert len(segmenter.encoded) == 1


def test_t27_a_click_before_the_model_is_there(bench: Bench) -> None:
    """T27: prompts placed while the model is loading are answered when it has come."""
    gate = threading.Event()

    class Slow(FakeSegmenter):
        def __init__(self) -> None:
            assert gate.wait(10)
            super().__init__()

    one = bench(ready=False, factory=Slow)
    one.prompts.add_point((0, *FIRST))
    one.qtbot.wait(20)
    assert one.statuses[-1] == ('Loading the model…', 'busy')
    one.controller.commit()  # not lost either
    gate.set()
    one.quiet()
    assert one.labels.data[0].any()


def test_t30_a_failure_is_shown_where_the_user_looks(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """T30: as a napari notification and in the status line; never in a terminal."""
    one = bench()
    one.segmenter.fail_with = RuntimeError('out of everything')
    with notifications() as told:
        one.click(0, *FIRST)
    assert 'out of everything' in one.statuses[-1][0]
    assert ['out of everything' in message for message in told] == [True]
    assert one.controller.candidate is None
    one.segmenter.fail_with = None
    one.press('Escape')
    one.click(0, *FIRST)
    assert one.controller.candidate is not None
    # napari itself repeats its notifications in the terminal, from the first window on.
    assert capsys.readouterr().out in ('', f'ERROR: {told[0]}\n')


@pytest.mark.parametrize('order', [(0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_t3_clicking_in_a_permuted_view(bench: Bench, order: tuple[int, ...]) -> None:
    """T3: a click on a transposed or an XZ plane writes where it is seen."""
    ball = np.indices((40, 50, 60)) - np.array((20, 25, 30)).reshape(3, 1, 1, 1)
    volume = (np.sqrt((ball**2).sum(axis=0)) < 12).astype(float)
    one = bench(volume, scale=(2, 0.5, 0.25), ready=False)
    one.viewer.dims.order = order
    one.viewer.dims.set_current_step((0, 1, 2), (20, 25, 30))
    one.quiet()
    one.click(20, 25, 30)
    one.press('Enter')
    written = one.labels.data > 0
    hidden = order[0]
    where = np.unique(np.nonzero(written)[hidden])
    assert where.tolist() == [(20, 25, 30)[hidden]]
    section = [slice(None)] * 3
    section[hidden] = where[0]
    assert iou(written[tuple(section)], volume[tuple(section)] > 0) > 0.8


def test_t17_a_commit_touches_one_plane(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """T17: of 200 planes one is read and written, within the object's bounding box."""
    volume = np.broadcast_to(plane(), (200, 120, 160))
    one = bench(volume)
    one.click(0, *FIRST)
    written: list[tuple[np.ndarray, ...]] = []
    original = Labels.data_setitem

    def spy(self: Labels, indices: Any, value: Any, refresh: bool = True) -> None:
        written.append(indices)
        original(self, indices, value, refresh)

    monkeypatch.setattr(Labels, 'data_setitem', spy)
    one.press('Enter')
    ((planes, rows, columns),) = written
    assert np.unique(planes).tolist() == [0]
    assert rows.min() >= FIRST[0] - RADIUS - 2
    assert rows.max() <= FIRST[0] + RADIUS + 2
    assert columns.max() <= FIRST[1] + RADIUS + 2
    assert all(len(index) == np.count_nonzero(one.labels.data) for index in (planes, rows))

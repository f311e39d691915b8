"""The demo's window: the sample, the widget, and a first object that a click made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter

pytest.importorskip('qtpy')

from napari.layers import Image, Labels, Points

from napari_mobilesam.demo import has_display, load_sample
from napari_mobilesam.demo.window import furnish, open_demo
from napari_mobilesam.widgets.model_loading import LoadedSegmenter

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(not has_display(), reason='needs a display'),
]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a stand-in behind the widget; returns the checkpoints asked for."""
    asked: list[str] = []

    def load(checkpoint: str, *_: object) -> LoadedSegmenter:
        asked.append(checkpoint)
        return LoadedSegmenter(FakeSegmenter(), title='stand-in')

    monkeypatch.setattr('napari_mobilesam.widgets.model.load_checkpoint', load)
    return asked


def test_a_first_object_is_segmented(
    make_napari_viewer_proxy: Any, qtbot: Any, loaded: list[str]
) -> None:
    viewer = make_napari_viewer_proxy()
    sample = load_sample('nuclei')
    widget = furnish(viewer, sample)
    assert 'Annotator (napari-mobilesam)' in viewer.window.dock_widgets
    assert widget.window() is not widget, 'docked'
    image = viewer.layers[0]
    assert isinstance(image, Image)
    assert tuple(image.scale) == pytest.approx(sample.voxel_size)
    (truth,) = (layer for layer in viewer.layers if isinstance(layer, Labels) and not layer.visible)
    np.testing.assert_array_equal(truth.data, sample.truth)
    assert viewer.dims.current_step[0] == sample.index[0]

    qtbot.waitUntil(lambda: len(widget.controller.objects) == 1, timeout=20_000)
    (record,) = widget.controller.objects
    assert record.prompts.points == (sample.clicks[0],)
    labels = widget.controller.labels.data
    row, column = (round(value) for value in sample.clicks[0])
    assert labels[sample.index[0], row, column] == record.label
    assert np.flatnonzero(labels.any(axis=(1, 2))).tolist() == [sample.index[0]]
    assert any(isinstance(layer, Points) for layer in viewer.layers)

    # The next click is the user's: it stays a candidate until Enter.
    with qtbot.waitSignal(widget.controller.candidate_changed, timeout=20_000):
        widget.controller.add_point((*sample.index, *sample.clicks[1]))
    qtbot.wait(100)
    assert len(widget.controller.objects) == 1


def test_weights_reach_the_widget(
    make_napari_viewer_proxy: Any, qtbot: Any, loaded: list[str], tmp_path: Path
) -> None:
    viewer = make_napari_viewer_proxy()
    widget = furnish(viewer, load_sample('cell'), tmp_path / 'mine.pt')
    qtbot.waitUntil(lambda: len(widget.controller.objects) == 1, timeout=20_000)
    assert loaded == [str(tmp_path / 'mine.pt')]
    labels = widget.controller.labels.data
    assert labels.shape == (660, 550)
    # The cell is 129 pixels wide.
    assert np.count_nonzero(labels) == pytest.approx(np.pi / 4 * 129**2, rel=0.15)


def test_no_window_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobile_sam.checkpoints import CheckpointError

    monkeypatch.setattr('mobile_sam.checkpoints.search.bundled_path', lambda: None)
    monkeypatch.setattr('napari.Viewer', lambda **_: pytest.fail('a window was opened'))
    with pytest.raises(CheckpointError):
        open_demo('coins')


def test_open_demo_runs_until_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = tmp_path / 'mine.pt'
    weights.write_bytes(b'')
    happened: list[Any] = []
    monkeypatch.setattr('napari.Viewer', lambda title: title)
    monkeypatch.setattr('napari.run', lambda: happened.append('run'))
    monkeypatch.setattr(
        'napari_mobilesam.demo.window.furnish',
        lambda viewer, sample, checkpoint: happened.append((viewer, sample.name, checkpoint)),
    )
    open_demo('coins', weights, say=happened.append)
    furnished, said, ran = happened
    assert furnished == ('napari-mobilesam demo', 'coins', weights)
    assert 'Click another object' in said
    assert ran == 'run'

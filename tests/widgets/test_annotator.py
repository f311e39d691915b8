"""The dock widget in a real window: opening, closing, themes, settings, no model."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fakes import FakeSegmenter
from napari.layers import Image, Points
from npe2 import PluginManifest
from pictures import CENTRES, plane, stack
from qtpy.QtWidgets import QApplication, QWidget

import napari_mobilesam
from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.options import PLUGIN, Options, read_options
from napari_mobilesam.widgets.section import Section

pytestmark = pytest.mark.gui

MANIFEST = Path(napari_mobilesam.__file__).with_name('napari.yaml')


def ready(qtbot: Any, widget: AnnotatorWidget) -> None:
    qtbot.waitUntil(lambda: widget.status.text.text().startswith('Click'), timeout=20_000)


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'napari-mobilesam']


def test_t13_open_close_open(make_napari_viewer_proxy: Any, qtbot: Any) -> None:
    """T13: closed by the dock's x, nothing of it goes on; opened again, all is as the first time.

    The viewer is the plugin proxy, and the widget docked twice at once, in between.
    """
    viewer = make_napari_viewer_proxy()
    viewer.add_image(stack(), name='cells', scale=(5, 0.2, 0.2))
    assert not ours()
    for round_ in range(2):
        # another model each time: embeddings are kept on disk from one opening to the next
        segmenter = FakeSegmenter(f'fake {round_}')
        widget = AnnotatorWidget(viewer, segmenter_factory=lambda made=segmenter: made)
        viewer.window.add_dock_widget(widget, name=f'annotator {round_}')
        ready(qtbot, widget)
        widget.controller.add_point((2, CENTRES[0][0] + 4, CENTRES[0][1]))
        qtbot.waitUntil(lambda one=widget: one.controller.candidate is not None)
        assert len(segmenter.decoded) == 1
        assert widget.candidate_panel.score.text() == 'score 0.90'
        assert widget.candidate_panel.commit.isEnabled()
        widget.candidate_panel.commit.click()
        assert widget.objects.panel.count.text() == '1 object'
        assert len(ours()) == 1
        viewer.window.remove_dock_widget(widget)
        QApplication.processEvents()
        assert not ours()
        assert not [layer for layer in viewer.layers if isinstance(layer, Points)]
        assert segmenter.encoded == [(120, 160, 3)]
        viewer.dims.set_current_step(0, 2 + 2 * round_)  # nobody listens any more
        viewer.dims.set_current_step(0, 2)
        QApplication.processEvents()
        assert segmenter.encoded == [(120, 160, 3)]
    assert [layer.name for layer in viewer.layers] == [
        'cells',
        'cells objects [1]',
        'cells objects',
    ]


def test_two_at_once_know_nothing_of_each_other(make_napari_viewer: Any, qtbot: Any) -> None:
    viewers = [make_napari_viewer() for _ in range(2)]
    widgets = []
    for viewer in viewers:
        viewer.add_image(plane())
        widget = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter)
        viewer.window.add_dock_widget(widget)
        widgets.append(widget)
    for widget in widgets:
        ready(qtbot, widget)
    widgets[0].controller.add_point(CENTRES[0])
    qtbot.waitUntil(lambda: widgets[0].controller.candidate is not None)
    assert widgets[1].controller.candidate is None
    assert [len(viewer.layers) for viewer in viewers] == [5, 4]
    for viewer, widget in zip(viewers, widgets, strict=True):
        viewer.window.remove_dock_widget(widget)


def test_t29_both_themes_and_300_pixels(make_napari_viewer: Any, qtbot: Any) -> None:
    """T29: nothing is cut off at 300 pixels, and what is drawn follows the theme."""
    viewer = make_napari_viewer()
    viewer.add_image(
        np.stack([plane()] * 3),
        name='a rather long name of an image, as microscopes like to give them',
    )
    widget = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter)
    viewer.window.add_dock_widget(widget)
    ready(qtbot, widget)
    for section in widget.findChildren(Section):
        section.fold(False)
    widget.model.noticed.emit('The device cuda ran out of memory.')
    assert widget.status.text.text() == 'The device cuda ran out of memory.'
    icons = []
    for theme in ('dark', 'light'):
        viewer.theme = theme
        QApplication.processEvents()
        icons.append(widget.prompt_panel.tools['boxes'].icon().pixmap(18, 18).toImage())
        widget.resize(300, 900)
        for panel in widget._sections:
            assert panel.minimumSizeHint().width() <= 280, (theme, type(panel).__name__)
    assert icons[0] != icons[1]
    sheets = [part.styleSheet() for part in [widget, *widget.findChildren(QWidget)]]
    assert not any('color' in sheet or '#' in sheet for sheet in sheets)
    viewer.window.remove_dock_widget(widget)


def test_without_an_image_and_then_with_one(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer()
    widget = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter)
    viewer.window.add_dock_widget(widget)
    qtbot.waitUntil(lambda: widget.model.loaded is not None)
    assert widget.controller.image is None
    assert len(viewer.layers) == 0
    image = viewer.add_image(plane())
    ready(qtbot, widget)
    assert widget.image_panel.image.currentData() is image
    second = viewer.add_image(plane(8), name='second')
    combo = widget.image_panel.image
    combo.activated.emit(combo.findText('second'))
    qtbot.waitUntil(lambda: widget.controller.image is second)
    viewer.window.remove_dock_widget(widget)


def test_no_checkpoint_says_what_to_do(
    make_napari_viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mobile_sam import checkpoints

    def nothing(*_: object, **__: object) -> None:
        raise checkpoints.CheckpointNotFoundError('none on this computer: download one')

    monkeypatch.setattr(checkpoints, 'find', nothing)
    viewer = make_napari_viewer()
    viewer.add_image(plane())
    widget = AnnotatorWidget(viewer, options=Options())
    viewer.window.add_dock_widget(widget)
    qtbot.waitUntil(lambda: bool(widget.model.error), timeout=30_000)
    assert widget.model_panel.notice.text() == 'none on this computer: download one'
    assert widget.status.text.text() == 'There is no model: see below.'
    # offered as soon as the survey of the folders is back, which comes after
    qtbot.waitUntil(lambda: widget.model_panel.download.isVisibleTo(widget), timeout=30_000)

    # The official one is fetched on request only, off the GUI thread, and can be cancelled.
    gate = threading.Event()
    threads = []

    def download(info: Any, *, progress: Any, cancelled: Any, **_: object) -> Path:
        threads.append(threading.current_thread().name)
        progress(10_000_000, info.size)
        assert gate.wait(60)
        if cancelled():
            raise checkpoints.DownloadCancelled('cancelled')
        return Path('mobile_sam.pt')

    monkeypatch.setattr(checkpoints, 'download', download)
    widget.model_panel.download.click()
    qtbot.waitUntil(lambda: widget.model_panel.progress.isVisibleTo(widget), timeout=30_000)
    widget.model_panel.cancel.click()
    gate.set()
    qtbot.waitUntil(lambda: not widget.model_panel.progress.isVisibleTo(widget), timeout=30_000)
    assert widget.model_panel.download.isVisibleTo(widget)
    assert 'MainThread' not in threads

    class Loaded(FakeSegmenter):
        device = 'cpu'

    widget.model._factory = Loaded
    widget.model_panel.retry.click()
    ready(qtbot, widget)
    assert widget.model_panel.name.text() == 'Loaded on cpu'
    assert widget.model_panel.budget.text().endswith('of 512 MiB')
    viewer.window.remove_dock_widget(widget)


def test_every_setting_of_the_manifest_is_read() -> None:
    """And has the same default."""
    configurations = yaml.safe_load(MANIFEST.read_text())['contributions']['configurations']
    declared = {
        key: entry['default']
        for section in configurations.values()
        for key, entry in section['properties'].items()
    }
    assert declared == {name: getattr(Options(), name) for name in Options.__slots__}


def test_settings_are_read(make_napari_viewer: Any) -> None:
    """Through napari, if the plugin is installed; else the defaults."""
    make_napari_viewer()
    assert read_options() == Options()


def test_t20_importing_the_widget_imports_no_model(tmp_path: Path) -> None:
    """T20: neither torch nor skimage, and no Qt application."""
    code = (
        'import sys, napari_mobilesam.widgets\n'
        "print([m for m in ('torch', 'torchvision', 'skimage') if m in sys.modules])\n"
        'from qtpy.QtWidgets import QApplication\n'
        'print(QApplication.instance())'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split('\n')[:2] == ['[]', 'None']


@pytest.mark.gui
def test_the_window_opens_without_the_model(tmp_path: Path) -> None:
    """T20: the GUI thread imports no torch; napari itself brings skimage, for a Labels layer."""
    code = (
        'import sys, threading, napari, numpy as np\n'
        'viewer = napari.Viewer(show=False)\n'
        'viewer.add_image(np.zeros((3, 64, 64), np.uint8))\n'
        'guilty = []\n'
        'class Spy:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        "        if name.partition('.')[0] in ('torch', 'torchvision'):\n"
        '            if threading.current_thread() is threading.main_thread():\n'
        '                guilty.append(name)\n'
        'sys.meta_path.insert(0, Spy())\n'
        'from napari_mobilesam.widgets import AnnotatorWidget\n'
        'widget = AnnotatorWidget(viewer)\n'
        'viewer.window.add_dock_widget(widget)\n'
        'print(guilty)\n'
        'viewer.close()'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip().splitlines()[-1] == '[]'


def test_opens_from_the_menu(make_napari_viewer: Any, qtbot: Any, npe2pm: Any) -> None:
    with npe2pm.tmp_plugin(manifest=PluginManifest.from_file(MANIFEST)):
        viewer = make_napari_viewer()
        viewer.add_image(np.zeros((32, 32)))
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, 'Annotator')
        assert isinstance(widget, AnnotatorWidget)
        assert isinstance(widget.controller.image, Image)
        viewer.window.remove_dock_widget(widget)


def test_a_script_may_end_with_the_window_open(tmp_path: Path) -> None:
    """Qt then destroys the widget at exit: nothing of it may be touched any more."""
    code = """
import time
import napari, numpy as np
from fakes import FakeSegmenter
from qtpy.QtWidgets import QApplication
from napari_mobilesam.widgets import AnnotatorWidget

viewer = napari.Viewer(show=False)
viewer.add_image(np.zeros((32, 32)))
widget = AnnotatorWidget(viewer, segmenter_factory=FakeSegmenter)
viewer.window.add_dock_widget(widget)
while not widget.status.text.text().startswith('Click'):
    QApplication.processEvents()
    time.sleep(0.01)
"""
    support = Path(__file__).resolve().parents[1] / 'support'
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(support)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr

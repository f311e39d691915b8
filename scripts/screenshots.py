"""Take the pictures of the annotator for README and user guide, from the real widget.

    xvfb-run -a -s "-screen 0 1920x1200x24" python scripts/screenshots.py

writes into docs/images, each in the dark and the light theme: the annotator at work, the same
looking closely at a frame, the window with what the model sees, that with all keys, and the parts
of the dock for files; an object followed through a stack, everything found in it, that in 3D, and
labels being refined.
With ``--stand-in`` the tests' segmenter without a model takes the model's place, for work on the
layout only; with ``--only WORD`` only those pictures are taken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PLANE = 8


def main() -> None:
    """Open napari once per theme, segment a few nuclei, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--stand-in', action='store_true', help='no model, layout only')
    parser.add_argument('--width', type=int, default=320, help='of the dock, in pixels')
    parser.add_argument('--output', type=Path, default=ROOT / 'docs' / 'images')
    parser.add_argument('--only', choices=['annotator', 'stack', 'refine'], help='take these alone')
    parser.add_argument('--theme', choices=['dark', 'light'], help='take this one alone')
    arguments = parser.parse_args()
    factory = None
    if arguments.stand_in:
        sys.path.insert(0, str(ROOT / 'tests' / 'support'))
        from fakes import FakeSegmenter

        factory = FakeSegmenter
    arguments.output.mkdir(parents=True, exist_ok=True)
    for theme in ('dark', 'light') if arguments.theme is None else (arguments.theme,):
        if arguments.only in (None, 'annotator'):
            with untouched():
                take(theme, arguments.width, arguments.output, factory)
            with untouched():
                take_files(theme, arguments.width, arguments.output)
        if arguments.only in (None, 'stack'):
            with untouched():
                take_stack(theme, arguments.width, arguments.output, factory)
        if arguments.only in (None, 'refine'):
            with untouched():
                take_refining(theme, arguments.width, arguments.output, factory)


@contextmanager
def untouched() -> Iterator[None]:
    """Keep settings and journals in a folder that is thrown away, as if nothing was done before."""
    with tempfile.TemporaryDirectory() as home:
        for name in ('XDG_CONFIG_HOME', 'XDG_DATA_HOME'):
            os.environ[name] = str(Path(home, name))
        yield


def take(theme: str, width: int, folder: Path, factory: Any) -> None:
    """Take the pictures of one theme."""
    from napari_mobilesam.sample_data import nuclei_stack

    (image, keywords, _), (truth, _, _) = nuclei_stack()
    viewer, widget = open_annotator(image, keywords, theme, width, factory)
    viewer.dims.set_current_step(0, PLANE)
    viewer.reset_view(margin=0.02)
    nuclei = clicks(truth[PLANE])
    for point in nuclei[1:5]:
        segment(widget.controller, (PLANE, *point))
        widget.controller.commit()
    segment(widget.controller, (PLANE, *nuclei[0]))
    settle()
    viewer.screenshot(str(folder / f'annotator-{theme}.png'), canvas_only=False, flash=False)
    widget.open_keys()
    settle()
    widget.keys_window.grab().save(str(folder / f'keys-{theme}.png'))
    viewer.close()
    settle()

    # A large picture with small nuclei: all planes side by side, and a quarter of it looked at.
    mosaic, labels = (tiled(stack) for stack in (image, truth))
    viewer, widget = open_annotator(mosaic, {'name': 'nuclei, tiled'}, theme, width, factory)
    half = len(mosaic) // 2
    viewer.scene.camera.zoom *= 2.4
    viewer.scene.camera.center = (0, half / 2, half / 2)
    settle()
    widget.controller.encode_view()
    settle()
    viewer.scene.camera.zoom *= 0.75
    near = [point for point in clicks(labels[:half, :half]) if min(point) > half / 3]
    segment(widget.controller, near[0])
    settle()
    viewer.screenshot(str(folder / f'frame-{theme}.png'), canvas_only=False, flash=False)
    widget.seeing.open()
    wait(lambda: widget.seeing.window.text.text())
    settle()
    widget.seeing.window.grab().save(str(folder / f'seen-{theme}.png'))
    viewer.close()
    settle()


def take_files(theme: str, width: int, folder: Path) -> None:
    """Take the picture of what the dock has for files, with something to show in each part."""
    import napari
    from napari.qt import get_stylesheet
    from qtpy.QtWidgets import QVBoxLayout, QWidget

    from napari_mobilesam.exchange.found_journals import FoundJournal
    from napari_mobilesam.widgets.files_panel import FilesPanel
    from napari_mobilesam.widgets.restore_line import RestoreLine
    from napari_mobilesam.widgets.series_panel import SeriesPanel

    viewer = napari.Viewer(show=False)  # brings the icons of the theme
    viewer.theme = theme
    line, files, series = RestoreLine(), FilesPanel(), SeriesPanel()
    line.offer((FoundJournal(folder, 12, time.time() - 86_400),))
    files.show_image('nuclei', '')
    files.show_session(Path('nuclei.mobilesam.json'))
    series.show_place('field-03.tif', 2, 12, 2)
    shell = QWidget()
    shell.setStyleSheet(get_stylesheet(theme))
    column = QVBoxLayout(shell)
    column.setSpacing(16)
    for part in (line, files, series):
        column.addWidget(part)
    shell.setFixedWidth(width)
    shell.show()
    settle()
    shell.grab().save(str(folder / f'files-{theme}.png'))
    shell.close()
    viewer.close()


def take_stack(theme: str, width: int, folder: Path, factory: Any) -> None:
    """Take the pictures of the stack section."""
    from napari_mobilesam.sample_data import nuclei_stack

    (image, keywords, _), (truth, _, _) = nuclei_stack()
    viewer, widget = open_annotator(image, keywords, theme, width, factory)
    stacks, panel = widget.controller.stacks, widget.stack.panel
    unfold(widget, panel)
    viewer.dims.set_current_step(0, PLANE)
    viewer.reset_view(margin=0.02)
    settle()
    segment(widget.controller, (PLANE, *clicks(truth[PLANE])[0]))
    panel.propagate.click()
    wait(lambda: widget.controller.labels.data[PLANE + 1].any())
    wait(lambda: not stacks.following.running)
    viewer.dims.set_current_step(0, PLANE + 2)
    settle()
    viewer.screenshot(str(folder / f'stack-{theme}.png'), canvas_only=False, flash=False)

    panel.find.where.scope.setCurrentIndex(panel.find.where.scope.findData('all'))
    panel.find.run.click()
    wait(lambda: not stacks.finding.work.running and stacks.finding.objects)
    settle()
    viewer.screenshot(str(folder / f'stack-find-{theme}.png'), canvas_only=False, flash=False)
    panel.find.commit.click()
    wait(lambda: len(widget.controller.objects) > 1)
    panel.below.click()
    settle()
    viewer.screenshot(str(folder / f'stack-strip-{theme}.png'), canvas_only=False, flash=False)
    panel.below.click()
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (10, 30, 60)
    viewer.reset_view(margin=0.1)
    for layer in viewer.layers:
        layer.visible = layer is widget.controller.labels or layer is widget.controller.image
    settle()
    viewer.screenshot(str(folder / f'stack-3d-{theme}.png'), canvas_only=False, flash=False)
    viewer.close()
    settle()


def take_refining(theme: str, width: int, folder: Path, factory: Any) -> None:
    """Take the picture of coarse labels that are being refined, three slices from the first."""
    from qtpy.QtWidgets import QScrollArea

    from napari_mobilesam.sample_data import nuclei_stack

    (image, keywords, _), (truth, _, _) = nuclei_stack()
    viewer, widget = open_annotator(image, keywords, theme, width, factory)
    panel = widget.stack.panel
    unfold(widget, panel)
    coarse = truth[:, 3::8, 3::8].repeat(8, 1).repeat(8, 2)[:, : truth.shape[1], : truth.shape[2]]
    spatial = {name: keywords[name] for name in ('scale', 'units') if name in keywords}
    labels = viewer.add_labels(coarse, name='coarse labels', opacity=0.4, **spatial)
    viewer.dims.set_current_step(0, PLANE)
    viewer.reset_view(margin=0.02)
    settle()
    box = panel.refine
    box.labels.setCurrentIndex(box.labels.findText(labels.name))
    box.mode.setCurrentIndex(box.mode.findData('compare'))
    box.run.click()
    wait(lambda: box.row.bar.value() >= 3)
    widget.findChild(QScrollArea).ensureWidgetVisible(box.row)
    settle(0, 3)
    viewer.screenshot(str(folder / f'stack-refine-{theme}.png'), canvas_only=False, flash=False)
    viewer.close()
    settle()


def unfold(widget: Any, panel: Any) -> None:
    """Unfold one section of the dock alone."""
    from napari_mobilesam.widgets.section import Section

    for section in widget._sections:
        if isinstance(section, Section):
            section.fold(section is not panel)


def open_annotator(
    data: Any, keywords: dict[str, Any], theme: str, width: int, factory: Any
) -> tuple[Any, Any]:
    """Open napari with an image and the annotator, and wait for the model."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QDockWidget

    from napari_mobilesam.widgets import AnnotatorWidget
    from napari_mobilesam.widgets.options import Options

    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.add_image(data, **keywords)
    # Nothing of what a user has set or kept shows in the pictures.
    widget = AnnotatorWidget(viewer, segmenter_factory=factory, options=Options(disk_gib=0))
    viewer.window.add_dock_widget(widget, name='Annotator (MobileSAM)', area='right')
    viewer.window.resize(1280, 860)
    window = widget.window()
    dock = next(d for d in window.findChildren(QDockWidget) if d.widget() is widget)
    settle()
    window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    settle()
    wait(lambda: widget.model.loaded is not None or widget.model.error)
    return viewer, widget


def tiled(stack: Any) -> Any:
    """Lay the planes of a stack out as a square, turned so that none is there twice."""
    import numpy as np

    planes = [np.rot90(stack[z % len(stack)], z // len(stack)) for z in range(64)]
    return np.block([planes[row * 8 : row * 8 + 8] for row in range(8)])


def segment(controller: Any, point: tuple[float, ...]) -> None:
    """Click, and wait for the mask."""
    controller.clear()
    controller.add_point(point)
    wait(lambda: controller.candidate is not None)


def clicks(truth: Any) -> list[tuple[float, float]]:
    """Return a point inside of each nucleus of a plane, the largest first."""
    import numpy as np
    from scipy import ndimage

    ids, sizes = np.unique(truth[truth > 0], return_counts=True)
    points = []
    for label in ids[np.argsort(-sizes)]:
        inside = ndimage.distance_transform_edt(np.pad(truth == label, 1))
        row, column = np.unravel_index(np.argmax(inside), inside.shape)
        points.append((float(row - 1), float(column - 1)))
    return points


def wait(condition: Callable[[], object], seconds: float = 900) -> None:
    """Let Qt work until a condition holds."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.01)
        if time.monotonic() > deadline:
            raise TimeoutError('the annotator did not answer in time')


def settle(seconds: float = 0.5, rounds: int = 20) -> None:
    """Let Qt work for a while; a slow machine may take all of it for drawing once."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or rounds > 0:
        QApplication.processEvents()
        time.sleep(0.01)
        rounds -= 1


if __name__ == '__main__':
    main()

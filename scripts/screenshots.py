"""Take the pictures of the annotator for README and user guide, from the real widget.

    xvfb-run -a -s "-screen 0 1920x1200x24" python scripts/screenshots.py

writes docs/images/annotator-dark.png and annotator-light.png. With ``--stand-in`` the tests'
segmenter without a model takes the model's place, for work on the layout only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
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
    arguments = parser.parse_args()
    factory = None
    if arguments.stand_in:
        sys.path.insert(0, str(ROOT / 'tests' / 'support'))
        from fakes import FakeSegmenter

        factory = FakeSegmenter
    arguments.output.mkdir(parents=True, exist_ok=True)
    for theme in ('dark', 'light'):
        take(theme, arguments.width, arguments.output / f'annotator-{theme}.png', factory)


def take(theme: str, width: int, path: Path, factory: Any) -> None:
    """Take one picture."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QDockWidget

    from napari_mobilesam.sample_data import nuclei_stack
    from napari_mobilesam.widgets import AnnotatorWidget

    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    (image_data, keywords, _), (truth, _, _) = nuclei_stack()
    image = viewer.add_image(image_data, **keywords)
    viewer.dims.set_current_step(0, PLANE)
    widget = AnnotatorWidget(viewer, segmenter_factory=factory)
    viewer.window.add_dock_widget(widget, name='Annotator (MobileSAM)', area='right')
    viewer.window.resize(1280, 860)
    window = widget.window()
    dock = next(d for d in window.findChildren(QDockWidget) if d.widget() is widget)
    settle()
    window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    settle()
    viewer.reset_view(margin=0.02)

    controller = widget.controller
    nuclei = clicks(truth[PLANE])
    wait(lambda: widget.model.loaded is not None or widget.model.error)
    for point in nuclei[1:5]:
        controller.add_point((PLANE, *point))
        wait(lambda: controller.candidate is not None)
        controller.commit()
    controller.add_point((PLANE, *nuclei[0]))
    wait(lambda: controller.candidate is not None)
    settle()
    assert controller.image is image
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()
    settle()


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


def wait(condition: Callable[[], object], seconds: float = 120) -> None:
    """Let Qt work until a condition holds."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.01)
        if time.monotonic() > deadline:
            raise TimeoutError('the annotator did not answer in time')


def settle(seconds: float = 0.5) -> None:
    """Let Qt work for a while."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == '__main__':
    main()

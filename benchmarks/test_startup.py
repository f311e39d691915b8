"""Until the window can be used: imports and the building of the widget, before any model.

In seconds of the processor, as other programs on the machine would count on the wall.
"""

from __future__ import annotations

from typing import Any

import pytest
from measuring import in_own_process

OPEN = """
import json, time
{before}
start = time.process_time()
{inside}
from napari_mobilesam.widgets import AnnotatorWidget
widget = AnnotatorWidget(viewer)
viewer.window.add_dock_widget(widget)
took = time.process_time() - start
viewer.close()
print(json.dumps(took))
"""
NAPARI = 'import napari, numpy as np; viewer = napari.Viewer(show=False)'


@pytest.mark.parametrize(
    ('what', 'before', 'inside', 'bounds'),
    [
        ('plugin import + widget, napari open', NAPARI, '', {'floor': 2.5, 'aim': 1.5}),
        ('the same with napari itself', '', NAPARI, {}),
    ],
)
def test_until_the_widget_is_there(
    note: Any, what: str, before: str, inside: str, bounds: dict[str, float]
) -> None:
    code = OPEN.format(before=before, inside=inside)
    note(what, [in_own_process(code) for _ in range(5)], 's cpu', **bounds)

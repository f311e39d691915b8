"""What is kept in napari's preferences."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from fakes import FakeSegmenter
from napari.settings import get_plugin_settings

from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.options import PLUGIN, Options, keep_option, read_options


@pytest.mark.parametrize('_time', range(2))
def test_options_are_kept_but_not_from_one_test_to_the_next(_time: int) -> None:
    """And nothing of whoever runs the tests is read, or written to."""
    settings = get_plugin_settings(PLUGIN)
    assert Path(settings.config_path).is_relative_to(Path(gettempdir()))
    assert read_options() == Options()
    keep_option('hover', False)
    keep_option('device', 'cpu')
    assert read_options() == Options(hover=False, device='cpu')
    assert 'device: cpu' in Path(settings.config_path).read_text()


@pytest.mark.gui
def test_a_widget_that_went_with_its_window_follows_no_preferences(
    make_napari_viewer: Any, qtbot: Any
) -> None:
    """Preferences outlive windows; one that was destroyed has no thread to load a model on."""
    widget = AnnotatorWidget(make_napari_viewer(), segmenter_factory=FakeSegmenter)
    widget.stop_threads()  # all that is left to do while Qt destroys it
    keep_option('precision', 'bfloat16')
    keep_option('device', 'cpu')

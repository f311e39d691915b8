"""The visible parts, one by one: they show what they are told and tell what was clicked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mobilesam.engine import IntensityMapping, OverlapRule
from napari_mobilesam.layers import NEGATIVE, POSITIVE
from napari_mobilesam.widgets.candidate_panel import CandidatePanel
from napari_mobilesam.widgets.image_panel import ImagePanel
from napari_mobilesam.widgets.labels_panel import LabelsPanel
from napari_mobilesam.widgets.layer_combo import LayerCombo
from napari_mobilesam.widgets.model_panel import ModelPanel
from napari_mobilesam.widgets.prompt_panel import PromptPanel
from napari_mobilesam.widgets.shortcuts import SHORTCUTS, tooltip
from napari_mobilesam.widgets.status_line import StatusLine


@pytest.mark.parametrize(
    'mapping',
    [
        IntensityMapping(),
        IntensityMapping(low=0.125, high=99.975),
        IntensityMapping(low=0.0, high=100.0),
        IntensityMapping(mode='full'),
    ],
)
def test_t28_every_value_survives_the_widget(qtbot: Any, mapping: IntensityMapping) -> None:
    """T28: what goes into the spin boxes comes out again, digit for digit."""
    panel = ImagePanel(mapping, as_displayed=False)
    qtbot.addWidget(panel)
    assert panel.mapping == mapping


def test_as_displayed_is_no_mapping_of_its_own(qtbot: Any) -> None:
    panel = ImagePanel(IntensityMapping(), as_displayed=True)
    qtbot.addWidget(panel)
    assert panel.mapping is None
    with qtbot.waitSignal(panel.mapping_chosen) as sent:
        panel.mode.setCurrentIndex(panel.mode.findData('percentile'))
    assert sent.args == [IntensityMapping()]


def test_percentiles_cannot_cross(qtbot: Any) -> None:
    panel = ImagePanel(IntensityMapping(), as_displayed=False)
    qtbot.addWidget(panel)
    panel.low.setValue(100.0)
    with qtbot.waitSignal(panel.mapping_chosen) as sent:
        panel.low.editingFinished.emit()
    assert sent.args[0].low < sent.args[0].high


def test_tools(qtbot: Any) -> None:
    panel = PromptPanel()
    qtbot.addWidget(panel)
    panel.show_tool('points', POSITIVE)
    assert panel.positive.isChecked()
    panel.show_tool('points', NEGATIVE)
    assert panel.negative.isChecked()
    assert not panel.positive.isChecked()
    panel.show_tool('boxes', NEGATIVE)
    assert panel.box.isChecked()
    panel.show_tool(None, POSITIVE)
    assert not any(b.isChecked() for b in (panel.positive, panel.negative, panel.box))
    with qtbot.waitSignal(panel.polarity_chosen) as sent:
        panel.negative.click()
    assert sent.args == [NEGATIVE]
    with qtbot.waitSignal(panel.clear_clicked):
        panel.clear.click()


def test_candidate(qtbot: Any) -> None:
    panel = CandidatePanel(prompted_only=True)
    qtbot.addWidget(panel)
    assert not panel.commit.isEnabled()
    panel.show_candidate(0.934, '12 px', 1, 3)
    assert panel.score.text() == 'score 0.93'
    assert panel.rank.text() == '2 / 3'
    assert panel.next.isEnabled()
    panel.show_candidate(float('nan'), '12 px', 0, 1)
    assert not panel.next.isEnabled()
    assert panel.commit.isEnabled()
    with qtbot.waitSignal(panel.commit_clicked):
        panel.commit.click()
    with qtbot.waitSignal(panel.prompted_only_chosen) as sent:
        panel.prompted_only.click()
    assert sent.args == [False]
    panel.show_nothing()
    assert not panel.commit.isEnabled()


def test_overlap(qtbot: Any) -> None:
    panel = LabelsPanel(OverlapRule.REPLACE)
    qtbot.addWidget(panel)
    assert panel.overlap.currentData() is OverlapRule.REPLACE
    with qtbot.waitSignal(panel.overlap_chosen) as sent:
        panel.overlap.setCurrentIndex(0)
    assert sent.args == [OverlapRule.KEEP]
    panel.show_labels([], None, 1)
    assert panel.count.text() == '1 object in this session'


def test_layers_of_one_name_stay_apart(qtbot: Any) -> None:
    from napari.layers import Labels

    first, second = (Labels(np.zeros((2, 2), int), name='same') for _ in range(2))
    combo = LayerCombo('none')
    qtbot.addWidget(combo)
    combo.show_layers([first, second], second)
    assert combo.currentData() is second
    with qtbot.waitSignal(combo.chosen) as sent:
        combo.activated.emit(1)
    assert sent.args == [first]


def test_model(qtbot: Any) -> None:
    panel = ModelPanel()
    qtbot.addWidget(panel)
    panel.show()
    panel.show_ready('mobilesam-microscopy', 'cpu', 'This is not mobile_sam.', offered=True)
    assert panel.name.text() == 'mobilesam-microscopy on cpu'
    assert 'This is not mobile_sam.' in panel.name.toolTip()
    assert panel.download.isVisible()
    panel.show_progress(10_000_000, 40_728_226)
    assert panel.progress.text() == '10.0 of 40.7 MB'
    assert panel.cancel.isVisible()
    assert not panel.download.isVisible()
    panel.show_progress(10, 0)
    assert panel.progress.maximum() == 0, 'a bar without an end'
    panel.show_download_ended('no network')
    assert panel.notice.text() == 'no network'
    assert panel.download.isVisible()
    panel.show_times(230.4, None)
    panel.show_times(None, 14.6)
    assert panel.times.text() == 'plane 230 ms · click 15 ms'
    panel.show_ready('mobile_sam', 'cuda', '', offered=False)
    assert not panel.download.isVisible()
    assert not panel.notice.isVisible()
    panel.show_error('There is no checkpoint.')
    assert panel.notice.text() == 'There is no checkpoint.'
    assert panel.retry.isVisible()


def test_status(qtbot: Any) -> None:
    line = StatusLine()
    qtbot.addWidget(line)
    line.show()
    line.show_theme('light')
    line.show_status('Looking at this plane…', 'busy')
    assert line.bar.isVisible()
    line.show_status('<b>', 'warning')
    assert line.text.textFormat() == Qt.TextFormat.PlainText, 'file names are no mark-up'
    assert not line.bar.isVisible()


def test_every_shortcut_is_an_action_with_a_tooltip() -> None:
    from napari.utils.key_bindings import coerce_keybinding

    from napari_mobilesam.widgets.controller import AnnotatorController

    keys = [str(coerce_keybinding(key)) for shortcut in SHORTCUTS for key in shortcut.keys]
    assert len(keys) == len(set(keys))
    for shortcut in SHORTCUTS:
        assert callable(getattr(AnnotatorController, shortcut.action))
        assert shortcut.shown in tooltip(shortcut.action)
    assert tooltip('undo').endswith('(Ctrl+Z)')

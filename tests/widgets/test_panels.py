"""The visible parts, one by one: they show what they are told and tell what was clicked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeSegmenter
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QToolButton

from napari_mobilesam.engine import IntensityMapping, OverlapRule
from napari_mobilesam.layers import NEGATIVE, POSITIVE, ImageChannel, PictureChoice
from napari_mobilesam.widgets.bars import QuietBar
from napari_mobilesam.widgets.batch_panel import BatchPanel
from napari_mobilesam.widgets.candidate_panel import CandidatePanel
from napari_mobilesam.widgets.folding import Folding
from napari_mobilesam.widgets.frame_line import FrameLine
from napari_mobilesam.widgets.hints import Hints
from napari_mobilesam.widgets.image_panel import ImagePanel
from napari_mobilesam.widgets.labels_panel import LabelsPanel, OverlapQuestion
from napari_mobilesam.widgets.layer_combo import LayerCombo
from napari_mobilesam.widgets.model_loading import LoadedSegmenter, ModelEntry
from napari_mobilesam.widgets.model_panel import ModelPanel
from napari_mobilesam.widgets.prompt_panel import PromptPanel
from napari_mobilesam.widgets.section import Section
from napari_mobilesam.widgets.shortcuts import SHORTCUTS, Keymap, tooltip
from napari_mobilesam.widgets.status_line import StatusLine
from napari_mobilesam.widgets.user_file import UserFile


@pytest.mark.parametrize(
    'choice',
    [
        PictureChoice(),
        PictureChoice(None),
        PictureChoice(IntensityMapping(low=0.125, high=99.975), 'rgb'),
        PictureChoice(IntensityMapping('stack', low=0.0, high=100.0)),
        PictureChoice(IntensityMapping('full'), 'visible'),
    ],
)
def test_t28_every_value_survives_the_widget(qtbot: Any, choice: PictureChoice) -> None:
    """T28: what goes into the boxes comes out again, digit for digit."""
    panel = ImagePanel(choice)
    qtbot.addWidget(panel)
    assert panel.choice == choice
    other = ImagePanel(PictureChoice())
    qtbot.addWidget(other)
    other.show_choice(choice)
    assert other.choice == choice


def test_choosing_intensities(qtbot: Any) -> None:
    panel = ImagePanel(PictureChoice(None))
    qtbot.addWidget(panel)
    panel.show()
    assert not panel.low.isVisible()
    with qtbot.waitSignal(panel.choice_made) as sent:
        panel.mode.setCurrentIndex(panel.mode.findData('stack'))
    assert sent.args == [PictureChoice(IntensityMapping('stack'))]
    assert panel.low.isVisible()
    assert not panel.colours[0].isVisible()
    panel.content.setCurrentIndex(panel.content.findData('visible'))
    assert not panel.mode.isVisible(), 'what is visible is taken as displayed'


def test_channels_as_red_green_blue(qtbot: Any) -> None:
    from napari.layers import Image

    image = Image(np.zeros((3, 8, 8)), axis_labels=('c', 'y', 'x'), name='cells')
    channels = [ImageChannel(image, 0, i) for i in range(3)]
    panel = ImagePanel(PictureChoice(content='rgb'))
    qtbot.addWidget(panel)
    panel.show_images([image], image, channels, (None, channels[2], None))
    assert [combo.currentText() for combo in panel.colours] == [
        'none',
        'cells · channel 3',
        'none',
    ]
    panel.colours[0].setCurrentIndex(2)
    with qtbot.waitSignal(panel.choice_made) as sent:
        panel.colours[0].activated.emit(2)
    assert sent.args[0].rgb == (channels[1], channels[2], None)
    with qtbot.waitSignal(panel.seen_clicked):
        panel.seen.click()


def test_percentiles_cannot_cross(qtbot: Any) -> None:
    panel = ImagePanel(PictureChoice())
    qtbot.addWidget(panel)
    panel.low.setValue(100.0)
    with qtbot.waitSignal(panel.choice_made) as sent:
        panel.low.editingFinished.emit()
    assert sent.args[0].mapping.low < sent.args[0].mapping.high


def test_sections_fold_and_that_is_remembered(qtbot: Any, tmp_path: Path) -> None:
    file = UserFile('sections.json', tmp_path / 'new')
    sections = [Section('One'), Section('Two')]
    for section in sections:
        qtbot.addWidget(section)
    Folding(sections, folded=['Two'], file=file)
    assert [section.is_folded for section in sections] == [False, True]
    for section in sections:
        section.header.click()
    again = [Section('One'), Section('Two')]
    for section in again:
        qtbot.addWidget(section)
    Folding(again, folded=['Two'], file=file)
    assert [section.is_folded for section in again] == [True, False]
    file.path.write_text('{"One": 7', encoding='utf-8')
    Folding(again, file=file)
    assert [section.is_folded for section in again] == [False, False]


def test_the_frame_line_is_there_when_there_is_something_to_say(qtbot: Any) -> None:
    line = FrameLine()
    qtbot.addWidget(line)
    assert not line.isVisibleTo(line.parentWidget())
    line.show_guard('Small for the model: 1 model pixel = 4 of yours.', False)
    assert line.isVisible()
    assert not line.plane.isVisible()
    line.show_guard('Only the frame is encoded.', True)
    with qtbot.waitSignal(line.plane_clicked):
        line.plane.click()
    with qtbot.waitSignal(line.closer_clicked):
        line.closer.click()
    line.show_guard('', False)
    assert not line.isVisible()


def test_tools(qtbot: Any) -> None:
    panel = PromptPanel(hover=True)
    qtbot.addWidget(panel)

    def pressed() -> set[Any]:
        return {button for button in panel._group.buttons() if button.isChecked()}

    panel.show_tool('points', POSITIVE)
    assert pressed() == {panel.positive}
    panel.show_tool('points', NEGATIVE)
    assert pressed() == {panel.negative}
    panel.show_tool('boxes', NEGATIVE)
    assert pressed() == {panel.tools['boxes']}
    panel.show_tool('scribble', NEGATIVE)
    assert pressed() == {panel.tools['scribble'], panel.negative}
    panel.show_tool('label', POSITIVE)
    assert pressed() == {panel.tools['label']}
    panel.show_tool(None, POSITIVE)
    assert not pressed()
    with qtbot.waitSignal(panel.polarity_chosen) as sent:
        panel.negative.click()
    assert sent.args == [NEGATIVE]
    with qtbot.waitSignal(panel.action_chosen) as sent:
        panel.tools['lasso'].click()
    assert sent.args == ['use_lasso']
    with qtbot.waitSignal(panel.action_chosen) as sent:
        panel.clear.click()
    assert sent.args == ['clear']
    with qtbot.waitSignal(panel.hover_chosen) as sent:
        panel.hover.click()
    assert sent.args == [False]
    with qtbot.assertNotEmitted(panel.hover_chosen):
        panel.show_hover(True)
    assert panel.hover.isChecked()


def test_candidate(qtbot: Any) -> None:
    panel = CandidatePanel(prompted_only=True)
    qtbot.addWidget(panel)
    panel.show()
    assert not panel.commit.isEnabled()
    assert not any(row.isEnabled() for row in panel.rows)
    height = panel.sizeHint().height()
    panel.show_candidate([0.934, 0.8, 0.1], ['12 px', '90 px', '3 px'], 1)
    assert panel.score.text() == 'score 0.80'
    assert panel.rank.text() == '2 / 3'
    assert [row.text() for row in panel.rows] == ['0.93   12 px', '0.80   90 px', '0.10   3 px']
    assert [row.isChecked() for row in panel.rows] == [False, True, False]
    assert panel.next.isEnabled()
    with qtbot.waitSignal(panel.chosen) as sent:
        panel.rows[2].click()
    assert sent.args == [2]
    assert [row.isChecked() for row in panel.rows] == [False, True, False], 'when it is shown'
    panel.show_candidate([float('nan')], ['12 px'], 0)
    assert [row.isEnabled() for row in panel.rows] == [True, False, False]
    assert not panel.next.isEnabled()
    assert panel.commit.isEnabled()
    with qtbot.waitSignal(panel.commit_clicked):
        panel.commit.click()
    with qtbot.waitSignal(panel.prompted_only_chosen) as sent:
        panel.prompted_only.click()
    assert sent.args == [False]
    panel.show_hover([0.9, 0.7, 0.5], '≈ 80 px', 1)
    assert panel.score.text() == 'under the mouse: 0.70'
    assert panel.rank.text() == '2 / 3'
    assert [row.text() for row in panel.rows] == ['0.90', '0.70   ≈ 80 px', '0.50']
    assert not panel.commit.isEnabled(), 'nothing is clicked yet'
    panel.show_nothing()
    assert not panel.commit.isEnabled()
    assert not any(row.isChecked() for row in panel.rows)
    assert panel.sizeHint().height() == height, 'the dock rests, whatever there is to show'


def test_bars_are_drawn_by_the_event_loop_and_not_at_once(qtbot: Any) -> None:
    drawn: list[type] = []

    def watched(base: type) -> Any:
        class Watched(base):  # type: ignore[misc]
            def paintEvent(self, event: Any) -> None:
                drawn.append(base)
                super().paintEvent(event)

        bar = Watched()
        qtbot.addWidget(bar)
        bar.setRange(0, 1000)
        bar.setValue(1)
        bar.show()
        qtbot.waitExposed(bar)
        qtbot.waitUntil(lambda: base in drawn)
        drawn.clear()
        bar.setValue(500)
        return bar

    watched(QProgressBar)
    assert drawn == [QProgressBar], 'what Qt does'
    bar = watched(QuietBar)
    assert drawn == []
    qtbot.waitUntil(lambda: drawn == [QuietBar])
    assert bar.value() == 500


def test_hints_go_away_for_ever(qtbot: Any, tmp_path: Path) -> None:
    """Followed or dismissed, also in another window; the words follow the keys."""
    file = UserFile('hints.json', tmp_path)
    keymap = Keymap(UserFile('shortcuts.json', tmp_path))
    first, second = Hints(keymap, file), Hints(keymap, file)
    for hints in (first, second):
        qtbot.addWidget(hints)
        hints.show()
        assert hints.shown == ('click', 'commit', 'candidates')
    assert first.text('commit') == 'Enter puts it into the labels.'
    keymap.choose('commit', 'K')
    assert first.text('commit') == 'K puts it into the labels.'
    first.done('click')
    first.done('click')
    second.findChildren(QToolButton)[-1].click()
    assert second.shown == ('click', 'commit')
    third = Hints(keymap, file)
    qtbot.addWidget(third)
    assert third.shown == ('commit',)
    third.done('commit')
    assert third.isHidden()
    fourth = Hints(keymap, file)
    qtbot.addWidget(fourth)
    assert fourth.shown == ()


def test_batch(qtbot: Any) -> None:
    from napari.layers import Labels, Points

    panel = BatchPanel()
    qtbot.addWidget(panel)
    panel.show()
    assert not panel.mode.isVisible()
    assert not panel.bar.isVisible()
    points, labels = Points(np.zeros((1, 2))), Labels(np.zeros((2, 2), int))
    panel.show_layers([points, labels])
    with qtbot.waitSignal(panel.run_clicked) as sent:
        panel.run.click()
    assert sent.args == [None, 'replace']
    panel.source.setCurrentIndex(2)
    panel.source.activated.emit(2)
    panel.mode.setCurrentIndex(2)
    assert panel.mode.isVisible()
    with qtbot.waitSignal(panel.run_clicked) as sent:
        panel.run.click()
    assert sent.args == [labels, 'compare']
    panel.show_progress(0, 0, -1)
    assert panel.bar.maximum() == 0, 'a bar without an end'
    panel.show_progress(48, 96, 3.4)
    assert panel.bar.text() == '48 of 96 · 3 s left'
    assert not panel.run.isVisible()
    with qtbot.waitSignal(panel.stop_clicked) as sent:
        panel.keep.click()
    assert sent.args == [True]
    panel.show_progress(48, 96, 300)
    assert panel.bar.text().endswith('5 min left')
    panel.show_ended()
    assert panel.run.isVisible()
    assert not panel.discard.isVisible()


def test_overlap(qtbot: Any) -> None:
    panel = LabelsPanel(OverlapRule.REPLACE)
    qtbot.addWidget(panel)
    assert panel.overlap.currentData() is OverlapRule.REPLACE
    with qtbot.waitSignal(panel.overlap_chosen) as sent:
        panel.overlap.setCurrentIndex(0)
    assert sent.args == [OverlapRule.KEEP]
    panel.show_labels([], None)
    assert [panel.overlap.itemData(i) for i in range(3)] == list(OverlapRule)


def test_the_overlap_question_is_a_line_in_the_dock(qtbot: Any) -> None:
    question = OverlapQuestion()
    qtbot.addWidget(question)
    question.ask({3: 10, 5: 2})
    assert not question.isHidden()
    assert question.text.text() == '12 px belong to objects 3, 5.'
    for button, rule in (
        (question.keep, OverlapRule.KEEP),
        (question.replace, OverlapRule.REPLACE),
        (question.neither, None),
    ):
        with qtbot.waitSignal(question.answered) as sent:
            button.click()
        assert sent.args == [rule]
    question.ask(None)
    assert question.isHidden()


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


ENTRIES = (
    ModelEntry('mobilesam-microscopy', True, 20_500_000, 'Cells.', 'Apache-2.0', 'this project'),
    ModelEntry('mobile_sam', False, 40_728_226, 'Anything.', 'Apache-2.0', 'https://example.org'),
    ModelEntry('vit_t_lm', False, None, 'Light microscopy.', 'CC-BY-4.0', 'bioimage.io'),
)


def test_models_to_choose_from(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = ModelPanel()
    qtbot.addWidget(panel)
    panel.show()
    panel.show_models(ENTRIES, 'mobile_sam')
    titles = [panel.model.itemText(i) for i in range(panel.model.count())]
    assert titles == [
        'mobilesam-microscopy · ready',
        'mobile_sam · downloads 40.7 MB',
        'vit_t_lm · downloads a file of unknown size',
        'own file…',
    ]
    assert panel.model.currentText() == titles[1]
    assert panel.about.text() == 'Anything.\nApache-2.0 · 40.7 MB'
    assert panel.download.isVisible()
    assert panel.download.text() == 'Download 40.7 MB'
    with qtbot.waitSignal(panel.model_chosen) as sent:
        panel.model.activated.emit(0)
    assert sent.args == ['mobilesam-microscopy']
    assert not panel.download.isVisible()
    with qtbot.waitSignal(panel.device_chosen) as sent:
        panel.device.activated.emit(panel.device.findData('cpu'))
    panel.show_device('cuda')
    assert panel.device.currentText() == 'CUDA'
    assert not panel.precision.isVisible(), 'there is nothing to choose'
    panel.show_precision(('float32', 'bfloat16'), 'float32')
    assert panel.precision.isVisible()
    assert panel.precision.currentText() == 'float32'
    with qtbot.waitSignal(panel.precision_chosen) as sent:
        panel.precision.setCurrentIndex(1)
        panel.precision.activated.emit(1)
    assert sent.args == ['bfloat16']
    panel.show_precision(('float32',), 'bfloat16')
    assert not panel.precision.isVisible()

    monkeypatch.setattr(panel, 'ask_for_file', lambda: '')
    panel.model.activated.emit(3)
    assert panel.model.currentText() == titles[0], 'no file chosen: as it was'
    monkeypatch.setattr(panel, 'ask_for_file', lambda: '/data/mine.pt')
    with qtbot.waitSignal(panel.model_chosen) as sent:
        panel.model.activated.emit(3)
    assert sent.args == ['/data/mine.pt']
    panel.show_models((*ENTRIES, ModelEntry('/data/mine.pt', True, 7)), '/data/mine.pt')
    assert panel.model.currentText() == 'mine.pt · ready'


def test_the_model_in_use(qtbot: Any) -> None:
    class Segmenter(FakeSegmenter):
        device, backend = 'cpu', 'torch'

    panel = ModelPanel()
    qtbot.addWidget(panel)
    panel.show()
    panel.show_models(ENTRIES, 'mobile_sam')
    panel.show_state(None, '', True)
    assert panel.name.text() == 'Loading…'
    loaded = LoadedSegmenter(Segmenter(), 'mobilesam-microscopy', 'Not mobile_sam.', True)
    panel.show_state(loaded, '', False)
    assert panel.name.text() == 'mobilesam-microscopy on cpu (torch)'
    assert panel.name.toolTip() == 'Not mobile_sam.'
    assert 'official' in panel.notice.text()
    panel.show_state(loaded, '', True)
    assert panel.name.text().endswith('another one is loading…')
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
    panel.show_cache(34 * 2**20, 512)
    assert panel.budget.text() == 'plane 230 ms · click 15 ms · cache 34 of 512 MiB'
    panel.show_state(LoadedSegmenter(Segmenter(), 'mobile_sam'), '', False)
    assert not panel.notice.isVisible()
    panel.show_state(None, 'There is no checkpoint.', False)
    assert panel.name.text() == 'No model'
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

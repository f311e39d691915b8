"""The demo in a window: napari, a sample, the annotator docked, a first object segmented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_mobilesam.sample_data import LayerData, with_truth
from napari_mobilesam.widgets import AnnotatorWidget
from napari_mobilesam.widgets.options import PLUGIN, read_options

from .headless import Say
from .samples import Sample, load_sample

if TYPE_CHECKING:
    from napari_mobilesam.widgets.controller import AnnotatorController


def open_demo(name: str, checkpoint: Path | None = None, say: Say | None = None) -> None:
    """Open napari with a sample, the annotator and a first object; return when it is closed.

    Parameters
    ----------
    name : str
        Of `SAMPLES`.
    checkpoint : Path, optional
        By default the one of napari's preferences.
    say : callable, optional
        Told in a line what to do next.

    Raises
    ------
    mobile_sam.checkpoints.CheckpointError
        If there is no checkpoint that the annotator could use; no window is opened then.
    """
    from mobile_sam.checkpoints import find

    find(checkpoint or read_options().checkpoint, allow_download=False)
    sample = load_sample(name)
    viewer = napari.Viewer(title='napari-mobilesam demo')
    furnish(viewer, sample, checkpoint)
    if say is not None:
        say('The first click is made. Click another object; Enter puts it into the labels.')
    napari.run()


def furnish(viewer: Any, sample: Sample, checkpoint: Path | None = None) -> AnnotatorWidget:
    """Add a sample to a viewer, dock the annotator, and make the first click.

    Parameters
    ----------
    viewer : napari.Viewer
        An empty one.
    sample : Sample
        What to show.
    checkpoint : Path, optional
        By default the one of napari's preferences.
    """
    for data, keywords, kind in _layers(sample):
        viewer.add_layer(Layer.create(data, keywords, kind))
    # Before docking: the annotator embeds the plane that it finds on display.
    for axis, position in enumerate(sample.index):
        viewer.dims.set_current_step(axis, position)
    widget = _dock(viewer, checkpoint)
    segment_first(widget.controller, sample)
    return widget


def segment_first(controller: AnnotatorController, sample: Sample) -> None:
    """Click the first object of a sample, as a user would, and commit the candidate."""
    click = sample.clicks[0]

    def commit(shown: Any) -> None:
        if shown is None:
            return
        controller.candidate_changed.disconnect(commit)
        # A user who was quicker, here or on another plane, keeps what is theirs.
        if shown.prediction.prompts.points == (click,):
            # After the candidate is on display, not from within its announcement.
            QTimer.singleShot(0, controller.commit)

    def committed(_record: Any) -> None:
        controller.committed.disconnect(committed)
        show_info('A first object is in the labels. Click another one; Enter commits it.')

    controller.candidate_changed.connect(commit)
    controller.committed.connect(committed)
    controller.add_point((*sample.index, *click))


def _layers(sample: Sample) -> list[LayerData]:
    if sample.truth is None or sample.voxel_size is None:
        return [(sample.image, {'name': sample.name}, 'image')]
    return with_truth(sample.image, sample.truth, sample.voxel_size, sample.name)


def _dock(viewer: Any, checkpoint: Path | None) -> AnnotatorWidget:
    if checkpoint is None:
        # As from the menu.
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, 'Annotator')
        assert isinstance(widget, AnnotatorWidget)
        return widget
    options = replace(read_options(), checkpoint=str(checkpoint))
    annotator = AnnotatorWidget(viewer, options=options)
    viewer.window.add_dock_widget(annotator, name=f'Annotator ({PLUGIN})', area='right')
    return annotator

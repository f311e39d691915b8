"""The bundled checkpoint on real pictures that it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from mobile_sam.checkpoints import BUNDLED_NAME, bundled_path, load_model
from mobile_sam.training.data import Reader, read_items, split_items
from napari_mobilesam.engine import (
    Annotator,
    EverythingOptions,
    PlaneKey,
    PlaneSource,
    Prompts,
    SamSegmenter,
)

SMALLEST = 400  # model pixels; smaller nuclei want a box


@pytest.mark.skipif(bundled_path() is None, reason='this checkout has no bundled checkpoint')
def test_a_click_on_a_cell_of_a_held_out_picture_gives_that_cell(shared: Path) -> None:
    _, held = split_items(read_items(shared / 'data'))
    pictures = [item for item in held if item.modality == 'fluorescence'][::16]
    assert len(pictures) >= 4
    read = Reader()
    annotator = Annotator(SamSegmenter(load_model(BUNDLED_NAME), 'cpu'))
    scores = []
    for item in pictures:
        sample = read(item)
        source = PlaneSource(PlaneKey(item.name, (0, 1)), sample.image, rgb=True)
        ids, sizes = np.unique(sample.labels[sample.labels > 0], return_counts=True)
        large = sizes * (1024 / max(source.shape)) ** 2 >= SMALLEST
        for label in ids[large][np.argsort(-sizes[large])][:6]:
            wanted = sample.labels == label
            depth = ndimage.distance_transform_edt(np.pad(wanted, 1))
            row, column = np.unravel_index(np.argmax(depth), depth.shape)
            click = Prompts(((row - 1.0, column - 1.0),), (True,))
            found = annotator.predict(source, click).mask()
            scores.append((found & wanted).sum() / (found | wanted).sum())
    assert len(scores) >= 20
    assert np.median(scores) > 0.75, scores
    assert np.mean(np.array(scores) > 0.5) > 0.8, scores


@pytest.mark.skipif(bundled_path() is None, reason='this checkout has no bundled checkpoint')
def test_everything_mode_finds_most_cells_without_being_told_how_good(shared: Path) -> None:
    """Its scores are lower than those of the published checkpoints, whose thresholds find none."""
    _, held = split_items(read_items(shared / 'data'))
    item = next(i for i in held if i.stratum == 'fluorescence/nuclei_256x256')
    sample = Reader()(item)
    segmenter = SamSegmenter(load_model(BUNDLED_NAME), 'cpu')
    source = PlaneSource(PlaneKey(item.name, (0, 1)), sample.image, rgb=True)
    options = EverythingOptions.suiting(segmenter, points_per_side=32)
    *_, last = Annotator(segmenter).everything(source, options)
    found = np.zeros(sample.labels.shape, bool)
    for proposal in last.proposals.select(options):
        rows, columns, mask = proposal.patch()
        if mask.sum() < 0.3 * found.size:
            found[rows, columns] |= mask
    cells = sample.labels > 0
    assert (found & cells).sum() / (found | cells).sum() > 0.6

"""The contact sheet: what is drawn where, and how large the file may be."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[1] / 'scripts' / 'contact_sheet.py'


@pytest.fixture(scope='module')
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location('contact_sheet', SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules['contact_sheet'] = module
    spec.loader.exec_module(module)
    return module


def a_tile(script: ModuleType) -> object:
    truth = np.zeros((60, 80), bool)
    truth[20:40, 30:50] = True
    mask = np.zeros_like(truth)
    mask[20:40, 40:60] = True
    image = np.random.default_rng(0).integers(0, 90, (60, 80, 3)).astype(np.uint8)
    return script.Tile(image, truth, mask, (30.0, 40.0), 1 / 3)


def test_a_tile_shows_truth_mask_and_click(script: ModuleType):
    tile = a_tile(script)
    rows, cols = script.surroundings(tile.truth)
    assert rows.stop - rows.start == cols.stop - cols.start == 49
    assert (rows.start, cols.start) == (5, 15)
    drawn = np.array(script.draw_tile(tile, 490))
    # Ten pixels each: truth begins at column 30, the mask at 40.
    assert tuple(drawn[300, 149]) == script.CYAN
    assert tuple(drawn[300, 150]) not in (script.CYAN, script.MAGENTA)
    assert tuple(drawn[300, 250]) == script.MAGENTA
    assert tuple(drawn[255, 255]) == script.YELLOW


def test_surroundings_stay_in_the_image(script: ModuleType):
    truth = np.zeros((30, 30), bool)
    truth[0, 29] = True
    assert script.surroundings(truth) == (slice(0, 30), slice(0, 30))


def test_our_colours_survive_and_the_limit_holds(script: ModuleType):
    sheet = script.draw_sheet({'em': [a_tile(script)] * 3, 'dic': [a_tile(script)]}, 'x', 120)
    large = script.encode(sheet, 10**6)
    small = script.encode(sheet, len(large) // 2)
    assert len(small) <= len(large) // 2
    for content in (large, small):
        shown = np.array(Image.open(io.BytesIO(content)).convert('RGB')).reshape(-1, 3)
        colours = {tuple(colour) for colour in np.unique(shown, axis=0)}
        assert {script.CYAN, script.MAGENTA, script.YELLOW} <= colours
    with pytest.raises(ValueError, match='show fewer'):
        script.encode(sheet, 100)

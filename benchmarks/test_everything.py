"""Everything mode with the bundled checkpoint on a photograph of coins, against the plain way.

    tox run -e bench -- benchmarks/test_everything.py             32 × 32 points: minutes a turn
    tox run -e bench -- benchmarks/test_everything.py --grid 8    to try it out

The plain way is that of the published implementation: decode everything, enlarge everything, look.
It takes minutes, and is measured by parts of the grid: each turn is a part of the points in the
plain way, its time taken as many times as there are parts, and the whole grid in the fast forms.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from coin_picture import coin_picture
from measuring import Turn, peak_above_idle, timed
from plain_decoder import plain_proposals, plain_suppressed

from mobile_sam.checkpoints import BUNDLED_NAME, LoadedModel, load_model
from mobile_sam.utils.amg import MaskData, build_point_grid
from napari_mobilesam.engine import (
    Embedding,
    EverythingOptions,
    Prompts,
    SamSegmenter,
    segment_everything,
    segment_prompts,
)
from napari_mobilesam.engine.stacks.proposals import propose_blobs

SQUARE = (1024, 1024)
# The bundled checkpoint is less sure than SAM, with softer edges: these leave the coins, and their
# parts and surroundings.
MIN_SCORE, MIN_STABILITY, MAX_OVERLAP = 0.8, 0.8, 0.7
TURNS = 5


@pytest.fixture(scope='module')
def loaded() -> LoadedModel:
    return load_model(BUNDLED_NAME)


@pytest.fixture(scope='module')
def segmenter(loaded: LoadedModel) -> SamSegmenter:
    return SamSegmenter(loaded, 'cpu')


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    return coin_picture()


@pytest.fixture(scope='module')
def embedding(segmenter: SamSegmenter, picture: np.ndarray) -> Embedding:
    return segmenter.encode(picture)


def full_size(proposal: Any) -> np.ndarray:
    mask = np.zeros(SQUARE, bool)
    rows, columns, part = proposal.patch()
    mask[rows, columns] = part
    return mask


def missed(plain: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Give the share of the plain masks that none of the others overlaps by more than 0.9."""
    areas = np.array([mask.sum() for mask in found])
    lost = 0
    for mask in plain:
        shared = np.array([np.count_nonzero(mask & other) for other in found])
        lost += not np.any(shared > 0.9 * (mask.sum() + areas - shared))
    assert plain, 'these thresholds leave nothing to compare'
    return lost / len(plain)


def test_everything(
    ratio: Any,
    note: Any,
    pytestconfig: pytest.Config,
    loaded: LoadedModel,
    segmenter: SamSegmenter,
    embedding: Embedding,
) -> None:
    grid = pytestconfig.getoption('--grid')
    thresholds = (MIN_SCORE, MIN_STABILITY, MAX_OVERLAP)
    features = torch.from_numpy(embedding.features[None].astype(np.float32))
    points = build_point_grid(grid)
    plain, results = MaskData(), {}

    def ask(part: np.ndarray) -> None:
        plain.cat(plain_proposals(loaded.model, features, SQUARE, SQUARE, part, *thresholds[:2]))

    def fast(name: str, skip_covered: bool) -> None:
        options = EverythingOptions(grid, *thresholds, skip_covered=skip_covered)
        *_, end = segment_everything(segmenter, embedding, options)
        results[name] = [full_size(each) for each in end.proposals.select(options)]

    forms = {'full grid': False, 'coarse to fine': True}
    turns: dict[str, list[Turn]] = {name: [] for name in forms}
    next(segment_everything(segmenter, embedding))  # warm
    for turn in range(TURNS):
        part = points[turn::TURNS]
        slow = [len(points) / len(part) * seconds for seconds in timed(lambda part=part: ask(part))]
        for name, skip_covered in forms.items():
            taken = timed(lambda name=name, skip=skip_covered: fast(name, skip))
            turns[name].append(Turn(*slow, *taken))
    expected = [each['segmentation'] for each in plain_suppressed(plain, MAX_OVERLAP)]
    where = f'everything {grid} × {grid} at 1024²'
    bounds = {'full grid': (0.02, 8.0, 12.0), 'coarse to fine': (0.05, 12.0, 20.0)}
    for name, (lost, floor, aim) in bounds.items():
        note(
            f'{where}, {name}: of {len(expected)} masks missed',
            [missed(expected, results[name])],
            'part',
            floor=lost if grid == 32 else None,
        )
        if grid != 32:
            floor = aim = None
        ratio(f'{where}, {name}', turns[name], floor=floor, aim=aim)


def test_boxes_of_blobs(
    note: Any, segmenter: SamSegmenter, embedding: Embedding, picture: np.ndarray
) -> None:
    """A box for each blob instead of a grid of points: seconds for the whole picture."""
    options = EverythingOptions(32, MIN_SCORE, MIN_STABILITY, MAX_OVERLAP)

    def blobs() -> None:
        boxes = []
        for patch in propose_blobs(picture):
            bottom, right = patch.row + patch.height - 1, patch.column + patch.width - 1
            corners = (patch.row, patch.column, bottom, right)
            boxes.append(Prompts(box=tuple(map(float, corners))))
        *_, end = segment_prompts(segmenter, embedding, boxes, options)
        end.proposals.select(options)

    blobs()
    note('everything from boxes of blobs', [timed(blobs)[0] for _ in range(TURNS)], 's')


PREPARE = f"""
import sys
sys.path[:] = {sys.path!r}
import numpy as np, torch
from mobile_sam import setup_model
from mobile_sam.checkpoints import LoadedModel
from napari_mobilesam.engine import (
    Embedding, EverythingOptions, SamSegmenter, segment_everything
)
from plain_decoder import plain_proposals, plain_suppressed
from mobile_sam.utils.amg import build_point_grid
torch.manual_seed(0)
model = setup_model()
noise = np.random.default_rng(0).normal(size=(256, 64, 64)).astype(np.float16)
features = torch.from_numpy(noise[None].astype(np.float32))
segmenter = SamSegmenter(LoadedModel(model, '0' * 64, 'vit_t', 'random'), 'cpu')
embedding = Embedding(noise, (1024, 1024), (1024, 1024), 'noise')
"""
PLAIN = """
square = (1024, 1024)
plain_suppressed(plain_proposals(model, features, square, square, build_point_grid(8), -10.0, 0.3))
"""
FAST = """
options = EverythingOptions(8, -10.0, 0.3, skip_covered=False)
*_, end = segment_everything(segmenter, embedding, options)
end.proposals.select(options)
"""


def test_peak_memory_of_everything(note: Any) -> None:
    """One batch of 64 points, which is where the plain form peaks."""
    share = peak_above_idle(PREPARE, FAST) / peak_above_idle(PREPARE, PLAIN)
    note('peak memory of everything, of the plain', [share], 'part', floor=0.25, aim=0.125)

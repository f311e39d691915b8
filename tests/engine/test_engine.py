from __future__ import annotations

import subprocess
import sys

from napari_mobilesam import engine

HEAVY = (
    'torch',
    'torchvision',
    'skimage',
    'scipy',
    'napari',
    'qtpy',
    'psygnal',
    'magicgui',
    'dask',
)

# Everything that the engine does without a model, in a fresh interpreter.
SCRIPT = f"""
import sys
import numpy as np
from napari_mobilesam.engine import *

source = PlaneSource(PlaneKey('i', (1, 2), (0,)), np.ones((2, 8, 8)))
source.image()
candidates = Candidates(np.ones((1, 256, 256)), np.ones(1), (8, 8), (1024, 1024))
plan_commit(
    Session(), np.zeros((8, 8), int), [PlacedMask((0, 0), candidates.mask(), SegmentedObject())]
)
with Worker() as worker:
    worker.submit('embed', lambda token: None)
    worker.wait_idle()
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_T20_nothing_heavy_is_imported_until_a_model_is_used() -> None:
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ''
    assert done.stdout.strip() == '[]'


def test_every_public_name_exists_and_is_documented() -> None:
    assert len(engine.__all__) == len(set(engine.__all__))
    for name in engine.__all__:
        assert getattr(engine, name).__doc__ or name == 'Stage'

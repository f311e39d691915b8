"""What the plain click at 2048² takes with fresh memory, as Python starts, and with kept memory.

python benchmarks/probe_faults.py

Not part of the table. The plain form enlarges three masks in memory that glibc takes from the
system for each click and gives back; each page of it is a fault. Told to keep what it got, glibc
spares that, and what is left is the computation.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / 'support'))

from measuring import in_own_process

_ROOT = Path(__file__).parents[1]
_KEPT = {'MALLOC_TRIM_THRESHOLD_': str(2**32), 'MALLOC_MMAP_THRESHOLD_': str(2**32)}
_CODE = """
import json, sys
import numpy as np
import torch
sys.path[:0] = [{support!r}, {plain!r}]
from measuring import page_faults, timed
from plain_decoder import plain_click
from mobile_sam.checkpoints import BUNDLED_NAME, load_model
torch.set_num_threads(2)
model = load_model(BUNDLED_NAME).model
features = torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(0))
def click():
    plain_click(model, features, torch.tensor([150.0, 200.0]), (1024, 1024), (2048, 2048))
click()
before, taken = page_faults(), [timed(click)[0] for _ in range(9)]
print(json.dumps([float(np.median(taken)), (page_faults() - before) / 9]))
"""


def main() -> None:
    code = _CODE.format(
        support=str(_ROOT / 'benchmarks' / 'support'), plain=str(_ROOT / 'tests' / 'support')
    )
    settings: list[tuple[str, dict[str, str]]] = [
        ('fresh', {}),
        ('huge pages', {'GLIBC_TUNABLES': 'glibc.malloc.hugetlb=1'}),
        ('kept', _KEPT),
    ]
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    for name, environment in settings:
        seconds, faults = in_own_process(code, OMP_NUM_THREADS='2', **environment)
        print(f'{name:12}{1000 * seconds:7.1f} ms{faults:9.0f} page faults')


if __name__ == '__main__':
    main()

"""What tests of the disk store run in processes of their own, to be killed or to run at once.

``python store_child.py kills FOLDER SEED`` and ``python store_child.py together FOLDER``; each
prints a line of JSON. The processes are forks of this one, which has imported zarr already.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import zarr  # noqa: F401 - imported once, before the forks

from napari_mobilesam.engine import DiskStore, Embedding

COUNT = 16


def key_of(number: int) -> str:
    return f'{number:040x}'


def make(number: int) -> Embedding:
    rng = np.random.default_rng(number)
    features = rng.normal(size=(64, 32, 32)).astype(np.float16)
    return Embedding(features, (8 + number, 9), (1024, 900), key_of(number))


def is_right(embedding: Embedding, number: int) -> bool:
    wanted = make(number)
    return (
        np.array_equal(embedding.features, wanted.features)
        and embedding.original_size == wanted.original_size
        and embedding.key == wanted.key
    )


def precompute(folder: Path) -> int:
    """Do what a precompute does: take what is there, make what is not; count what was made."""
    store = DiskStore(folder)
    made = 0
    for number in range(COUNT):
        found = store.read(key_of(number))
        if found is None:
            made += 1
            store.write(make(number))
        elif not is_right(found, number):
            os._exit(3)
    return made


def kills(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    report = []
    for attempt in range(20):
        notices: list[str] = []
        target = folder / str(attempt)
        child = os.fork()
        if child == 0:
            precompute(target)
            os._exit(0)
        # wherever the disk is by now, somewhere within the next entry
        wanted = rng.randrange(COUNT - 1)
        while sum(key_of(number) in DiskStore(target) for number in range(COUNT)) < wanted:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        store = DiskStore(target, on_notice=notices.append)
        present = [number for number in range(COUNT) if key_of(number) in store]
        right = [
            number
            for number in present
            if (found := store.read(key_of(number))) is not None and is_right(found, number)
        ]
        aside = list((target / 'writing').glob('*')) if (target / 'writing').exists() else []
        made = precompute(target)
        report.append(
            {
                'present': len(present),
                'right': len(right),
                'in_order': present == list(range(len(present))),
                'left_aside': len(aside),
                'made_on_resume': made,
                'notices': notices,
            }
        )
    sys.stdout.write(json.dumps(report))


def together(folder: Path) -> None:
    children = []
    for seed in range(3):
        child = os.fork()
        if child == 0:
            wrong = 0
            try:
                # room for six of the sixteen: entries vanish under the readers all the time
                store = DiskStore(folder, budget_mib=6 * 132 / 1024)
                rng = random.Random(seed)
                for _ in range(80):
                    number = rng.randrange(COUNT)
                    found = store.read(key_of(number))
                    if found is None:
                        store.write(make(number))
                    elif not is_right(found, number):
                        wrong += 1
            except BaseException:
                os._exit(100)
            os._exit(wrong)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    store = DiskStore(folder)
    sys.stdout.write(json.dumps({'codes': codes, 'checked': [why for _, why in store.verify()]}))


if __name__ == '__main__':
    mode, where = sys.argv[1], Path(sys.argv[2])
    if mode == 'kills':
        kills(where, int(sys.argv[3]))
    else:
        together(where)

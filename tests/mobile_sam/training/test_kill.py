"""A run that is killed for real, and goes on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

STEPS = 21


def start(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, '-m', 'mobile_sam.training', '--data', folder, '--out', out,
        '--steps', STEPS, '--threads', 1, '--batch', 1, '--prompts', 2, '--crop-sizes', 64,
        '--crop-weights', 1, '--corrections', 0.5, 0.5, '--save-minutes', 0,
        '--validate-images', 1, '--validate-objects', 1,
    ]  # fmt: skip
    # One thread adds in one order: what is left to differ is what the state forgets.
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_kill_9_at_a_random_step_changes_nothing(folder: Path, tmp_path: Path):
    """Same weights to the bit, same loss curve; only the times may differ."""
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    assert start(folder, whole).wait(600) == 0
    process = start(folder, killed)
    try:
        deadline = time.monotonic() + 300
        while not (killed / 'state.pt').is_file():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # Wherever this lands: in a step, or in the middle of writing a state.
        time.sleep(float(np.random.default_rng().uniform(0, 4)))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert not (killed / 'weights.pt').exists(), 'it was done before it could be killed'
    step = torch.load(killed / 'state.pt', weights_only=True)['step']
    assert 0 < step < STEPS
    assert start(folder, killed).wait(600) == 0
    first, second = (torch.load(run / 'weights.pt', weights_only=True) for run in (whole, killed))
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == [], f'killed after step {step}'
    curves = [
        [{k: v for k, v in row.items() if k != 'minutes'} for row in csv.DictReader(stream)]
        for run in (whole, killed)
        for stream in [(run / 'log.csv').read_text().splitlines()]
    ]
    assert curves[0] == curves[1]
    assert [row['step'] for row in curves[0]] == ['20', str(STEPS)]

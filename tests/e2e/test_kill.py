"""The process is killed while somebody annotates in a real window, thirty times over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import kill_child
import numpy as np
import pytest
from kill_child import digest

from napari_mobilesam.engine import Session
from napari_mobilesam.exchange.restore import Restored, restore

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(3000)]

KILLS = int(os.environ.get('KILLS', 30))


class Child:
    """A window in a process of its own."""

    def __init__(self, home: Path, seed: int) -> None:
        environment = {**os.environ, 'XDG_DATA_HOME': str(home / 'data')}
        environment['NAPARI_CONFIG'] = str(home / f'settings-{seed}.yaml')
        self.errors = home / f'errors-{seed}.txt'
        with self.errors.open('w') as errors:
            self.process = subprocess.Popen(
                [sys.executable, kill_child.__file__, str(seed)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
            )
        self.said: list[list[str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b'\n'):
                self.said.append(line.decode().split())

    def wait_for(self, word: str, times: int = 1) -> None:
        deadline = time.monotonic() + 240
        while True:
            if sum(words[0] == word for words in self.said) >= times:
                return
            assert self.process.poll() is None, self.errors.read_text()[-2000:]
            assert time.monotonic() < deadline, f'never said "{word}"'
            time.sleep(0.01)

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b'go\n')
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


def undone(restored: Restored) -> str:
    """Return the digest after taking the last step back."""
    labels, session = restored.labels, restored.session
    step = session.history.last
    assert step is not None
    step.revert(labels)
    session.step_back(step)
    return digest(labels, session)


def test_30_kills_lose_nothing_that_was_committed(own_home: Path) -> None:
    """After each kill all that was told to be safe is there, to the bit, and undo works."""
    choose = random.Random(7)
    folder = own_home / 'data' / 'napari-mobilesam' / 'journals'
    empty = digest(np.zeros(kill_child.SHAPE, np.int32), Session())
    expected, before_undo = empty, ''
    child = following = Child(own_home, 0)
    told = restores = most = 0
    try:
        for run in range(KILLS):
            # the next window gets ready meanwhile, and waits
            child, following = following, Child(own_home, run + 1)
            child.wait_for('ready')
            child.go()
            if run % 5 != 4:  # else while it opens the image, or restores
                child.wait_for('restored')
                child.wait_for('told', choose.randint(1, 6))
            time.sleep(choose.uniform(0, 0.5))
            child.kill()
            words = {kind: [w[1:] for w in child.said if w[0] == kind] for kind in
                     ('restored', 'undone', 'redone', 'told')}  # fmt: skip
            if words['restored']:
                assert words['restored'] == [[expected]], f'run {run}: not what was there'
                restores += 1
            if words['undone'] and before_undo:
                assert words['undone'] == [[before_undo]], f'run {run}: undo gave something else'
            if words['redone']:
                assert words['redone'] == [[expected]]
            journals = list(folder.glob('*.jsonl'))
            assert len(journals) <= 1, 'one session went through all of it'
            if not journals or not journals[0].stat().st_size:
                assert not words['told']
                continue
            (path,) = journals
            for lines, known, objects in words['told']:
                content = path.read_bytes().splitlines(keepends=True)[: int(lines)]
                then = own_home / 'then.jsonl'
                then.write_bytes(b''.join(content))
                found = restore(then)
                assert found.lines == int(lines), f'run {run}: told to be safe, and is not there'
                assert digest(found.labels, found.session) == known
                assert len(found.session) == int(objects)
                told += 1
            found = restore(path)
            assert not found.notices or found.size < path.stat().st_size
            if not len(found.session):
                path.unlink()  # nothing to offer: the next window begins anew
                expected, before_undo = empty, ''
                continue
            expected = digest(found.labels, found.session)
            most = max(most, len(found.session))
            before_undo = ''
            if found.session.history.last is not None:
                before_undo = undone(found)
    finally:
        child.kill()
        following.kill()
    sys.stdout.write(f'{KILLS} kills, {restores} restores, {told} states told; {most} objects\n')
    assert told > KILLS
    assert restores > KILLS / 2
    assert most > 10
    # all of it can be taken back
    found = restore(path)
    while found.session.history.last is not None:
        undone(found)
    assert not found.labels.any()

"""Journals: what was done is on disk, and comes back exactly."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import annotating
import numpy as np
import pytest
from annotating import IMAGE, SHAPE, Annotating, state
from hypothesis import given
from hypothesis import strategies as st
from segmentations import many

from napari_mobilesam.engine import (
    Frame,
    LabelEdit,
    Making,
    MaskPrompt,
    PlaneKey,
    PromptedPlane,
    Prompts,
    SegmentedObject,
    Session,
    Step,
    TidyOptions,
)
from napari_mobilesam.engine.prompts import Drawn
from napari_mobilesam.exchange import ExchangeError, codec
from napari_mobilesam.exchange.found_journals import find_journals
from napari_mobilesam.exchange.identity import identify, image_fingerprint
from napari_mobilesam.exchange.journal import Journal, journal_path, journals_of, new_path
from napari_mobilesam.exchange.restore import identity_of, restore
from napari_mobilesam.exchange.snapshot import Snapshot

IDENTITY = identify(IMAGE, 'zyx', (2, 0.5, 0.5), 'micrometer', path='/x/y.tif', name='y')


def written(path: Path, things: int = 60, seed: int = 3) -> Annotating:
    with Journal(path, IDENTITY, SHAPE, np.int32) as journal:
        made = Annotating(seed, journal)
        for _ in range(things):
            made.act()
    return made


def undo_everything(labels: np.ndarray, session: Any) -> None:
    while (step := session.history.last) is not None:
        step.revert(labels)
        session.step_back(step)


def test_labels_and_session_come_back(tmp_path: Path) -> None:
    made = written(tmp_path / 'a.jsonl')
    found = restore(tmp_path / 'a.jsonl')
    assert found.notices == []
    assert found.identity == IDENTITY == identity_of(tmp_path / 'a.jsonl')
    assert found.labels.dtype == np.int32
    assert np.array_equal(found.labels, made.labels)
    assert state(found.session) == state(made.session)
    assert len(made.session) > 5
    undo_everything(found.labels, found.session)
    assert not found.labels.any()


def test_30_kills_lose_nothing_that_was_safe(tmp_path: Path) -> None:
    """Kill the annotating process at random moments, 30 times."""
    choose = random.Random(1)
    deepest = 0

    def start(run: int) -> subprocess.Popen[str]:
        command = [sys.executable, annotating.__file__, str(tmp_path / f'{run}.jsonl'), str(run)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    following = start(0)
    for run in range(30):
        # the next one gets ready meanwhile, and waits
        process, following = following, start(run + 1)
        path = tmp_path / f'{run}.jsonl'
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write('go\n')
        process.stdout.readline()
        time.sleep(choose.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        said = [line for line in process.stdout.readlines() if ' ' in line]
        process.communicate()
        durable = max((int(line.split()[0]) for line in said[:-1]), default=0)
        found = restore(path)
        things = found.lines - 1
        assert things >= durable
        deepest = max(deepest, things)
        again = Annotating(run)
        for _ in range(things):
            again.act()
        assert np.array_equal(found.labels, again.labels)
        assert state(found.session) == state(again.session)
        # and it goes on from there, lock and half lines notwithstanding
        with Journal(path, IDENTITY, SHAPE, np.int32, resume_at=found) as journal:
            if (step := found.session.history.last) is not None:
                step.revert(found.labels)
                found.session.step_back(step)
                journal.undone(step)
        after = restore(path)
        assert after.notices == []
        assert np.array_equal(after.labels, found.labels)
        undo_everything(after.labels, after.session)
        assert not after.labels.any()
    following.kill()
    following.communicate()
    assert deepest > 10


@given(st.data())
def test_any_damage_is_told_and_read_up_to(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / 'damage'
    good = folder / 'good.jsonl'
    if not good.exists():
        folder.mkdir()
        written(good, 25)
    content = good.read_bytes()
    first = content.index(b'\n') + 1
    at = data.draw(st.integers(first, len(content) - 1))
    if data.draw(st.booleans()):
        damaged = content[:at]
    else:
        damaged = bytearray(content)
        damaged[at] ^= data.draw(st.integers(1, 255))
    path = folder / 'bad.jsonl'
    path.write_bytes(damaged)
    found = restore(path)
    whole = content[:at].count(b'\n')
    assert found.lines == whole
    assert len(found.notices) == (0 if len(damaged) == found.size else 1)
    again = Annotating(3)
    for _ in range(whole - 1):
        again.act()
    assert np.array_equal(found.labels, again.labels)


@pytest.mark.parametrize(
    'content', [b'', b'\n', b'{}\n', b'[]\n', b'{"n":0', b'\xff' * 99, b'{"n":0,"journal":2}\n']
)
def test_what_is_no_journal_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'a.jsonl').write_bytes(content)
    with pytest.raises(ExchangeError):
        restore(tmp_path / 'a.jsonl')


def test_the_damaged_end_is_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / 'a.jsonl'
    made = written(path, 5)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n": 6, "do": {"ti')
    found = restore(path)
    assert found.lines == 6
    (notice,) = found.notices
    assert 'after 6 entries' in notice
    made.session, made.labels = found.session, found.labels
    with Journal(path, IDENTITY, SHAPE, np.int32, resume_at=found) as journal:
        made.journal = journal
        made.act()
    assert path.with_suffix('.damaged').read_bytes() == b'{"n": 6, "do": {"ti'
    after = restore(path)
    assert after.notices == []
    assert np.array_equal(after.labels, made.labels)


def test_there_is_one_writer(tmp_path: Path) -> None:
    path = tmp_path / 'a.jsonl'
    path.touch()  # what is left of a process killed before its first line
    with Journal(path, IDENTITY, SHAPE, np.int32) as journal:
        assert journal.wait(timeout=10)
        for resume in (None, restore(path)):
            with pytest.raises(ExchangeError, match='written by another window'):
                Journal(path, IDENTITY, SHAPE, np.int32, resume_at=resume)
    with pytest.raises(ExchangeError, match='there already'):
        Journal(path, IDENTITY, SHAPE, np.int32)
    Journal(path, IDENTITY, SHAPE, np.int32, resume_at=restore(path)).close()


def test_labels_that_were_there_are_kept(tmp_path: Path) -> None:
    base = np.stack([many((64, 96))] * 3)
    with Journal(tmp_path / 'a.jsonl', IDENTITY, SHAPE, np.int32, base=base) as journal:
        made = Annotating(0, None)
        made.labels = base.copy()
        made.session.observe(int(base.max()))
        step = made._commit()
        step.apply(made.labels)
        made.session.push(step)
        journal.done(step)
    found = restore(tmp_path / 'a.jsonl')
    assert np.array_equal(found.labels, made.labels)
    undo_everything(found.labels, found.session)
    assert np.array_equal(found.labels, base)
    assert found.session.maximum == base.max()


def test_a_step_from_before_the_journal_is_undone_all_the_same(tmp_path: Path) -> None:
    made = Annotating(3)
    step = made._commit()
    step.apply(made.labels)
    path = tmp_path / 'a.jsonl'
    with Journal(path, IDENTITY, SHAPE, np.int32, base=made.labels.copy()) as journal:
        journal.undone(step)
    assert not restore(path).labels.any()


def test_nothing_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, threads = threading.Event(), set()
    real = os.fsync

    def slow(descriptor: int) -> None:
        threads.add(threading.current_thread().name)
        assert gate.wait(10)
        real(descriptor)

    monkeypatch.setattr(os, 'fsync', slow)
    journal = Journal(tmp_path / 'a.jsonl', IDENTITY, SHAPE, np.int32)
    made = Annotating(3, journal)
    numbers = [made.act() for _ in range(20)]
    assert numbers == list(range(1, 21))
    assert journal.durable == -1
    assert not journal.wait(timeout=0.01)
    gate.set()
    assert journal.wait(20, timeout=10)
    assert journal.durable == 20
    journal.close()
    assert threads == {'journal'}
    with pytest.raises(ExchangeError, match='closed'):
        made.act()


def test_a_full_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    path = tmp_path / 'a.jsonl'
    with Journal(path, IDENTITY, SHAPE, np.int32, on_failed=told.append) as journal:
        made = Annotating(3, journal)
        journal.wait(made.act())

        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as context:
            context.setattr(os, 'fsync', full)
            assert not journal.wait(made.act(), timeout=10)
        assert not journal.wait(made.act(), timeout=10)
        assert journal.durable == 1
    (message,) = told
    assert 'No space left on device' in message
    assert 'Save the session' in message


def test_steps_of_prompts_only_are_no_lines(tmp_path: Path) -> None:
    with Journal(tmp_path / 'a.jsonl', IDENTITY, SHAPE, np.int32) as journal:
        step = Step('prompts', prompts_before=1, prompts_after=2)
        assert journal.done(step) == journal.undone(step) == 0
    assert restore(tmp_path / 'a.jsonl').lines == 1


def test_journals_are_found_by_the_image(tmp_path: Path, own_home: Path) -> None:
    moved = identify(IMAGE.copy(), 'zyx', (1, 1, 1), path='/elsewhere/z.tif')
    assert journal_path(moved) == journal_path(IDENTITY)
    assert journal_path(IDENTITY).is_relative_to(own_home)
    assert journal_path(IDENTITY, tmp_path).parent == tmp_path


def test_fingerprints_tell_pixels_apart() -> None:
    base = image_fingerprint(IMAGE)
    assert image_fingerprint(IMAGE.astype('>u2')) == base
    assert image_fingerprint(np.asfortranarray(IMAGE)) == base
    changed = IMAGE.copy()
    changed[1, 5, 5] += 1
    others = [changed, IMAGE[:2], IMAGE.astype(np.uint32), IMAGE.reshape(3, 96, 64)]
    assert len({base, *(image_fingerprint(other) for other in others)}) == 5


@pytest.mark.parametrize('shape', [(5,), (4, 6), (2, 3, 4)])
def test_edits_come_back(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        before, after = (rng.integers(0, 3, shape) for _ in range(2))
        edit = LabelEdit.between((7,) * len(shape), before, after)
        if edit is not None:
            again = codec.read_edit(codec.edit_to_json(edit))
            assert again.start == edit.start
            assert np.array_equal(again.mask, edit.mask)
            for name in ('before', 'after'):
                values = np.broadcast_to(getattr(again, name), edit.n_pixels)
                assert np.array_equal(values, np.broadcast_to(getattr(edit, name), edit.n_pixels))


def test_what_was_drawn_comes_back_and_nothing_else_does() -> None:
    drawn = (
        Drawn('ellipse', ((1, 2), (1, 8.5), (6, 8.5), (6, 2))),
        Drawn('path', ((0, 0), (3, 3.25)), positive=False),
    )
    prompts = Prompts(((1, 1),), (False,), (1, 2, 6, 8.5), drawn=drawn)
    found = codec.prompts_to_json(prompts)
    assert codec.read_prompts(found) == prompts
    assert 'drawn' not in codec.prompts_to_json(Prompts(((1, 1),), (True,)))
    for damage in ({'kind': 'script'}, {'vertices': []}, {'vertices': [[0, float('nan')]]}):
        with pytest.raises(ExchangeError):
            codec.read_prompts({**found, 'drawn': [{**found['drawn'][0], **damage}]})


def test_mask_prompts_come_back() -> None:
    mask = np.zeros((40, 50), bool)
    mask[5:20, 10:30] = True
    prompts = Prompts(mask=MaskPrompt.from_mask(mask))
    assert codec.read_prompts(codec.prompts_to_json(prompts)) == prompts


def test_a_long_journal_is_made_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be undone any more becomes the base; all else stays as it was."""
    from napari_mobilesam.exchange import found_journals

    path = tmp_path / 'a.jsonl'
    made = written(path, 700)
    full = restore(path, 'picture')
    # as much as a history that reaches far back leaves: of a short one nearly nothing is kept
    while len(full.session.history.done) > 40:
        full.session.history._done.pop(0)
    size = path.stat().st_size
    short = found_journals.compact(path, full, 'picture')
    assert short is not full
    assert path.stat().st_size < size / 2
    assert np.array_equal(short.labels, made.labels)
    assert short.session.objects == full.session.objects
    assert len(short.session.history) == 40
    assert all(record.plane.source == 'picture' for record in short.session)
    undone = 0
    with Journal(path, IDENTITY, SHAPE, np.int32, resume_at=short) as journal:
        while (step := short.session.history.last) is not None:
            for labels, session in ((full.labels, full.session), (short.labels, short.session)):
                one = session.history.last
                one.revert(labels)
                session.step_back(one)
            journal.undone(step)
            undone += 1
            assert np.array_equal(short.labels, full.labels)
    assert undone == 40
    again = restore(path)
    assert again.notices == []
    assert np.array_equal(again.labels, short.labels)
    # and one that would not say the same is thrown away
    content = path.read_bytes()
    monkeypatch.setattr(found_journals, '_same', lambda *_: False)
    monkeypatch.setattr(found_journals, 'LONG', 1)
    assert found_journals.compact(path, again) is again
    assert path.read_bytes() == content


def test_each_session_of_an_image_has_a_journal(tmp_path: Path) -> None:
    paths = []
    for things in (20, 0, 25):
        path = new_path(IDENTITY, tmp_path)
        assert path not in paths
        paths.append(path)
        written(path, things)
        os.utime(path, (len(paths), len(paths)))
    assert journals_of(IDENTITY, tmp_path) == paths[::-1]
    found = find_journals(IDENTITY, tmp_path)
    assert [one.path for one in found] == [paths[2], paths[0]], 'one without objects says nothing'
    assert found[0].objects == len(restore(paths[2]).session)
    with Journal(paths[2], IDENTITY, SHAPE, np.int32, resume_at=restore(paths[2])):
        assert [one.path for one in find_journals(IDENTITY, tmp_path)] == [paths[0]]


def test_a_snapshot_is_of_one_moment() -> None:
    """Whatever is done while the labels are read is not in the copy."""
    made = Annotating(5)
    for _ in range(30):
        made.act()
    labels, before = made.labels.copy(), state(made.session)
    snapshot = Snapshot(made.session)
    for _ in range(10):
        made.act()
    snapshot.read(made.labels)
    for _ in range(10):
        made.act()
    snapshot.finish()
    for _ in range(10):
        made.act()
    assert not np.array_equal(made.labels, labels)
    assert np.array_equal(snapshot.exact(), labels)
    assert state(snapshot.session()) == before


def test_how_a_mask_was_made_comes_back() -> None:
    plane, prompts = PlaneKey('', (1, 2), (0,)), Prompts(((1, 2),), (True,))
    for making in (
        None,
        Making(),
        Making(2, False, Frame(1, 2, 30, 40), TidyOptions(3, True, True, 2), (2.0, 0.5), False),
    ):
        record = SegmentedObject(3, (PromptedPlane(plane, prompts, making),), 0.5, 7, ((0, 1),) * 3)
        assert codec.read_object(codec.object_to_json(record)) == record


def test_records_that_were_learnt_and_forgotten(tmp_path: Path) -> None:
    session = Session()
    with Journal(tmp_path / 'a.jsonl', IDENTITY, SHAPE, np.int32) as journal:
        session.record_with(journal)
        session.learn([SegmentedObject(n, area=n, bounds=((0, 1),) * 3) for n in (1, 2, 3)])
        session.match({3: SegmentedObject(3, area=9, bounds=((0, 2),) * 3)}, session.objects)
    assert restore(tmp_path / 'a.jsonl').session.objects == session.objects
    assert [record.area for record in session] == [9]

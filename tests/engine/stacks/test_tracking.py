from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_mobilesam.engine.stacks import MaskPatch
from napari_mobilesam.engine.stacks.linking import SliceObject
from napari_mobilesam.engine.stacks.tracking import (
    TrackingNotInstalledError,
    TrackOptions,
    track,
)

SHAPE = (80, 80)


def disc(t: int, row: float, column: float, radius: float = 6, score: float = 0.9) -> SliceObject:
    rows, columns = np.indices(SHAPE)
    mask = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return SliceObject(t, MaskPatch.cut(mask), score)


def division() -> dict[int, list[SliceObject]]:
    """One cell walks along, another one divides at frame 4."""
    frames: dict[int, list[SliceObject]] = {}
    for t in range(9):
        frames[t] = [disc(t, 60, 10 + 6 * t)]
        if t < 4:
            frames[t].append(disc(t, 20, 40, 8))
        else:
            frames[t] += [disc(t, 20, 33 - (t - 4)), disc(t, 20, 47 + (t - 4))]
    return frames


@pytest.fixture(autouse=True)
def laptrack() -> None:
    pytest.importorskip('laptrack', reason='needs the extra [tracking]')


def test_division_and_lineage() -> None:
    found = track(division())
    assert len(found.tracks) == 4
    (parent,) = set(found.parents.values())
    assert len(found.parents) == 2
    assert [one.index for one in found.tracks[parent]] == [0, 1, 2, 3]
    for child in found.parents:
        assert [one.index for one in found.tracks[child]] == [4, 5, 6, 7, 8]
    (walker,) = set(found.tracks) - set(found.parents) - {parent}
    assert len(found.tracks[walker]) == 9
    data, graph = found.napari()
    assert data.shape == (4 + 5 + 5 + 9, 4)
    assert graph == {child: [parent] for child in sorted(found.parents)}
    assert np.all(np.diff(data[:, 0]) >= 0)
    assert len(track(division(), TrackOptions(divisions=False)).parents) == 0


def test_gaps() -> None:
    frames = {t: [disc(t, 30, 20 + 3 * t)] for t in range(8) if t != 4} | {4: []}
    whole = track(frames, TrackOptions(max_gap=1))
    assert [[one.index for one in members] for members in whole.tracks.values()] == [
        [0, 1, 2, 3, 5, 6, 7]
    ]
    assert len(track(frames, TrackOptions(max_gap=0)).tracks) == 2


def test_tracks_as_objects_of_labels() -> None:
    frames = {t: [disc(t, 30, 20 + 3 * t)] for t in range(5) if t != 2}
    (one,) = track(frames).linked()
    assert one.at(2) is None
    assert sorted(one.masks()) == [0, 1, 3, 4]
    found = track(division())
    later = found.renumbered(41)
    assert set(later.tracks) == {label + 40 for label in found.tracks}
    assert later.parents == {c + 40: p + 40 for c, p in found.parents.items()}


def test_what_is_left_out() -> None:
    frames = division()
    frames[3].append(disc(3, 40, 70))
    frames[5].append(disc(5, 5, 5, score=0.1))
    assert len(track(frames).tracks) == 4
    assert len(track(frames, TrackOptions(min_frames=1)).tracks) == 6
    assert len(track(frames, TrackOptions(min_frames=1, min_score=0.5)).tracks) == 5
    assert track({}).tracks == {} == track({0: []}).tracks
    data, graph = track({}).napari()
    assert (data.shape, graph) == ((0, 4), {})


def test_without_laptrack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'laptrack', None)
    with pytest.raises(TrackingNotInstalledError, match=r'napari-mobilesam\[tracking\]'):
        track(division())


def test_impossible_limits() -> None:
    with pytest.raises(ValueError, match='max_distance'):
        TrackOptions(max_distance=0)
    with pytest.raises(ValueError, match='not negative'):
        TrackOptions(max_gap=-1)

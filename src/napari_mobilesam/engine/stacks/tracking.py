"""Tracking: the objects found on each frame of a time series, followed through gaps and divisions.

The assignment is that of laptrack, which is an extra: ``pip install 'napari-mobilesam[tracking]'``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .linking import Linked, SliceObject
from .patch import overlap


class TrackingNotInstalledError(ImportError):
    """Laptrack is missing."""


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """How objects are followed through time.

    Parameters
    ----------
    max_distance : float
        How far the centre of an object moves from frame to frame at most, in pixels.
    max_gap : int
        An object may be missing on so many frames.
    divisions : bool
        Whether an object may become two.
    min_score : float
        Objects of a frame below it are left out.
    min_frames : int
        Tracks with fewer frames are left out, unless they are part of a lineage.

    Raises
    ------
    ValueError
        If a limit is out of its range.
    """

    max_distance: float = 30.0
    max_gap: int = 1
    divisions: bool = True
    min_score: float = 0.0
    min_frames: int = 2

    def __post_init__(self) -> None:
        if not self.max_distance > 0:
            raise ValueError(f'max_distance is more than 0 pixels; got {self.max_distance}')
        if min(self.max_gap, self.min_frames) < 0:
            raise ValueError(f'numbers of frames are not negative; got {self}')


@dataclass(frozen=True, slots=True, eq=False)
class Tracking:
    """Tracks and their lineage.

    Parameters
    ----------
    tracks : mapping of int to tuple of SliceObject
        By id, from 1: the objects of a track, by ascending frame.
    parents : mapping of int to int
        Ids of tracks that came out of a division, and of what divided.
    """

    tracks: Mapping[int, tuple[SliceObject, ...]]
    parents: Mapping[int, int]

    def paint(self, index: int, shape: tuple[int, int]) -> NDArray[np.int32]:
        """Return the labels of a frame, each object with the id of its track."""
        labels = np.zeros(shape, np.int32)
        for label, members in self.tracks.items():
            for member in members:
                if member.index == index:
                    patch = member.patch.clipped(shape)
                    labels[patch.rows, patch.columns][patch.mask] = label
        return labels

    def renumbered(self, first: int) -> Tracking:
        """Return the same with ids that begin at `first`."""
        return Tracking(
            {label + first - 1: members for label, members in self.tracks.items()},
            {child + first - 1: parent + first - 1 for child, parent in self.parents.items()},
        )

    def linked(self) -> list[Linked]:
        """Return the tracks as objects, by ascending id; where one was missing it stays missing."""
        return [Linked(members, filled=False) for _, members in sorted(self.tracks.items())]

    def napari(self) -> tuple[NDArray[np.float64], dict[int, list[int]]]:
        """Return the values of a napari Tracks layer.

        Returns
        -------
        data : ndarray of float64, shape (N, 4)
            Id, frame, row, column of each object's centre, sorted by id and frame.
        graph : dict of int to list of int
            For each track that came out of a division, what it came out of.
        """
        rows = [
            (label, member.index, *member.patch.centroid)
            for label, members in sorted(self.tracks.items())
            for member in members
        ]
        return np.array(rows, float).reshape(-1, 4), {
            child: [parent] for child, parent in sorted(self.parents.items())
        }


def track(
    frames: Mapping[int, Sequence[SliceObject]], options: TrackOptions | None = None
) -> Tracking:
    """Follow objects through time, by how they overlap and how far they move.

    Parameters
    ----------
    frames : mapping of int to sequence of SliceObject
        The objects of each frame.
    options : TrackOptions, optional
        The limits.

    Returns
    -------
    Tracking
        Ids in the order of first frames.

    Raises
    ------
    TrackingNotInstalledError
        If laptrack is missing.

    Notes
    -----
    Linear assignment in two steps, first from frame to frame, then between ends of tracks: K.
    Jaqaman et al., Nature Methods 5 (2008) 695-702; Y. T. Fukai, K. Kawaguchi, LapTrack,
    Bioinformatics 39 (2023) btac799.
    """
    try:
        from laptrack import LapTrack
    except ImportError as error:
        raise TrackingNotInstalledError(
            'tracking through time needs the package laptrack, which is not installed: '
            "pip install 'napari-mobilesam[tracking]'"
        ) from error
    import pandas as pd

    options = TrackOptions() if options is None else options
    objects = [
        one
        for index in sorted(frames)
        for one in frames[index]
        if one.patch and one.score >= options.min_score
    ]
    if not objects:
        return Tracking({}, {})
    cost = _Cost(objects, options.max_distance)
    tracker = LapTrack(
        metric=cost,
        gap_closing_metric=cost,
        splitting_metric=cost,
        cutoff=1.0,
        gap_closing_cutoff=1.0 if options.max_gap else False,
        # counted from the last frame before the gap to the first one after it
        gap_closing_max_frame_count=options.max_gap + 1,
        splitting_cutoff=1.0 if options.divisions else False,
        merging_cutoff=False,
    )
    table = pd.DataFrame({'number': range(len(objects)), 'frame': [one.index for one in objects]})
    found, splits, _ = tracker.predict_dataframe(
        table, coordinate_cols=['number'], frame_col='frame', only_coordinate_cols=False
    )
    members: dict[int, list[SliceObject]] = {}
    for number, name in zip(found['number'], found['track_id'], strict=True):
        members.setdefault(int(name), []).append(objects[int(number)])
    # empty without columns where nothing divided
    parents = (
        {
            int(child): int(parent)
            for child, parent in zip(
                splits['child_track_id'], splits['parent_track_id'], strict=True
            )
        }
        if len(splits)
        else {}
    )
    family = set(parents) | set(parents.values())
    kept = [
        name for name, ones in members.items() if len(ones) >= options.min_frames or name in family
    ]
    kept.sort(key=lambda name: min(one.index for one in members[name]))
    ids = {name: number for number, name in enumerate(kept, 1)}
    return Tracking(
        {ids[name]: tuple(sorted(members[name], key=lambda one: one.index)) for name in kept},
        {ids[child]: ids[parent] for child, parent in parents.items()},
    )


class _Cost:
    """The cost of a link, for laptrack: half of it distance, half of it how little they overlap.

    Beyond 1 there is no link. laptrack knows objects by their coordinates; here the only one is
    the object's number.
    """

    def __init__(self, objects: Sequence[SliceObject], max_distance: float) -> None:
        self._patches = [one.patch for one in objects]
        self._centres = np.array([one.patch.centroid for one in objects])
        self._max_distance = max_distance

    def __call__(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
        first, second = int(one[0]), int(other[0])
        distance = float(np.linalg.norm(self._centres[first] - self._centres[second]))
        if distance > self._max_distance:
            return 2.0
        apart = distance / self._max_distance
        return (apart + 1 - overlap(self._patches[first], self._patches[second])) / 2

"""Consensus: an object that was followed through a stack, judged from its two other sides as well.

What goes wrong on a slice, a neighbour that is taken along, an outline that runs out, seldom goes
wrong in the same place where the stack is cut along another axis. So the object is followed
through its XZ and YZ planes too, each time from the section where it is largest, and a voxel is
its where two of the three agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine.annotator import Annotator
from napari_mobilesam.engine.cancel import CancelToken
from napari_mobilesam.engine.regions import Region, shape_of

from .patch import MaskPatch
from .propagation import Propagation, PropagationOptions, SliceMask
from .series import PlaneSeries

# How much farther than the object reaches it is looked for, as a part of its size.
_MARGIN = 0.25
# An object on fewer slices has no side that a model would know.
_FEWEST_SLICES = 3
# A view that overlaps less with the slices has lost the object, and has no vote.
_LEAST_OVERLAP = 0.4


@dataclass(frozen=True, slots=True)
class ViewStep:
    """How far a consensus is.

    Parameters
    ----------
    axis : int
        The axis of the image that is gone along now.
    done, total : int
        Planes of both views, the latter at most.
    """

    axis: int
    done: int
    total: int


def sideways(planes: PlaneSeries, axis: int, depth: float = 1.0) -> PlaneSeries:
    """Return the planes of the same image along an axis that a series displays.

    Their rows go along the series, as in an XZ view.

    Parameters
    ----------
    planes : PlaneSeries
        The slices of a stack.
    axis : int
        One of the two axes that they display.
    depth : float
        Distance of two slices, in the unit of the planes' spacing (where they have none, of a
        pixel). Where that is more than a pixel, the planes are stretched for the model.

    Raises
    ------
    ValueError
        If the planes are blended from several layers, or do not display that axis.
    """
    source = planes[planes.position].whole
    if source.channels:
        raise ValueError(
            'a picture made of several layers cannot be turned to its sides; choose "this layer" '
            'as the picture'
        )
    key = source.key
    if axis not in key.displayed:
        raise ValueError(f'expected an axis that is displayed, one of {key.displayed}; got {axis}')
    place = key.displayed.index(axis)
    kept, size = key.displayed[1 - place], (source.spacing or (1.0, 1.0))[1 - place]
    positions = dict(zip(key.indexed, key.index, strict=True))
    del positions[planes.axis]
    positions[axis] = source.shape[place] // 2
    turned = replace(
        source,
        key=replace(
            key,
            displayed=(planes.axis, kept),
            index=tuple(position for _, position in sorted(positions.items())),
        ),
        spacing=(depth, size),
    )
    return PlaneSeries(turned, axis)


def agreed(views: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return where more than half of some masks of one shape agree."""
    return np.asarray(2 * np.sum(views, axis=0, dtype=np.uint8) > len(views))


def side_planes(planes: PlaneSeries, masks: Mapping[int, SliceMask]) -> int:
    """Return how many planes `three_views` looks at, at most; 0 for an object without sides."""
    if len(masks) < _FEWEST_SLICES:
        return 0
    region = _around(masks, (len(planes), *planes.shape))
    return sum(stop - start for start, stop in region[1:])


def three_views(
    annotator: Annotator,
    planes: PlaneSeries,
    propagation: Propagation,
    label: int,
    depth: float = 1.0,
    within: range | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[ViewStep]:
    """Let the two other sides of an object have a say in what was found of it.

    What the user gave stays as it is, and so do slices that he marked. An object on one or two
    slices only has no sides, and is left alone; so is one that was lost in either view, as in
    planes of very thin or blurred stacks.

    Parameters
    ----------
    annotator : Annotator
        The model and its embeddings.
    planes : PlaneSeries
        The slices.
    propagation : Propagation
        Through these slices, in which the object was followed. At the end it is told what was
        agreed on.
    label : int
        The object.
    depth : float
        As of `sideways`.
    within : range, optional
        Slices beyond which nothing is added; by default all.
    cancel : CancelToken, optional
        Polled all the way; until the end nothing has changed.

    Yields
    ------
    ViewStep
        After each plane.

    Raises
    ------
    Cancelled
        If the token was cancelled.
    ValueError
        If there is no such object, or the picture cannot be turned.
    """
    masks = propagation.masks(label)
    total, done = side_planes(planes, masks), 0
    if not total:
        return
    axes = planes[planes.position].key.displayed
    sides = [sideways(planes, axis, depth) for axis in axes]
    region = _around(masks, (len(planes), *planes.shape))
    views = [_volume(masks, region)]
    for place, side in enumerate(sides, 1):
        sections = np.moveaxis(views[0], place, 0)
        largest = int(sections.reshape(len(sections), -1).sum(1).argmax())
        first, last = region[place][0], region[place][1] - 1
        followed = Propagation(annotator, side, PropagationOptions(first=first, last=last))
        corner = [start for number, (start, _) in enumerate(region) if number != place]
        followed.anchor(1, first + largest, MaskPatch.cut(sections[largest], corner[0], corner[1]))
        for number, _ in enumerate(followed.run(cancel), 1):
            yield ViewStep(side.axis, done + number, total)
        done += last - first
        own = (region[place], *(r for number, r in enumerate(region) if number != place))
        views.append(np.moveaxis(_volume(followed.masks(1), own), 0, place))
    if any(_overlap(view, views[0]) < _LEAST_OVERLAP for view in views[1:]):
        return
    outcome = _outcome(views, region, masks, propagation, label)
    allowed = range(len(planes)) if within is None else within
    propagation.settle(
        label, {i: mask for i, mask in outcome.items() if i in allowed or i in masks}
    )


def _around(masks: Mapping[int, SliceMask], shape: tuple[int, int, int]) -> Region:
    """Return where to look for an object: where it is, and a little farther."""
    patches = [mask.patch for mask in masks.values()]
    extent = [
        (min(masks), max(masks) + 1),
        (min(p.rows.start for p in patches), max(p.rows.stop for p in patches)),
        (min(p.columns.start for p in patches), max(p.columns.stop for p in patches)),
    ]
    region = []
    for (start, stop), end in zip(extent, shape, strict=True):
        margin = 1 + ceil(_MARGIN * (stop - start))
        region.append((max(0, start - margin), min(end, stop + margin)))
    return tuple(region)


def _volume(masks: Mapping[int, SliceMask], region: Region) -> NDArray[np.bool_]:
    """Stack masks along the first axis of a region."""
    (first, _), *plane = region
    rows, columns = (slice(start, stop) for start, stop in plane)
    volume = np.zeros(shape_of(region), bool)
    for index, mask in masks.items():
        if 0 <= index - first < len(volume):
            volume[index - first] = mask.patch.within(rows, columns)
    return volume


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def _outcome(
    views: Sequence[NDArray[np.bool_]],
    region: Region,
    before: Mapping[int, SliceMask],
    propagation: Propagation,
    label: int,
) -> dict[int, SliceMask]:
    """Return what was agreed on, by slice; only what hangs together with what the user gave."""
    from scipy.ndimage import label as connected

    first = region[0][0]
    anchors, marks = propagation.anchors(label), propagation.marks(label)
    voted = agreed(views)
    for index in anchors:
        voted[index - first] = views[0][index - first]
    for mark in marks:
        if 0 <= mark - first < len(voted):
            voted[mark - first] = False
    parts, _ = connected(voted)
    given = np.unique(parts[[index - first for index in anchors]])
    voted &= np.isin(parts, given[given > 0])
    every, some = np.logical_and.reduce(views), np.logical_or.reduce(views)
    mean = float(np.mean([mask.score for mask in before.values()]))
    outcome = {}
    for offset in np.flatnonzero(voted.any((1, 2))).tolist():
        index = first + offset
        if index in anchors:
            continue
        old = before.get(index)
        outcome[index] = SliceMask(
            MaskPatch.cut(voted[offset], region[1][0], region[2][0]),
            mean if old is None else old.score,
            float(every[offset].sum() / some[offset].sum()),
            'three views',
        )
    return outcome

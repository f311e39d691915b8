"""Propagation: objects given on some slices are followed through all the others.

::

    anchors      3           9              what the user gave; never changed
    slices   0 1 2 3 4 5 6 7 8 9 10 11
    comes    ← ← ←   → → → ← ←   →  →       from the nearest anchor, one slice after the other;
    from     3 3 3   3 3 3 9 9   9  9       between anchors the shape is guided by both

Upwards and downwards are one sweep each, and all objects of a slice are one batch of prompts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine.annotator import Annotator
from napari_mobilesam.engine.cancel import CancelToken

from .choice import Chosen, Expected, Mode, find_on_slice
from .contrast import PlaneValues, is_clear, stands_out
from .patch import MaskPatch, overlap
from .rules import StopReason, StopRules
from .series import PlaneSeries
from .shapes import between
from .ways import Way, affected, way_to

# However small an object is, its outline may move by so many pixels.
_LEAST_REACH = 2.0
# Between two anchors a mask that agrees less with their interpolation gives way to it.
_GUIDE_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class PropagationOptions:
    """How objects are followed.

    Parameters
    ----------
    mode : {'agreement', 'box', 'mask', 'points'}
        Prompts for the next slice, made of the mask on this one. ``agreement`` tries all three,
        lets their masks vote on each pixel, and asks the image as well: see ``min_brightness`` of
        `StopRules`.
    rules : StopRules
        When an object has ended.
    reach : float
        How far an outline may move from one slice to the next, as a part of the object's radius.
        Time series need more than stacks.
    first, last : int, optional
        The range of slices to stay in, both included; by default all.
    """

    mode: Mode = 'agreement'
    rules: StopRules = StopRules()  # noqa: RUF009 - frozen, so sharing is safe
    reach: float = 0.4
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SliceMask:
    """An object on one slice.

    Parameters
    ----------
    patch : MaskPatch
        Its pixels.
    score : float
        The model's estimate of the mask's quality; 1 for an anchor.
    confidence : float
        Score and agreement with the slices around, 0..1; 1 for an anchor.
    mode : str
        What gave the mask: a `Mode`, ``'anchor'`` or ``'interpolated'``.
    """

    patch: MaskPatch
    score: float
    confidence: float
    mode: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Where an object ended.

    Parameters
    ----------
    label : int
        The object.
    index : int
        The first slice on which it is not; the number of slices or -1 at the ends of the stack.
    direction : {1, -1}
        Upwards or downwards.
    reason : StopReason
        Why.
    """

    label: int
    index: int
    direction: int
    reason: StopReason


@dataclass(frozen=True, slots=True, eq=False)
class PropagationStep:
    """What one slice brought.

    Parameters
    ----------
    index : int
        The slice.
    direction : {1, -1}
        Upwards or downwards.
    found : mapping of int to SliceMask
        Objects that go on.
    stopped : tuple of Stop
        Objects that end before this slice.
    done, total : int
        Slices looked at in this run, and how many there are to look at, at most.
    """

    index: int
    direction: int
    found: Mapping[int, SliceMask]
    stopped: tuple[Stop, ...]
    done: int
    total: int


@dataclass(slots=True, eq=False)
class _Track:
    anchors: dict[int, SliceMask] = field(default_factory=dict)
    marks: set[int] = field(default_factory=set)
    found: dict[int, SliceMask] = field(default_factory=dict)
    stops: dict[tuple[int, int], Stop] = field(default_factory=dict)
    # of the anchors, in values of the image, and of what was found, as a part of its anchor's
    contrasts: dict[int, tuple[float, float]] = field(default_factory=dict)
    floors: dict[int, float] = field(default_factory=dict)
    relative: dict[int, float] = field(default_factory=dict)

    def at(self, index: int) -> SliceMask | None:
        return self.anchors.get(index) or self.found.get(index)

    def dimmest(self, anchor: int, index: int, direction: int) -> float:
        """Return the weakest contrast between an anchor and a slice, that of the anchor being 1.

        Of an object that does not stand out clearly it is always 1: it rises by chance.
        """
        if not is_clear(self.contrasts.get(anchor, (0.0, 0.0))):
            return 1.0
        way = range(anchor + direction, index, direction)
        return min([1.0, *(self.relative[one] for one in way if one in self.relative)])

    def surest(self) -> float:
        """Return what the model said where it was surest: the median of the three best slices."""
        scores = sorted((mask.score for mask in self.found.values()), reverse=True)[:3]
        return float(np.median(scores)) if scores else 0.0

    def drop(self, slices: range) -> None:
        for index in slices:
            self.found.pop(index, None)
            self.relative.pop(index, None)
        # A stop hangs on its anchor; what is next to the dropped slices has to be tried anew.
        edge = range(slices.start - 1, slices.stop + 1)
        self.stops = {
            key: stop
            for key, stop in self.stops.items()
            if stop.index not in edge and key[0] not in slices
        }


class Propagation:
    """Follows objects through a series of planes. Belongs to one thread at a time.

    Add anchors, then go through `run`; correct a slice by another anchor and `run` again: only
    what depends on it is computed anew.

    Parameters
    ----------
    annotator : Annotator
        The model and its embeddings.
    planes : PlaneSeries
        The slices.
    options : PropagationOptions
        How to follow.
    """

    def __init__(
        self,
        annotator: Annotator,
        planes: PlaneSeries,
        options: PropagationOptions | None = None,
    ) -> None:
        self._annotator = annotator
        self._planes = planes
        self.options = PropagationOptions() if options is None else options
        self._tracks: dict[int, _Track] = {}

    @property
    def labels(self) -> tuple[int, ...]:
        """The objects, by ascending id."""
        return tuple(sorted(self._tracks))

    def anchor(self, label: int, index: int, mask: MaskPatch) -> None:
        """Give an object on a slice, or correct it there; it will not be changed.

        Parameters
        ----------
        label : int
            The object's id, 1 or more.
        index : int
            The slice.
        mask : MaskPatch
            Its pixels there.

        Raises
        ------
        ValueError
            If the id, the slice or the mask is impossible.
        """
        if label < 1:
            raise ValueError(f'ids of objects start at 1, 0 being the background; got {label}')
        self._check_index(index)
        mask = mask.clipped(self._planes.shape)
        if not mask:
            raise ValueError(
                f'the mask of object {label} on slice {index} has no pixel on the plane; to say '
                'that it is not there, use mark'
            )
        track = self._tracks.setdefault(label, _Track())
        track.marks.discard(index)
        track.anchors[index] = SliceMask(mask, 1.0, 1.0, 'anchor')
        track.contrasts.pop(index, None)
        track.drop(affected(index, track.anchors, len(self._planes)))

    def mark(self, label: int, index: int) -> None:
        """Say that an object is not on a slice: it is not followed to it or past it.

        Raises
        ------
        ValueError
            If there is no such object or slice.
        """
        self._check_index(index)
        track = self._track(label)
        track.anchors.pop(index, None)
        track.marks.add(index)
        track.drop(affected(index, track.anchors, len(self._planes)))

    def release(self, label: int, index: int) -> None:
        """Take an anchor or a mark back; the slices that hang on it are followed anew."""
        track = self._track(label)
        track.anchors.pop(index, None)
        track.marks.discard(index)
        track.drop(affected(index, track.anchors, len(self._planes)))
        if not track.anchors:
            del self._tracks[label]

    def settle(self, label: int, masks: Mapping[int, SliceMask]) -> None:
        """Replace what was found of an object by what somebody knows better; anchors stay.

        It ends where these masks end. Another anchor, later on, is followed as ever.
        """
        track = self._track(label)
        track.found = {index: mask for index, mask in masks.items() if index not in track.anchors}
        present = sorted({*track.found, *track.anchors})
        stops = {}
        for index in present:
            for direction in (1, -1):
                beyond = index + direction
                if beyond in present:
                    continue
                at_end = beyond in (-1, len(self._planes))
                reason = StopReason.END if at_end else StopReason.SIDES
                known = track.stops.get((index, direction))
                stops[index, direction] = known or Stop(label, beyond, direction, reason)
        track.stops = stops

    def anchors(self, label: int) -> Mapping[int, MaskPatch]:
        """Return what the user gave of an object, by slice; nothing for an unknown object."""
        track = self._tracks.get(label)
        found = {} if track is None else track.anchors
        return MappingProxyType({index: mask.patch for index, mask in sorted(found.items())})

    def marks(self, label: int) -> frozenset[int]:
        """Return on which slices the user said that an object is not."""
        track = self._tracks.get(label)
        return frozenset() if track is None else frozenset(track.marks)

    def masks(self, label: int) -> Mapping[int, SliceMask]:
        """Return an object's masks by slice, anchors included, in ascending order."""
        track = self._track(label)
        return MappingProxyType(dict(sorted({**track.found, **track.anchors}.items())))

    def stops(self, label: int) -> tuple[Stop, ...]:
        """Return where an object ended, by ascending slice."""
        return tuple(sorted(self._track(label).stops.values(), key=lambda stop: stop.index))

    def confidence(self, label: int) -> NDArray[np.float64]:
        """Return the confidence on each slice, NaN where the object is not: shape (slices,)."""
        curve = np.full(len(self._planes), np.nan)
        for index, mask in self.masks(label).items():
            curve[index] = mask.confidence
        return curve

    def paint(self, index: int) -> NDArray[np.int32]:
        """Return the labels of a slice, shape (H, W); anchors lie on top."""
        labels = np.zeros(self._planes.shape, np.int32)
        present = [
            (label, mask) for label in self.labels if (mask := self._tracks[label].at(index))
        ]
        for label, one in sorted(present, key=lambda item: item[1].confidence):
            labels[one.patch.rows, one.patch.columns][one.patch.mask] = label
        return labels

    def run(
        self,
        cancel: CancelToken | None = None,
        labels: Collection[int] | None = None,
        within: range | None = None,
    ) -> Iterator[PropagationStep]:
        """Follow objects as far as they go, where that has not been done yet.

        Parameters
        ----------
        cancel : CancelToken, optional
            Polled all the way; slices that were yielded are kept.
        labels : collection of int, optional
            Which objects; by default all. The others stay as they are.
        within : range, optional
            Slices to stay in this time, in ascending order; by default all of the options' range.

        Yields
        ------
        PropagationStep
            Slice after slice, first upwards, then downwards.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        """
        first, last = self._range(within)
        tracks = {
            label: track
            for label, track in self._tracks.items()
            if labels is None or label in labels
        }
        sweeps = [(1, range(first, last + 1)), (-1, range(last, first - 1, -1))]
        due = [
            {
                index
                for index in slices
                for track in tracks.values()
                if index not in track.found
                and (way := way_to(index, track.anchors, track.marks)) is not None
                and way.direction == direction
            }
            for direction, slices in sweeps
        ]
        total, done = sum(len(indices) for indices in due), 0
        for (direction, slices), wanted in zip(sweeps, due, strict=True):
            for index in slices:
                done += index in wanted
                step = self._step(index, direction, tracks, cancel)
                if step is not None:
                    found, stopped = step
                    yield PropagationStep(index, direction, found, stopped, done, total)
        self._note_ends(first, last, tracks)

    def _step(
        self, index: int, direction: int, tracks: Mapping[int, _Track], cancel: CancelToken | None
    ) -> tuple[dict[int, SliceMask], tuple[Stop, ...]] | None:
        expected, ways, gone = self._expected(index, direction, tracks)
        if not expected and not gone:
            return None
        if cancel is not None:
            cancel.check()
        looked_for = {one.label for one in expected}
        standing = [
            mask.patch
            for label, track in self._tracks.items()
            if label not in looked_for and (mask := track.at(index)) is not None
        ]
        chosen: list[Chosen] = []
        if expected:
            chosen = find_on_slice(
                self._annotator,
                self._planes[index],
                expected,
                standing,
                self.options.mode,
                cancel,
            )
        values = PlaneValues(self._planes[index])
        found, stopped = {}, []
        for one, choice in zip(expected, chosen, strict=True):
            judged = self._judge(index, one, choice, ways[one.label], values)
            if isinstance(judged, StopReason):
                gone.append((one.label, judged))
            else:
                found[one.label] = judged
        # Written only now, when nothing can be cancelled any more: a slice is whole or not there.
        for label, mask in found.items():
            self._tracks[label].found[index] = mask
        for label, reason in gone:
            stop = Stop(label, index, direction, reason)
            self._tracks[label].stops[index - direction, direction] = stop
            stopped.append(stop)
        return found, tuple(stopped)

    def _expected(
        self, index: int, direction: int, tracks: Mapping[int, _Track]
    ) -> tuple[list[Expected], dict[int, Way], list[tuple[int, StopReason]]]:
        """Return the objects that come to a slice from one side, and those that end before it."""
        expected, ways, gone = [], {}, []
        for label, track in tracks.items():
            before = track.at(index - direction)
            if before is None or (index - direction, direction) in track.stops:
                continue
            if index in track.marks:
                gone.append((label, StopReason.MARK))
                continue
            way = way_to(index, track.anchors, track.marks)
            if way is None or way.direction != direction or index in track.found:
                continue
            shape = self._guided(track, index, way, before.patch).clipped(self._planes.shape)
            if not shape:
                gone.append((label, StopReason.EDGE))
                continue
            reach = max(_LEAST_REACH, self.options.reach * shape.radius)
            expected.append(Expected(label, shape, reach))
            ways[label] = way
        return expected, ways, gone

    def _guided(self, track: _Track, index: int, way: Way, before: MaskPatch) -> MaskPatch:
        """Return the shape expected: that of the slice before, or on the way to the other side."""
        if way.other is None:
            return before
        beyond = way.other
        # the other side may have come nearer than its anchor already
        for slice_ in range(index + way.direction, way.other, way.direction):
            if slice_ in track.found:
                beyond = slice_
                break
        other = track.at(beyond)
        assert other is not None
        return between(before, other.patch, 1 / (abs(beyond - index) + 1))

    def _judge(
        self, index: int, one: Expected, choice: Chosen, way: Way, values: PlaneValues
    ) -> SliceMask | StopReason:
        """Turn what was found into the object's mask, or into the reason why it ends."""
        confidence = float(np.clip(choice.score * choice.agreement, 0, 1))
        if way.other is not None:
            # It is there, for the user gave it on both sides: nothing can stop it here.
            likeness = overlap(choice.patch, one.shape)
            if likeness < _GUIDE_OVERLAP:
                return SliceMask(one.shape, choice.score, likeness / 2, 'interpolated')
            return SliceMask(choice.patch, choice.score, confidence, choice.mode)
        track = self._tracks[one.label]
        before = track.at(index - way.direction)
        assert before is not None
        masks = (*track.found.values(), *track.anchors.values())
        contrast = self._contrast(track, way.anchor, choice.patch, values)
        if self.options.mode == 'agreement' and contrast is not None:
            # prompts of what has faded agree on drawing it as large as before
            kept = values.standing_out(choice.patch, track.floors[way.anchor])
            choice = replace(choice, patch=kept)
        reason = self.options.rules.check(
            choice.patch,
            before.patch,
            score=choice.score,
            largest=max(mask.patch.area for mask in masks),
            contrast=contrast,
            shape=self._planes.shape,
            dimmest=track.dimmest(way.anchor, index, way.direction),
            surest=track.surest(),
        )
        if reason is not None:
            return reason
        if contrast is not None:
            track.relative[index] = contrast
        return SliceMask(choice.patch, choice.score, confidence, choice.mode)

    def _contrast(
        self, track: _Track, anchor: int, patch: MaskPatch, values: PlaneValues
    ) -> float | None:
        """Return the contrast of a mask as a part of that of its anchor, if that has any."""
        rules = self.options.rules
        asked = rules.min_contrast or rules.min_brightness or np.isfinite(rules.max_rise)
        if not patch or not asked:
            return None
        if anchor not in track.contrasts:
            given = PlaneValues(self._planes[anchor])
            mask = track.anchors[anchor].patch
            track.contrasts[anchor] = seen = given.contrast(mask)
            track.floors[anchor] = given.floor(mask, seen[0], rules.min_brightness)
        reference = track.contrasts[anchor]
        if not stands_out(reference):
            return None
        return values.contrast(patch)[0] / reference[0]

    def _note_ends(self, first: int, last: int, tracks: Mapping[int, _Track]) -> None:
        """Note which objects reach an end of the stack; of a range there may be more to follow."""
        for label, track in tracks.items():
            for index, direction, beyond in ((last, 1, last + 1), (first, -1, first - 1)):
                at_end = beyond in (-1, len(self._planes))
                if at_end and track.at(index) is not None:
                    key = (index, direction)
                    track.stops.setdefault(key, Stop(label, beyond, direction, StopReason.END))

    def _range(self, within: range | None) -> tuple[int, int]:
        first, last = self.options.first, self.options.last
        first = 0 if first is None else max(first, 0)
        last = len(self._planes) - 1 if last is None else min(last, len(self._planes) - 1)
        if within is not None:
            first, last = max(first, within.start), min(last, within.stop - 1)
        return first, last

    def _track(self, label: int) -> _Track:
        try:
            return self._tracks[label]
        except KeyError:
            raise ValueError(
                f'there is no object {label} in this propagation; it has {list(self._tracks)}'
            ) from None

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self._planes):
            raise ValueError(f'expected a slice from 0 to {len(self._planes) - 1}; got {index}')

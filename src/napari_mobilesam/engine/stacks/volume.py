"""Whole stacks: everything on every slice, linked to objects of the stack; and labels refined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine.annotator import Annotator
from napari_mobilesam.engine.cancel import CancelToken

from .choice import Expected, find_on_slice
from .linking import Linked, LinkOptions, SliceObject, link
from .patch import MaskPatch, overlap
from .series import PlaneSeries

if TYPE_CHECKING:
    from .detectors import Detector

# A refined object that agrees less with the coarse one is another object.
_SAME_OBJECT = 0.4
_REACH = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class VolumeStep:
    """What was found on one slice.

    Parameters
    ----------
    index : int
        The slice.
    objects : tuple of SliceObject
        All of them, also those of a low score.
    done, total : int
        Slices.
    """

    index: int
    objects: tuple[SliceObject, ...]
    done: int
    total: int


class VolumeSegmentation:
    """Segments each slice once, and links as often as wanted.

    Parameters
    ----------
    planes : PlaneSeries
        The slices.
    detect : callable
        Finds the objects of a slice, see `detectors`.
    """

    def __init__(self, planes: PlaneSeries, detect: Detector) -> None:
        self._planes = planes
        self._detect = detect
        self._found: dict[int, tuple[SliceObject, ...]] = {}

    @property
    def found(self) -> Mapping[int, tuple[SliceObject, ...]]:
        """What was found so far, by slice."""
        return MappingProxyType(self._found)

    def run(
        self, slices: Sequence[int] | None = None, cancel: CancelToken | None = None
    ) -> Iterator[VolumeStep]:
        """Segment slices that have not been yet.

        Parameters
        ----------
        slices : sequence of int, optional
            Which, in this order; by default all.
        cancel : CancelToken, optional
            Polled all the way.

        Yields
        ------
        VolumeStep
            Slice after slice.

        Raises
        ------
        Cancelled
            If the token was cancelled; slices that were yielded are kept.
        """
        wanted = range(len(self._planes)) if slices is None else slices
        due = [index for index in wanted if index not in self._found]
        for done, index in enumerate(due, 1):
            if cancel is not None:
                cancel.check()
            objects = tuple(self._detect(self._planes[index], index, cancel))
            self._found[index] = objects
            yield VolumeStep(index, objects, done, len(due))

    def link(self, options: LinkOptions | None = None) -> list[Linked]:
        """Link what was found so far; other thresholds need no decoding again."""
        return link(self._found, options)


@dataclass(frozen=True, slots=True, eq=False)
class RefinedSlice:
    """The labels of one slice, refined.

    Parameters
    ----------
    index : int
        The slice.
    labels : ndarray of int32, shape (H, W)
        With the ids of the coarse labels.
    changed : mapping of int to float
        Overlap of each object that was replaced with its coarse form.
    kept : tuple of int
        Objects that were left as they were: the model found something else there, or was unsure.
    done, total : int
        Slices.
    """

    index: int
    labels: NDArray[np.int32]
    changed: Mapping[int, float]
    kept: tuple[int, ...]
    done: int
    total: int


def refine(
    annotator: Annotator,
    planes: PlaneSeries,
    coarse: Callable[[int], NDArray[Any]],
    min_score: float = 0.5,
    slices: Sequence[int] | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[RefinedSlice]:
    """Improve the outlines of labels that another program made, slice by slice.

    Parameters
    ----------
    annotator : Annotator
        The model and its embeddings.
    planes : PlaneSeries
        The slices of the image.
    coarse : callable
        Gives the labels of a slice, (H, W), by its number; called when they are needed.
    min_score : float
        Objects of which the model is less sure are left as they are.
    slices : sequence of int, optional
        Which; by default all.
    cancel : CancelToken, optional
        Polled all the way.

    Yields
    ------
    RefinedSlice
        Slice after slice.

    Raises
    ------
    Cancelled
        If the token was cancelled.
    """
    from scipy import ndimage

    wanted = list(range(len(planes)) if slices is None else slices)
    for done, index in enumerate(wanted, 1):
        if cancel is not None:
            cancel.check()
        labels = np.asarray(coarse(index))
        if labels.shape != planes.shape:
            raise ValueError(f'expected labels of {planes.shape} on slice {index}: {labels.shape}')
        ids, compact = np.unique(labels, return_inverse=True)
        compact = compact.reshape(labels.shape) + (1 if ids[0] != 0 else 0)
        ids = ids[ids != 0]
        expected = []
        for number, box in enumerate(ndimage.find_objects(compact), 1):
            if box is not None:
                patch = MaskPatch.cut(compact[box] == number, box[0].start, box[1].start)
                reach = max(2.0, _REACH * patch.radius)
                expected.append(Expected(int(ids[number - 1]), patch, reach))
        refined = np.zeros(labels.shape, np.int32)
        changed: dict[int, float] = {}
        kept: list[int] = []
        found = (
            find_on_slice(annotator, planes[index], expected, [], 'agreement', cancel)
            if expected
            else []
        )
        final = []
        for one, choice in zip(expected, found, strict=True):
            likeness = overlap(choice.patch, one.shape)
            if choice.score >= min_score and likeness >= _SAME_OBJECT:
                changed[one.label] = likeness
                final.append((one.label, choice.patch))
            else:
                kept.append(one.label)
                refined[one.shape.rows, one.shape.columns][one.shape.mask] = one.label
        for label, patch in final:
            part = refined[patch.rows, patch.columns]
            part[patch.mask & (part == 0)] = label
        yield RefinedSlice(
            index, refined, MappingProxyType(changed), tuple(kept), done, len(wanted)
        )

"""Whole stacks: everything on every slice, linked to objects of the stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_mobilesam.engine.cancel import CancelToken

from .linking import Linked, LinkOptions, SliceObject, link
from .series import PlaneSeries

if TYPE_CHECKING:
    from .detectors import Detector


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

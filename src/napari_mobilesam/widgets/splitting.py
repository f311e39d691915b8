"""How an object is divided, on the worker: plain values, no napari, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mobilesam.engine import Annotator, CancelToken, Prompts, opposite_seed, split_mask
from napari_mobilesam.engine.regions import Region, intersection, region_at, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_mobilesam.engine import PlaneSource
    from napari_mobilesam.layers import LabelsPlane


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """An object, divided.

    Attributes
    ----------
    numbers
        1 and more for its parts, with the axes and the region of the object.
    prompts
        What each part was made from.
    """

    numbers: NDArray[np.int32]
    prompts: tuple[Prompts, ...]


def divide(
    annotator: Annotator | None,
    source: PlaneSource | None,
    mask: NDArray[np.bool_],
    place: LabelsPlane,
    region: Region,
    points: Sequence[tuple[float, float]],
    cancel: CancelToken,
) -> Parts:
    """Divide an object between points; a single point is split off the rest.

    Parameters
    ----------
    annotator, source
        The model and the plane it is asked about; without them the shape alone decides.
    mask
        The object, with the axes of the labels.
    place
        Where the plane lies in the labels.
    region
        Where `mask` lies in the labels.
    points
        (row, column) in the plane. A single one becomes the second part: the first keeps the id.
    cancel
        Polled before each question to the model.
    """
    corner = [start for start, _ in region]
    seeds: list[tuple[float, ...]] = []
    for row, column in points:
        pixel = place.pixel(row, column)
        if pixel is None:
            raise ValueError('that point is beside the labels')
        seeds.append(tuple(float(a - b) for a, b in zip(pixel, corner, strict=True)))
    places = list(points)
    if len(seeds) == 1:
        other = opposite_seed(mask, seeds[0])
        seeds.insert(0, tuple(float(value) for value in other))
        row, column = (
            other[axis] + corner[axis] - offset
            for axis, offset in zip(place.axes, place.offset, strict=True)
        )
        places.insert(0, (float(row), float(column)))
    prompts = tuple(
        Prompts(tuple(places), tuple(other == number for other in range(len(places))))
        for number in range(len(places))
    )
    claims: list[Any] = []
    if annotator is not None and source is not None:
        for one in prompts:
            cancel.check()
            claims.append(_on_labels(annotator.predict(source, one, cancel).mask(), place, region))
    return Parts(split_mask(mask, seeds, claims), prompts)


def _on_labels(mask: NDArray[np.bool_], place: LabelsPlane, region: Region) -> NDArray[np.bool_]:
    """Move a mask of the plane to the region of the object in the labels."""
    height, width = mask.shape
    start, placed = place.placed(slice(0, height), slice(0, width), mask)
    claimed = np.zeros([stop - first for first, stop in region], bool)
    covered = region_at(start, placed.shape)
    shared = intersection(region, covered)
    if shared is not None:
        claimed[within(shared, region)] = placed[within(shared, covered)]
    return claimed

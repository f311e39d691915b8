"""Agreement with a teacher, as the MobileSAM paper measures it.

References
----------
Zhang et al. 2023, "Faster Segment Anything", arXiv:2306.14289: mean IoU of a small model's masks
with the original SAM's, for two points at a distance of 100 … 500 pixels.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mobile_sam.training.crops import frame_scale
from mobile_sam.training.data import Reader
from mobile_sam.training.prompts import correction_click

from .asking import Asked
from .choice import choose_items, choose_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from mobile_sam.training.data import Item, Sample

    from .asking import Contestant

DISTANCES = (100, 200, 300, 400, 500)
"""Of the two points, in pixels of the 1024 frame."""
DIRECTIONS = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """Mean IoU of a contestant's masks with a teacher's.

    Attributes
    ----------
    name, teacher : str
    distances : tuple of int
    iou : tuple of float
        One for each distance; NaN where no pair of points fitted.
    pairs : tuple of int
        Pairs of points for each distance.
    """

    name: str
    teacher: str
    distances: tuple[int, ...]
    iou: tuple[float, ...]
    pairs: tuple[int, ...]


def agreement(
    teacher: Contestant,
    students: Sequence[Contestant],
    items: Iterable[Item],
    *,
    images: int | None = None,
    objects: int | None = None,
    distances: Sequence[int] = DISTANCES,
    reader: Reader | None = None,
    say: Callable[[Item], None] | None = None,
) -> list[Agreement]:
    """Compare masks with a teacher's masks for two points at set distances.

    The first point is positive and in the middle of a labelled object, the second one is
    negative and lies so far away, in the first of eight directions in which that is still on
    the picture; the direction to begin with turns from object to object. Labels are used for
    nothing else: the teacher's mask is the truth, and two empty masks agree.

    Parameters
    ----------
    teacher, students : Contestant
    items, images, objects, reader, say
        As for `Evaluator`.
    distances : sequence of int
        Pixels of the 1024 frame, whatever the size of the picture.

    Returns
    -------
    list of Agreement
        One for each student.
    """
    reader = reader or Reader()
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for item in choose_items(items, images):
        sample = reader(item)
        asked = {d: _pairs(sample, choose_objects(sample, objects), d) for d in distances}
        if not any(len(a) for a in asked.values()):
            continue
        looks = [contestant.look(sample) for contestant in (teacher, *students)]
        for distance, pairs in asked.items():
            for i in range(len(pairs)):
                one = Asked(pairs.points[i : i + 1], pairs.positive[i : i + 1])
                truth, *others = (look.answer(one).masks[0, 0] for look in looks)
                for student, mask in enumerate(others):
                    found[student, distance].append(_iou(mask, truth))
        if say is not None:
            say(item)
    return [
        Agreement(
            student.name,
            teacher.name,
            tuple(distances),
            tuple(float(np.mean(found[i, d])) if found[i, d] else float('nan') for d in distances),
            tuple(len(found[i, d]) for d in distances),
        )
        for i, student in enumerate(students)
    ]


def _pairs(sample: Sample, labels: Sequence[int], distance: int) -> Asked:
    """Pairs of points on a plane, one for each object where there is room."""
    shape = np.array(sample.labels.shape)
    reach = distance / frame_scale(sample.labels.shape)
    points = []
    for number, label in enumerate(labels):
        mask = sample.labels == label
        row, col, _ = correction_click(np.zeros_like(mask), mask)
        for turn in range(DIRECTIONS):
            angle = 2 * np.pi * (number + turn) / DIRECTIONS
            other = np.array([row, col]) + reach * np.array([np.sin(angle), np.cos(angle)])
            if (other >= 0).all() and (other <= shape - 1).all():
                points.append([(row, col), tuple(other)])
                break
    places = np.array(points, float).reshape(-1, 2, 2)
    return Asked(places, np.tile([True, False], (len(places), 1)))


def _iou(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    union = int((found | wanted).sum())
    return float((found & wanted).sum() / union) if union else 1.0

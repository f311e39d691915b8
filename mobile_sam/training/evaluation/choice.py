"""Which planes and which of their objects are evaluated: always the same ones."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from mobile_sam.training.crops import frame_scale
from mobile_sam.training.prompts import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mobile_sam.training.data import Item, Sample


def choose_items(items: Iterable[Item], images: int | None) -> list[Item]:
    """Choose planes per modality by the hash of their names, strata taking turns."""
    strata: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        strata[item.modality][item.stratum].append(item)
    chosen: list[Item] = []
    for _, groups in sorted(strata.items()):
        ranked: list[tuple[int, str, Item]] = []
        for name, members in groups.items():
            members.sort(key=lambda i: hashlib.sha1(i.name.encode()).hexdigest())
            ranked.extend((turn, name, item) for turn, item in enumerate(members))
        ranked.sort(key=lambda entry: entry[:2])
        chosen.extend(item for _, _, item in ranked[:images])
    return chosen


def choose_objects(sample: Sample, objects: int | None) -> list[int]:
    """Choose objects of at least 8 model pixels, evenly over the order of their areas."""
    areas = np.bincount(sample.labels.ravel())
    areas[0] = 0
    least = np.pi / 4 * (SMALLEST / frame_scale(sample.labels.shape)) ** 2
    order = [int(i) for i in np.argsort(areas, kind='stable') if areas[i] >= max(1.0, least)]
    if objects is None or len(order) <= objects:
        return order
    return [order[int(i)] for i in np.linspace(0, len(order) - 1, objects)]

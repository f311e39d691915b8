"""The rows of the object table: sorted and filtered incrementally, one object at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from napari_mobilesam.engine import SegmentedObject

SortKey = Callable[[SegmentedObject], Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects are listed.

    Attributes
    ----------
    text
        Part of the id or of the class's name.
    class_id
        Only this class; None for all.
    flag
        `'unclear'`, `'reviewed'`, `'open'` (not reviewed) or empty for all.
    """

    text: str = ''
    class_id: int | None = None
    flag: str = ''

    def accepts(self, record: SegmentedObject, class_name: str) -> bool:
        """Whether an object is listed."""
        if self.class_id is not None and record.class_id != self.class_id:
            return False
        if self.flag and not {
            'unclear': record.unclear,
            'reviewed': record.reviewed,
            'open': not record.reviewed,
        }.get(self.flag, True):
            return False
        text = self.text.strip().lower()
        return not text or text in str(record.label) or text in class_name.lower()


class ObjectRows:
    """Labels in the order of the table.

    A sort proxy of Qt's would ask Python for two values per comparison: a quarter of a million
    calls for ten thousand rows. Here the keys are kept in a sorted list, in which one object is
    found, put and taken by bisection.
    """

    def __init__(self) -> None:
        self._keys: list[tuple[Any, int]] = []
        self._key_of: dict[int, tuple[Any, int]] = {}
        self.descending = False

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, label: object) -> bool:
        return label in self._key_of

    def label(self, row: int) -> int:
        """Return the id in a row."""
        return self._keys[self._turned(row)][1]

    def row(self, label: int) -> int | None:
        """Return the row of an id; None where it is not listed."""
        key = self._key_of.get(label)
        return None if key is None else self._turned(bisect_left(self._keys, key))

    def fill(self, records: Iterable[SegmentedObject], sort_key: SortKey) -> None:
        """List these and no others."""
        self._key_of = {record.label: (sort_key(record), record.label) for record in records}
        self._keys = sorted(self._key_of.values())

    def place_for(self, key: Any, label: int) -> int:
        """Return the row that an id with this key would get."""
        place = bisect_left(self._keys, (key, label))
        return len(self._keys) - place if self.descending else place

    def insert(self, key: Any, label: int) -> None:
        """Put an id at its place."""
        self._keys.insert(bisect_left(self._keys, (key, label)), (key, label))
        self._key_of[label] = (key, label)

    def remove(self, label: int) -> None:
        """Take an id out."""
        del self._keys[bisect_left(self._keys, self._key_of.pop(label))]

    def key(self, label: int) -> Any:
        """Return what an id is sorted by."""
        return self._key_of[label][0]

    def _turned(self, place: int) -> int:
        return len(self._keys) - 1 - place if self.descending else place

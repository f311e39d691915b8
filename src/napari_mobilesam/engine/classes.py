"""Classes of objects: numbers, names and colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

# Told apart by people who do not see red and green apart (Okabe and Ito 2008), as far as it goes.
COLOURS = (
    '#e69f00',
    '#56b4e9',
    '#009e73',
    '#f0e442',
    '#0072b2',
    '#d55e00',
    '#cc79a7',
    '#999999',
    '#8c6bb1',
)

_HEX = re.compile(r'#[0-9a-fA-F]{6}')


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """A kind of objects.

    Parameters
    ----------
    class_id : int
        Its number, 1 or more; what records and files refer to.
    name : str
        As the user calls it.
    colour : str
        ``'#rrggbb'``.

    Raises
    ------
    ValueError
        If the number is not positive, the name empty or the colour no such text.
    """

    class_id: int
    name: str
    colour: str

    def __post_init__(self) -> None:
        if self.class_id < 1:
            raise ValueError(f'numbers of classes start at 1; got {self.class_id}')
        if not self.name.strip():
            raise ValueError('a class needs a name; got an empty one')
        if not _HEX.fullmatch(self.colour):
            raise ValueError(f'colours of classes are written #rrggbb; got {self.colour!r}')
        object.__setattr__(self, 'name', self.name.strip())


@dataclass(frozen=True, slots=True)
class Classes:
    """All classes, by ascending number. Immutable: changes return another one.

    Parameters
    ----------
    items : tuple of ObjectClass

    Raises
    ------
    ValueError
        If two have the same number or the same name.
    """

    items: tuple[ObjectClass, ...] = ()

    def __post_init__(self) -> None:
        items = tuple(sorted(self.items, key=lambda item: item.class_id))
        for what in ('class_id', 'name'):
            values = [getattr(item, what) for item in items]
            double = next((value for value in values if values.count(value) > 1), None)
            if double is not None:
                raise ValueError(f'two classes have the same {what}: {double!r}; choose another')
        object.__setattr__(self, 'items', items)

    def __iter__(self) -> Iterator[ObjectClass]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def get(self, class_id: int) -> ObjectClass | None:
        """Return the class of a number, or None."""
        return next((item for item in self.items if item.class_id == class_id), None)

    def name(self, class_id: int) -> str:
        """Return the name of a class; empty for none, its number where it is not known."""
        found = self.get(class_id)
        return found.name if found is not None else (str(class_id) if class_id else '')

    def added(self, name: str = '', colour: str = '') -> Classes:
        """Return these and one more class, with the lowest free number."""
        used = {item.class_id for item in self.items}
        class_id = next(number for number in range(1, len(used) + 2) if number not in used)
        names = {item.name for item in self.items}
        name = name or next(
            text for text in (f'class {n}' for n in range(class_id, 10**6)) if text not in names
        )
        colour = colour or COLOURS[(class_id - 1) % len(COLOURS)]
        return Classes((*self.items, ObjectClass(class_id, name, colour)))

    def ensured(self, class_id: int) -> Classes:
        """Return these, and a class of this number if there was none."""
        if class_id < 1 or self.get(class_id) is not None:
            return self
        names = {item.name for item in self.items}
        name = next(
            text for text in (f'class {class_id}', f'class {class_id}b') if text not in names
        )
        colour = COLOURS[(class_id - 1) % len(COLOURS)]
        return Classes((*self.items, ObjectClass(class_id, name, colour)))

    def changed(self, class_id: int, *, name: str = '', colour: str = '') -> Classes:
        """Return these with another name or colour for one class."""
        return Classes(
            tuple(
                replace(item, name=name or item.name, colour=colour or item.colour)
                if item.class_id == class_id
                else item
                for item in self.items
            )
        )

    def removed(self, class_id: int) -> Classes:
        """Return these without one class; objects that have it keep its number."""
        return Classes(tuple(item for item in self.items if item.class_id != class_id))
